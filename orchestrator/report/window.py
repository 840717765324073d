"""The nights that a report shows: the last one whole, of the others only what is drawn.

A night of a thousand series has some megabytes as records, so each is reduced as it is read.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import dropwhile, islice

from orchestrator.errors import RequestError
from orchestrator.nights import decisions, files
from orchestrator.nights.record import Night, NightDecision, NightSeries
from orchestrator.report.status import Kind, kind
from orchestrator.stats import median

NIGHTS = 180
_NEW_LEVEL = {"accept": "accepted", "auto": "new level"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A night of a series. Throughputs in samples per second, shares of 1."""

    kind: Kind
    runs: tuple[float, ...]
    value: float | None
    baseline: float | None
    change: float | None
    limit: float | None
    facts: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Line:
    """A night of all series. Times in seconds since 1970; `kinds` counts series."""

    number: int
    night: date
    session: str
    started: float
    finished: float
    facts: Mapping[str, str]
    kinds: Mapping[Kind, int]
    problems: tuple[str, ...]
    uncounted: str | None


@dataclass(frozen=True, kw_only=True)
class Mark:
    """Something that happened before a night: what, and what it was like before and after."""

    index: int
    night: date
    label: str
    before: str = ""
    after: str = ""


@dataclass(frozen=True, kw_only=True)
class Window:
    """Nights, oldest first; `points` has one value per night, None for a night without it."""

    tonight: Night
    lines: tuple[Line, ...]
    points: Mapping[str, tuple[Point | None, ...]]
    decisions: tuple[NightDecision, ...] = ()

    def of(self, key: str) -> tuple[Point | None, ...]:
        """Return the nights of a series."""
        return self.points[key]

    def since(self, key: str) -> int:
        """Return the index of the first night of a series."""
        return next(n for n, point in enumerate(self.points[key]) if point is not None)

    def marks(self, key: str) -> list[Mark]:
        """Return what changed around a series and what was accepted, oldest first."""
        found: list[Mark] = []
        facts: Mapping[str, str] | None = None
        decided = {one.night: one for one in self.decisions if one.series == key}
        for index, (line, point) in enumerate(zip(self.lines, self.points[key], strict=True)):
            if point is None:
                continue
            now = {**line.facts, **point.facts}
            for label, before, after in _differences(facts, now):
                found.append(
                    Mark(index=index, night=line.night, label=label, before=before, after=after)
                )
            facts = now
            one = decided.get(line.number)
            if one is not None and one.kind in _NEW_LEVEL:
                said = f"{one.who}: {one.why}" if one.who else one.why
                label = _NEW_LEVEL[one.kind]
                found.append(Mark(index=index, night=line.night, label=label, after=said))
        return found

    def machine_marks(self) -> list[Mark]:
        """Return what changed on the machine, oldest first."""
        found: list[Mark] = []
        facts: Mapping[str, str] | None = None
        for index, line in enumerate(self.lines):
            found += (
                Mark(index=index, night=line.night, label=label, before=before, after=after)
                for label, before, after in _differences(facts, line.facts)
            )
            facts = line.facts
        return found


def _differences(
    before: Mapping[str, str] | None, after: Mapping[str, str]
) -> Iterator[tuple[str, str, str]]:
    for label in sorted(after) if before is not None else ():
        if before is not None and label in before and before[label] != after[label]:
            yield label, before[label], after[label]


def of_suite(suite: str, day: date | None = None, most: int = NIGHTS) -> Window:
    """Read a suite's nights up to a day. Raises RequestError if there is none on that day."""
    nights = files.newest(suite)
    if day is not None:
        nights = dropwhile(lambda night: night.night != day, nights)
    found = window(islice(nights, most), decisions.read(suite))
    if found is None:
        newest = next(files.newest(suite)).night
        raise RequestError(
            f"no night of {suite} started on {day}", hint=f"the newest one is --night {newest}"
        )
    return found


def window(newest_first: Iterable[Night], decided: Sequence[NightDecision] = ()) -> Window | None:
    """Reduce nights; None if there are none. Series are those of the newest night."""
    nights = iter(newest_first)
    tonight = next(nights, None)
    if tonight is None:
        return None
    lines = [_line(tonight)]
    columns: dict[str, list[Point | None]] = {one.key: [_point(one)] for one in tonight.series}
    for night in nights:
        lines.append(_line(night))
        known = {one.key: one for one in night.series}
        for key, column in columns.items():
            column.append(_point(known[key]) if key in known else None)
    return Window(
        tonight=tonight,
        lines=tuple(reversed(lines)),
        points={key: tuple(reversed(column)) for key, column in columns.items()},
        decisions=tuple(decided),
    )


def _line(night: Night) -> Line:
    return Line(
        number=night.number,
        night=night.night,
        session=night.session,
        started=night.started,
        finished=night.finished,
        facts=night.facts,
        kinds=Counter(map(kind, night.series)),
        problems=night.problems,
        uncounted=night.uncounted,
    )


def _point(series: NightSeries) -> Point:
    judged = series.judgement
    runs = tuple(filter(None, (_drawn(run.throughput) for run in series.runs)))
    return Point(
        kind=kind(series),
        runs=runs,
        value=_drawn(judged.value) or (median(runs) if runs else None),
        baseline=_drawn(judged.baseline),
        change=judged.change,
        limit=_drawn(judged.limit),
        facts=series.facts,
    )


def _drawn(value: float | None) -> float | None:
    """Return a value that can be drawn, None for any other."""
    return value if value is not None and 0 < value < math.inf else None
