"""Reasons in the health of the GPUs: errors, limits, and the state of the board."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.machine import xid as xids
from orchestrator.machine.disturbances import GpuSeen, title
from orchestrator.trust.facts import Facts
from orchestrator.trust.verdict import Code, Level, Reason
from orchestrator.units import counted

_XID_LEVELS: dict[xids.Fault, Level] = {
    "program": "note",
    "note": "note",
    "unknown": "suspect",
    "hardware": "invalid",
}
# A program's fault that comes again and again is the hardware's.
_REPEATED = 3
# NVIDIA's DCGM fails its test of PCIe at so many replays.
MOST_REPLAYS = 80
_RECOVERIES = (
    *(
        "",
        "reset it",
        "restart the machine",
        "drain its peer-to-peer traffic",
        "drain and reset it",
    ),
    *("reset its IMEX domain", "reset the bus", "restart the whole system"),
)
_COMPLETED = 3
# The driver rounds limits.
_WATT = 1.0


def power_limit(facts: Facts) -> Iterator[Reason]:
    """Report a limit below the board's own: the figure is then not that of the board."""
    for name, one in facts.seen.gpus.items():
        limit, usual = one.before.power_limit, one.before.power_limit_default
        if limit is not None and usual is not None and limit < usual - _WATT:
            yield Reason(
                code=Code.POWER_LIMIT,
                level="suspect",
                text=f"{title(name)} is limited to {limit:.0f} of its usual {usual:.0f} W",
            )


def xid(facts: Facts) -> Iterator[Reason]:
    """Judge each Xid by whose fault it is."""
    for name, number, count in facts.seen.xids:
        level = _XID_LEVELS[xids.fault(number)]
        if level == "note" and count >= _REPEATED:
            level = "suspect"
        times = f", {count} times" if count > 1 else ""
        yield Reason(
            code=Code.XID,
            level=level,
            text=f"{title(name)} reported {xids.describe(number)} during the run{times}",
        )


def memory_errors(facts: Facts) -> Iterator[Reason]:
    """Report errors of the GPU's memory that were counted during the run."""
    for name, one in facts.seen.gpus.items():
        for kind, level, before, after in _errors(one):
            if before is not None and after is not None and after > before:
                errors = counted(after - before, f"{kind} memory error")
                yield Reason(
                    code=Code.MEMORY_ERRORS,
                    level=level,
                    text=f"{title(name)} had {errors} (ECC) during the run",
                )


def _errors(one: GpuSeen) -> Iterator[tuple[str, Level, int | None, int | None]]:
    before, after = one.before, one.after
    yield "uncorrected", "invalid", before.ecc_uncorrected, after.ecc_uncorrected
    yield "corrected", "note", before.ecc_corrected, after.ecc_corrected


def board_state(facts: Facts) -> Iterator[Reason]:
    """Report what the board or its fabric needs."""
    for name, one in facts.seen.gpus.items():
        for level, text in _needs(one):
            yield Reason(code=Code.BOARD_STATE, level=level, text=f"{title(name)} {text}")


def _needs(one: GpuSeen) -> Iterator[tuple[Level, str]]:
    now = one.after
    if now.recovery:
        known = now.recovery < len(_RECOVERIES)
        what = _RECOVERIES[now.recovery] if known else f"recovery action {now.recovery}"
        yield "suspect", f"needs attention: the driver says to {what}"
    if now.remap_failed:
        yield "suspect", "could not replace a row of its memory: the board has to be replaced"
    if now.remap_pending or now.pages_pending:
        yield "note", "will replace broken memory at its next reset"
    if now.fabric_degraded:
        yield "suspect", "has an NVLink fabric with less than its bandwidth"
    if now.fabric and now.fabric != _COMPLETED:
        yield "note", f"has not joined its NVLink fabric (state {now.fabric})"


def pcie_link(facts: Facts) -> Iterator[Reason]:
    """Compare the fastest link during the run with the best of GPU and slot.

    Idle GPUs slow their link down, so one sample under load at full speed is enough.
    """
    level: Level = "suspect" if facts.reads_data else "note"
    for name, one in facts.seen.gpus.items():
        best = (one.before.pcie_generation_max, one.before.pcie_width_max)
        now = (one.pcie_generation, one.pcie_width)
        if any(n is not None and b is not None and n < b for n, b in zip(now, best, strict=True)):
            yield Reason(
                code=Code.PCIE_LINK,
                level=level,
                text=f"{title(name)} had a PCIe link of {_link(*now)} instead of {_link(*best)}",
            )
        replays = (one.after.pcie_replays or 0) - (one.before.pcie_replays or 0)
        if replays >= MOST_REPLAYS:
            yield Reason(
                code=Code.PCIE_LINK,
                level="suspect",
                text=f"{title(name)} repeated {replays} transfers over PCIe during the run",
            )


def _link(generation: float | None, width: float | None) -> str:
    known = f"generation {generation:.0f}" if generation is not None else ""
    lanes = f"{width:.0f} lanes" if width is not None else ""
    return ", ".join(filter(None, (known, lanes)))
