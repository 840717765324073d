"""What can be said of a node's clock: by its kernel, and by the one who started the check."""

from __future__ import annotations

import ctypes
import platform
from dataclasses import dataclass

from orchestrator.fleet.record import Clock, Launch, NodeRecord

# Logs and results of nodes are put in order by their clocks; less than this changes nothing.
APART = 1.0  # seconds

# Of Linux's timex on 64 bits: the number of bytes, and where its fields are (adjtimex(2)).
_SIZE = 208
_MAXIMUM_ERROR, _STATUS = 24, 40
_UNSYNCHRONISED = 0x40
_TIME_ERROR = 5


def here() -> Clock:
    """Ask the kernel whether something such as NTP keeps the clock right."""
    if platform.system() != "Linux" or ctypes.sizeof(ctypes.c_long) != 8:
        return Clock()
    timex = ctypes.create_string_buffer(_SIZE)  # modes = 0 only reads
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(timex)
    except (OSError, AttributeError):
        return Clock()
    if state < 0:
        return Clock()
    error = ctypes.c_long.from_buffer(timex, _MAXIMUM_ERROR).value
    status = ctypes.c_int.from_buffer(timex, _STATUS).value
    if state == _TIME_ERROR or status & _UNSYNCHRONISED:
        return Clock(synchronised=False)
    return Clock(synchronised=True, error=error / 1e6)


@dataclass(frozen=True, kw_only=True)
class Offset:
    """By how many seconds a node's clock is ahead of the clock here, at least and at most."""

    low: float
    high: float

    @property
    def apart(self) -> bool:
        """Whether the clocks certainly differ by more than `APART`."""
        return self.low > APART or self.high < -APART

    def __str__(self) -> str:
        """Return it as words."""
        ahead = self.low > 0
        least, most = sorted((abs(self.low), abs(self.high)))
        return f"{_seconds(least)} to {_seconds(most)} s {'ahead' if ahead else 'behind'}"


def _seconds(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def offset(record: NodeRecord, launch: Launch | None) -> Offset | None:
    """Return the limits that the order of events sets; None if nobody saw them.

    A node begins after it was started and before that was seen, and ends before its record was
    seen, whatever the delays of Slurm and of the shared file system.
    """
    seen = launch.seen.get(record.node) if launch else None
    if launch is None or seen is None:
        return None
    lows = [
        (own - ours).total_seconds()
        for own, ours in ((record.started, seen.began), (record.finished, seen.ended))
        if ours is not None
    ]
    if not lows:
        return None
    return Offset(low=max(lows), high=(record.started - launch.started).total_seconds())
