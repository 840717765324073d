"""Warm-up and the timed window.

Warm-up lasts until it has both the requested steps and seconds, and is not counted. The window is
made of blocks of about a second or more, the devices synchronised at both ends of each; with
several processes a block lasts from the first one's start to the last one's end. Between
blocks, untimed, the block is reported, so the measurements of a run that dies are not lost and
memory does not grow with the number of steps.
"""

import time
from collections import OrderedDict, namedtuple

from backends.harness import machine, ranks

BLOCK_SECONDS = 1.0
WARMUP_REPORT_SECONDS = 0.5
LARGEST_BLOCK = 20000  # bounds the marks kept and the length of a line

Window = namedtuple("Window", "samples seconds")

Rank = namedtuple("Rank", "began ended own waited cpu_seconds")
Rank.__doc__ = """A block of steps as one process saw it; `own` is `Job.own`."""


def measure(job, settings, emit, clock=time.perf_counter):
    """Warm up, time ``settings.steps`` steps, return the `Window`."""
    estimate = warm_up(job, settings.warmup, settings.warmup_seconds, emit, clock)
    return timed(job, settings.steps, estimate, emit, clock)


def warm_up(job, steps, seconds, emit, clock):
    """Run untimed steps; return seconds per step at their end, None if there were none."""
    done, spent, estimate = 0, 0.0, None
    if not steps and not seconds:
        emit("warmup", steps=0, seconds=0.0)
    while done < steps or spent < seconds:
        size = _chunk(steps - done, seconds - spent, estimate)
        start, end = _run(job, size, clock)
        elapsed = job.agree(end - start)
        done, spent, estimate = done + size, spent + elapsed, elapsed / size
        emit("warmup", steps=done, seconds=spent)
    return estimate


def _chunk(steps_left, seconds_left, estimate):
    """How many warm-up steps before the next report; the first one is separate, because it
    compiles.
    """
    if not estimate:
        return 1
    needed = max(steps_left, int(seconds_left / estimate) + 1 if seconds_left > 0 else 0)
    return max(1, min(needed, int(WARMUP_REPORT_SECONDS / estimate), LARGEST_BLOCK))


def timed(job, steps, estimate, emit, clock):
    """Time `steps` steps in blocks; return the `Window`."""
    first, total = 0, 0.0
    while first < steps:
        size = block_size(steps - first, estimate)
        waited, used = job.waited, machine.cpu_seconds()
        start, end = _run(job, size, clock)
        used = max(0.0, machine.cpu_seconds() - used)
        each = [round(value, 9) for value in job.intervals(size)]
        own = job.own(size) if job.processes > 1 else 0.0
        owns = job.owns()
        every = [Rank(*told) for told in job.share((start, end, own, job.waited - waited, used))]
        # perf_counter is the system's monotonic clock on Linux, one for all processes of a node.
        if ranks.nodes() > 1:
            every = aligned(every)
        start, end = min(rank.began for rank in every), max(rank.ended for rank in every)
        seconds = end - start
        emit(
            "steps",
            first=first,
            seconds=each,
            samples=job.samples,
            block_seconds=seconds,
            ended=end,
            waited=max(rank.waited for rank in every),
            cpu_seconds=sum(rank.cpu_seconds for rank in every),
            **_by_rank(every, owns),
        )
        first, total = first + size, total + seconds
        estimate = job.agree(seconds) / size
    return Window(steps * job.samples, total)


def aligned(every):
    """Ranks of several nodes, which have clocks of their own, by the clock of the first.

    All start a block together, after a barrier, so it lasts as long as the slowest rank needs.
    """
    began = every[0].began
    return [rank._replace(began=began, ended=began + rank.ended - rank.began) for rank in every]


def _by_rank(every, owns):
    """What several processes report of a block, or one that drives several devices."""
    if len(every) > 1:
        return {"ranks": [OrderedDict(zip(Rank._fields, rank)) for rank in every]}
    if not owns:
        return {}
    (whole,) = every
    names = ("began", "ended", "own")
    return {"ranks": [OrderedDict(zip(names, (whole.began, whole.ended, own))) for own in owns]}


def block_size(left, estimate):
    """Divide the remaining steps evenly into blocks that each last `BLOCK_SECONDS` or more."""
    if not estimate:
        return 1
    blocks = max(1, int(left * estimate / BLOCK_SECONDS))
    return min(-(-left // blocks), LARGEST_BLOCK)


def _run(job, count, clock):
    """When `count` steps start and end, both synchronised."""
    job.synchronize()
    start = clock()
    job.mark(0)
    for index in range(1, count + 1):
        job.step()
        job.mark(index)
    job.synchronize()
    return start, clock()
