"""Warnings about a figure that several programs' logs can cause."""

from __future__ import annotations

import math

from orchestrator.parsers.run import Run
from orchestrator.units import counted, share

LARGEST_DATA_SHARE = 0.20
LARGEST_DIFFERENCE = 0.10


def end(run: Run, reason: str) -> None:
    """Warn that the windows may not be complete: the log does not show the run's end."""
    if run.windows.count:
        count = counted(run.windows.count, "window")
        run.warn(f"{reason}: the throughput is of the {count} printed so far")


def gaps(run: Run, *, from_start: bool = False) -> None:
    """Warn about missing windows between others: their lines are broken or lost.

    `from_start` says that the log shows the start of the run, so the first window is known too.
    """
    found = run.windows.gaps + int(from_start and run.windows.starts_late)
    if found:
        run.warn(f"windows are missing at {counted(found, 'place')}: lines are broken or lost")


def copies(run: Run) -> None:
    """Refuse windows that are printed again and differ a lot: the processes are not of one run.

    For programs whose processes all print the total rate.
    """
    if run.windows.largest_difference > LARGEST_DIFFERENCE:
        part = share(run.windows.largest_difference)
        run.fail(f"windows are printed again with rates that differ by {part}: two runs are mixed")


def data(run: Run, waited: float, step: float) -> None:
    """Warn that reading data took a large part of a step; both times have the same unit."""
    if is_data_bound(waited, step):
        run.warn(f"reading data took {share(waited / step)} of a step")


def is_data_bound(waited: float, step: float) -> bool:
    """Whether reading data took so much of a step that the program measures the input."""
    return 0 < step < math.inf and LARGEST_DATA_SHARE * step < waited <= step
