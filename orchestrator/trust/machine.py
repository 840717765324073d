"""Reasons in what the monitor saw of the machine."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.machine import clock_reasons
from orchestrator.machine.disturbances import THROTTLED_ENOUGH, in_words, title
from orchestrator.machine.watched_gpu import Throttling
from orchestrator.trust.facts import Facts
from orchestrator.trust.verdict import Code, Level, Reason
from orchestrator.units import share

NOTED, SUSPECT, INVALID = 0.001, 0.02, 0.10  # shares of the time
# DCGM ignores these bits on such boards, which have no fans of their own.
_ALWAYS_HOT = ("Tesla K80", "Tesla T4")
CLOCK_NOTED, CLOCK_SUSPECT = 0.97, 0.90  # shares of the usual clock
FED, FULL, IDLE = 0.80, 0.97, 0.10


def throttled(facts: Facts) -> Iterator[Reason]:
    """Judge what throttled each GPU, by its share of the time."""
    for one in facts.seen.throttling:
        level = _level(one, facts.gpus.get(one.gpu, ""))
        if level is not None:
            yield Reason(code=Code.THROTTLED, level=level, text=in_words(one))


def _level(one: Throttling, gpu: str) -> Level | None:
    """Judge only what keeps a GPU from damage: the other limits are normal on a busy one."""
    kind = clock_reasons.kind(one.reason)
    if kind == "idle":
        return None
    if kind != "protection":
        return "note" if one.share >= THROTTLED_ENOUGH else None
    if one.share <= NOTED:
        return None
    if one.share <= SUSPECT or _is_blip(one):
        return "note"
    return "invalid" if one.share > INVALID and not gpu.endswith(_ALWAYS_HOT) else "suspect"


def _is_blip(one: Throttling) -> bool:
    """Whether it may be a moment that a sample happened to meet.

    A single sample is too little to judge. The general bit is also set for a moment whenever the
    clock changes, so it needs two samples in a row.
    """
    if one.counted:
        return False
    return (one.streak if one.reason == clock_reasons.BLIP else one.samples) < 2


def gpu_idle(facts: Facts) -> Iterator[Reason]:
    """Note that a GPU had nothing to do for a part of the timed steps."""
    for one in facts.seen.throttling:
        if one.reason == clock_reasons.IDLE and one.share > IDLE:
            yield Reason(
                code=Code.GPU_IDLE,
                level="note",
                text=f"{title(one.gpu)} was idle in {share(one.share)} of the samples: does it "
                "wait for its input, or are the steps too short?",
            )


def low_clock(facts: Facts) -> Iterator[Reason]:
    """Compare the clock of each GPU with its own in earlier runs."""
    for one in facts.clocks:
        part = one.now / one.usual
        if part < CLOCK_NOTED:
            yield Reason(
                code=Code.LOW_CLOCK,
                level="suspect" if part < CLOCK_SUSPECT else "note",
                text=f"{title(one.gpu)} ran at {one.now:.0f} MHz, {share(1 - part)} below its "
                f"usual {one.usual:.0f} MHz in this benchmark",
            )


def foreign_process(facts: Facts) -> Iterator[Reason]:
    """Report processes that used a GPU before the run, or came to it."""
    for text in (*facts.seen.in_use, *facts.seen.joined):
        yield Reason(code=Code.FOREIGN_PROCESS, level="suspect", text=text)


def gpu_silent(facts: Facts) -> Iterator[Reason]:
    """Report GPUs that the monitor did not watch to the end of the run."""
    for text in facts.seen.silent:
        yield Reason(code=Code.GPU_SILENT, level="suspect", text=text)


def busy_host(facts: Facts) -> Iterator[Reason]:
    """Report a host that others keep busy: it delays a CPU's steps, a GPU's hardly."""
    for text in filter(None, (facts.seen.busy_before, facts.seen.busy_during)):
        yield Reason(code=Code.BUSY_HOST, level=_of_host(facts), text=text)


def cpu_stolen(facts: Facts) -> Iterator[Reason]:
    """Report CPU time that other virtual machines took during the run."""
    if facts.seen.stolen:
        yield Reason(code=Code.CPU_STOLEN, level=_of_host(facts), text=facts.seen.stolen)


def _of_host(facts: Facts) -> Level:
    return "suspect" if facts.on_cpu else "note"


def slow_input(facts: Facts) -> Iterator[Reason]:
    """Note that a GPU waited while it trained on real data."""
    for name, busy in sorted(facts.fed.items()):
        if busy < FED:
            yield Reason(
                code=Code.SLOW_INPUT,
                level="note",
                text=f"{title(name)} was busy for only {share(busy)} of the time: does it wait for "
                "its input?",
            )


def memory_full(facts: Facts) -> Iterator[Reason]:
    """Note memory that was nearly full: allocators then search and retry, which slows steps."""
    for one in facts.memory:
        if one.used > FULL * one.total:
            yield Reason(
                code=Code.MEMORY_FULL,
                level="note",
                text=f"{one.what} was nearly full: {100 * one.used / one.total:.1f} % was used",
            )


def limit_missed(facts: Facts) -> Iterator[Reason]:
    """Doubt a run without the limits that it was to have."""
    for text in facts.missed:
        yield Reason(code=Code.LIMIT_MISSED, level="suspect", text=text)


def isolation(facts: Facts) -> Iterator[Reason]:
    """Note a container that shares more of its machine than usual."""
    if facts.shared:
        yield Reason(code=Code.ISOLATION, level="note", text=facts.shared)
