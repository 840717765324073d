"""The line prefix of glog, the logging library of Caffe and Caffe2.

`I0413 11:48:34.255635 22206 solver.cpp:242] `: no year, the thread padded by any number of spaces.
Quotes often lack it, so it is optional.
"""

from __future__ import annotations

from datetime import datetime

from orchestrator.parsers.numbers import Found

PREFIX = (
    r"\s*(?:[IWEF](?:\d{4})?(?P<date>\d{4}) (?P<clock>\d\d:\d\d:\d\d\.\d{6}) +\d+ "
    r"[\w./-]+:\d+\] *)?"
)

_YEAR = 366 * 86400.0
_DAY = 86400.0


def seconds(found: Found) -> float | None:
    """Return when a line was written, in seconds of some leap year; None without a prefix."""
    if not found.has("date"):
        return None
    try:
        stamp = datetime.strptime(f"2000{found.text('date')} {found.text('clock')}", _FORMAT)
    except ValueError:
        return None
    return (stamp - _NEW_YEAR).total_seconds()


def between(earlier: float, later: float) -> float:
    """Return the seconds from one stamp to another; a year may end in between."""
    passed = later - earlier
    # A clock that was set back by less than a day does not mean that a year ended.
    return passed + _YEAR if passed < -_DAY else passed


_FORMAT = "%Y%m%d %H:%M:%S.%f"
_NEW_YEAR = datetime(2000, 1, 1)
