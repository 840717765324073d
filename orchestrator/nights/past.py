"""What earlier nights say about the series of tonight."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator.nights import noise
from orchestrator.nights.history import levels, places
from orchestrator.nights.record import Night, NightRun, NightSeries
from orchestrator.nights.rule import CONTROL, SERIES
from orchestrator.stats import median

# Far more than the level and the spread are estimated from, because some of them do not count.
MOST = 150
# The noise of nights is not known from fewer.
_FEWEST_NIGHTS = 3
# Their median needs no more; a thousand would take seconds.
_NEIGHBOURS = 100

Entry = tuple[Night, NightSeries]


@dataclass(frozen=True)
class Past:
    """The nights of a suite on one machine, oldest first, by series."""

    entries: dict[str, list[Entry]] = field(default_factory=dict)
    last: Night | None = None

    def history(self, key: str) -> list[dict[str, Any]]:
        """Return what `judge` wants to know of a series."""
        return [_told(night, series) for night, series in self.entries.get(key, ())]

    def baseline(self, key: str) -> Entry | None:
        """Return the last night that tonight is compared with, None if there is none."""
        level = self.level(key)
        return level[-1] if level else None

    def level(self, key: str) -> list[Entry]:
        """Return the nights of the present level of a series, oldest first."""
        return level_of(self.entries.get(key, ()))

    def requested(self, request: str) -> NightSeries | None:
        """Return the series that last ran for a request of the suite, by its digest."""
        known = self.last.series if self.last else ()
        return next((one for one in known if one.request == request), None)

    def neighbours(self) -> float | None:
        """Return the usual noise of nights of the series of this machine, None if unknown."""
        step = max(1, len(self.entries) // _NEIGHBOURS)
        known = {key: levels(self.history(key)) for key in list(self.entries)[::step]}
        seen = [
            _night_noise(found, is_control=self.entries[key][-1][1].control)
            for key, found in known.items()
            if sum(map(len, found)) >= _FEWEST_NIGHTS
        ]
        return median(seen) if seen else None


def of(nights: Iterable[Night], machine: str) -> Past:
    """Return what nights say, which come newest first; those of other machines do not count."""
    here = [night for night in nights if night.machine == machine]
    entries: dict[str, list[Entry]] = {}
    for night in reversed(here):
        for series in night.series:
            entries.setdefault(series.key, []).append((night, series))
    return Past(entries=entries, last=here[0] if here else None)


def level_of(entries: Sequence[Entry]) -> list[Entry]:
    """Return those of the nights of a series that belong to its newest level."""
    found = places([_told(*entry) for entry in entries])
    return [entries[index] for index in found[-1]] if found else []


def rebased(before: Past, tonight: Night) -> list[NightSeries]:
    """Return the series whose improvement has held long enough to be the new level by itself."""
    found = []
    for one in tonight.series:
        entries: list[Entry] = [*before.entries.get(one.key, ()), (tonight, one)]
        level = level_of(entries) if one.judgement.verdict == "improved" else []
        if level and level[-1] is entries[-1] and not one.accepted:
            found.append(one)
    return found


def is_good(run: NightRun) -> bool:
    """Whether a run measured something that can be trusted."""
    return bool(run.status == "completed" and run.throughput) and run.trust != "invalid"


def throughputs(runs: Iterable[NightRun]) -> tuple[float, ...]:
    """Return the throughputs of the good runs."""
    return tuple(run.throughput for run in runs if is_good(run) and run.throughput)


def counted(series: NightSeries) -> tuple[float, ...]:
    """Return the throughputs by which later nights are judged.

    If more runs cleared a night, its first runs were disturbed and do not count.
    """
    extra = throughputs(run for run in series.runs if run.extra)
    if series.judgement.verdict == "ok" and extra:
        return extra
    return throughputs(series.runs)


def _told(night: Night, series: NightSeries) -> dict[str, Any]:
    return {
        "runs": counted(series),
        "verdict": "invalid" if _is_kept_out(night, series) else series.judgement.verdict,
        "accepted": series.accepted,
    }


def _is_kept_out(night: Night, series: NightSeries) -> bool:
    return not series.accepted and bool(night.uncounted or series.uncounted)


def _night_noise(known: Sequence[Sequence[Sequence[float]]], *, is_control: bool) -> float:
    rule = CONTROL if is_control else SERIES
    every = [tuple(night) for level in known for night in level]
    run_noise = noise.of_runs(every, rule)
    centers = [[noise.place(night, run_noise) for night in level] for level in known]
    return noise.seen_between_nights(centers, run_noise)
