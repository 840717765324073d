"""Detects two runs of trtexec that wrote to one log at the same time, line by line.

A run with the batch of one and the times of the other has a figure of neither.
"""

from __future__ import annotations

from orchestrator.parsers.log import Log
from orchestrator.parsers.numbers import Line
from orchestrator.parsers.run import Run

# Which releases print a line.
UP_TO_5, ONLY_6, UP_TO_7, FROM_7, FROM_8 = "up to 5", "6", "6 or 7", "7 or later", "8 or later"
_TOGETHER = (
    frozenset((UP_TO_5,)),
    frozenset((ONLY_6, UP_TO_7)),
    frozenset((UP_TO_7, FROM_7)),
    frozenset((FROM_7, FROM_8)),
)
_RELEASES = "releases"
_OPEN, _OVERLAP = "open_banners", "overlapping_banners"  # notes of a log's first run


def note(run: Run, release: str, line: Line) -> None:
    """Note which releases print a line; lines that no release prints together are of two runs."""
    seen = run.facts.get(_RELEASES, frozenset()) | {release}
    run.facts[_RELEASES] = seen
    if not any(seen <= group for group in _TOGETHER):
        run.fail("lines of two releases of trtexec are mixed in the log", line)


def release_of_average(text: str) -> str:
    """Return which releases print a line of averages."""
    if "Average over " in text:
        return UP_TO_5
    if "compute time average" in text:
        return ONLY_6
    return FROM_8 if " ms (enqueue " in text else FROM_7


def is_late(run: Run) -> bool:
    """Whether the lines are of release 8 or later."""
    return FROM_8 in run.facts.get(_RELEASES, ())


def is_early(run: Run) -> bool:
    """Whether the lines are of a release up to 5."""
    return UP_TO_5 in run.facts.get(_RELEASES, ())


def forget(run: Run) -> None:
    """Remove notes that are only kept until the run's end."""
    run.facts.pop(_RELEASES, None)


def banner(log: Log, word: str, line: Line) -> None:
    """Note where a run starts or ends; two that start before one ends, and both end, overlap.

    If only one of them ends, the other one died silently.
    """
    notes = log.runs[0].notes
    running = notes.get(_OPEN, 0)
    if word == "RUNNING":
        notes[_OVERLAP] = int(notes.get(_OVERLAP, 0) or running > 0)
        notes[_OPEN] = running + 1
        return
    notes[_OPEN] = max(0, running - 1)
    if running == 1 and notes.get(_OVERLAP):
        for run in log.runs:
            run.fail("two runs of trtexec are mixed in the log", line)
