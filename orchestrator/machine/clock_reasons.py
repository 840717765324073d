"""What NVIDIA's driver gives as reasons for a GPU's clock, and how serious each one is.

The bits are those of nvmlDeviceGetCurrentClocksEventReasons (until driver 530: ...ThrottleReasons;
the numbers never changed). From driver 575 on it also counts the nanoseconds of five of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

# idle: nothing to do. setting: an administrator's choice. normal: a busy GPU at its limit.
# protection: against heat or a weak power supply; the only ones that NVIDIA's DCGM fails a GPU for.
Kind = Literal["idle", "setting", "normal", "protection", "unknown"]


@dataclass(frozen=True)
class Reason:
    """One reason: its bit, its name in sentences, and how serious it is."""

    bit: int
    word: str
    kind: Kind


_SLOWDOWN = Reason(0x8, "hardware slowdown", "protection")
_SPECIFIC = 0x40 | 0x80  # set together with the general 0x8
KNOWN = (
    Reason(0x1, "idle", "idle"),
    Reason(0x2, "application clocks", "setting"),
    Reason(0x4, "power cap", "normal"),
    _SLOWDOWN,
    Reason(0x10, "sync boost", "normal"),
    Reason(0x20, "software thermal slowdown", "protection"),
    Reason(0x40, "hardware thermal slowdown", "protection"),
    Reason(0x80, "hardware power brake", "protection"),
    Reason(0x100, "display clocks", "setting"),
    Reason(0x200, "board limit", "normal"),  # new in driver 615, like the next
    Reason(0x400, "reliability limit", "normal"),
)
_BITS = tuple(1 << place for place in range(64))
BY_BIT = {one.bit: one for one in KNOWN}
KINDS: dict[str, Kind] = {one.word: one.kind for one in KNOWN}
# The general bit is also set for a moment whenever the clock changes.
BLIP = _SLOWDOWN.word
IDLE = "idle"
# What the older of the driver's counters covers; its bits are the two thermal ones.
THERMAL = "thermal slowdown"
KINDS[THERMAL] = "protection"
COVERED = {THERMAL: ("software thermal slowdown", "hardware thermal slowdown")}


@lru_cache(maxsize=256)
def words(mask: int) -> tuple[str, ...]:
    """Decode a mask; bits of later drivers are shown as they are, in hex."""
    return tuple(_decoded(mask))


def _decoded(mask: int) -> Iterator[str]:
    for bit in _BITS:
        if not mask & bit or (bit == _SLOWDOWN.bit and mask & _SPECIFIC):
            continue
        known = BY_BIT.get(bit)
        yield known.word if known else f"reason {bit:#x}"


def kind(word: str) -> Kind:
    """Return how serious a reason is."""
    return KINDS.get(word, "unknown")
