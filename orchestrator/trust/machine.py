"""Reasons in what the monitor saw of the machine."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.machine.disturbances import THROTTLED_ENOUGH, Throttling, title
from orchestrator.trust.facts import Facts
from orchestrator.trust.verdict import Code, Level, Reason
from orchestrator.units import share

# What keeps a GPU from damage. The others, power cap and sync boost, are normal states of a busy
# GPU: NVIDIA's DCGM fails a GPU for these four only.
_BLIP = "hardware slowdown"
PROTECTION = frozenset(
    {"software thermal slowdown", "hardware thermal slowdown", "hardware power brake", _BLIP}
)
NOTED, SUSPECT, INVALID = 0.001, 0.02, 0.10  # shares of the samples
# DCGM ignores these bits on such boards, which have no fans of their own.
_ALWAYS_HOT = ("Tesla K80", "Tesla T4")
CLOCK_NOTED, CLOCK_SUSPECT = 0.97, 0.90  # shares of the usual clock
FED, FULL = 0.80, 0.97


def throttled(facts: Facts) -> Iterator[Reason]:
    """Judge what throttled each GPU, by its share of the samples."""
    for one in facts.seen.throttling:
        level = _level(one, facts.gpus.get(one.gpu, ""))
        if level is not None:
            yield Reason(code=Code.THROTTLED, level=level, text=str(one))


def _level(one: Throttling, gpu: str) -> Level | None:
    if one.reason not in PROTECTION:
        return "note" if one.share >= THROTTLED_ENOUGH else None
    if one.share <= NOTED:
        return None
    # A single sample is too little to judge. The general bit is also set for a moment whenever the
    # clock changes, so it needs two samples in a row.
    if one.share <= SUSPECT or (one.streak if one.reason == _BLIP else one.samples) < 2:
        return "note"
    return "invalid" if one.share > INVALID and not gpu.endswith(_ALWAYS_HOT) else "suspect"


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
    """Report processes that used a GPU before the run."""
    for text in facts.seen.in_use:
        yield Reason(code=Code.FOREIGN_PROCESS, level="suspect", text=text)


def gpu_silent(facts: Facts) -> Iterator[Reason]:
    """Report GPUs that the monitor did not watch to the end of the run."""
    for text in facts.seen.silent:
        yield Reason(code=Code.GPU_SILENT, level="suspect", text=text)


def busy_host(facts: Facts) -> Iterator[Reason]:
    """Report a host that was busy before the run: it delays a CPU's steps, a GPU's hardly."""
    if facts.seen.busy_before:
        yield Reason(code=Code.BUSY_HOST, level=_of_host(facts), text=facts.seen.busy_before)


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
