"""Judges one night of one series against its history."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from orchestrator.nights import noise
from orchestrator.nights.history import LEVEL_NIGHTS, Night, levels, logarithms
from orchestrator.nights.rule import SERIES, Rule
from orchestrator.stats import median
from orchestrator.units import counted

Verdict = Literal["ok", "regressed", "improved", "ambiguous", "no data"]
Rerun = Callable[[int], Sequence[float]]

# Nights that must be known before noise can be estimated.
FEWEST_NIGHTS = 3
# A suspect night is off by this many standard errors; it is confirmed or cleared by further runs.
_SUSPECT = 2.0
# The further runs must show this much of the limit to confirm a change, or less than that of it
# to clear a night; all runs together clear it below half of the limit.
_CONFIRM_NEW, _CLEAR_NEW, _CLEAR = 0.6, 0.3, 0.5


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What a night says of a series. Throughputs in samples per second, shares of 1.

    value, baseline: tonight's throughput and that of the level; None if unknown.
    change: how far they are apart, negative for slower.
    limit: a change beyond this counts, with all the runs that were made.
    resolution: the smallest change that one night of this series can show.
    run_noise, night_noise: the standard deviations on which the limit rests.
    nights: how many nights the baseline comes from.
    extra: the throughputs of further runs that were made to be sure.
    """

    verdict: Verdict
    value: float | None = None
    baseline: float | None = None
    change: float | None = None
    limit: float | None = None
    resolution: float | None = None
    run_noise: float | None = None
    night_noise: float | None = None
    nights: int = 0
    extra: tuple[float, ...] = ()

    @property
    def sentence(self) -> str:
        """Say it in one sentence."""
        if self.change is None or self.limit is None:
            known = counted(self.nights, "night")
            return f"no verdict: {known} known, {FEWEST_NIGHTS} are needed"
        word = "slower" if self.change < 0 else "faster"
        runs = counted(len(self.extra), "more run")
        seen = f"{_percent(self.change)} {word} than the last {counted(self.nights, 'night')}"
        match self.verdict:
            case "ok" if not self.extra:
                return f"{seen}, within the limit of {_percent(self.limit)}"
            case "ok":
                return f"{seen}: not confirmed by {runs}"
            case "ambiguous":
                return f"{seen}: {runs} neither confirmed nor refuted it"
            case _:
                return f"{seen}, confirmed by {runs}; the limit is {_percent(self.limit)}"


def _percent(change: float) -> str:
    return f"{abs(change) * 100:.1f} %"


@dataclass(frozen=True, kw_only=True)
class _Level:
    """What a series is judged against."""

    baseline: float
    run_noise: float
    night_noise: float
    nights: int

    def error(self, runs: int) -> float:
        """Return the standard error of a night of so many runs against the baseline."""
        return noise.change_error(self.run_noise, self.night_noise, self.nights, runs)


def judge(
    history: Sequence[Mapping[str, Any]],
    tonight: Sequence[float],
    rerun: Rerun,
    *,
    rule: Rule = SERIES,
    neighbours: float | None = None,
) -> Judgement:
    """Judge the throughputs of tonight's runs of a series.

    `history` has a mapping per night, oldest first: `runs` are throughputs, `verdict` is the word
    that the night got, `accepted` makes it the first night of a new level. `rerun(k)` makes k more
    runs and returns the throughputs of those that worked; it is called only if the night is
    suspect. `neighbours` is described at `noise.of_nights`.
    """
    known = levels(history)
    runs = logarithms(tonight)
    nights = sum(map(len, known))
    if nights < FEWEST_NIGHTS or not runs:
        return Judgement(verdict="no data", nights=nights)
    return _Case(_level(known, rule, neighbours), rule, runs).judged(rerun)


def _level(known: Sequence[Sequence[Night]], rule: Rule, neighbours: float | None) -> _Level:
    run_noise = noise.of_runs([night for level in known for night in level], rule)
    places = [[noise.place(night, run_noise) for night in level] for level in known]
    night_noise = noise.of_nights(places, run_noise, rule, neighbours)
    last = places[-1][-LEVEL_NIGHTS:]
    return _Level(
        baseline=median(last),
        run_noise=run_noise,
        night_noise=night_noise,
        nights=len(last),
    )


class _Case:
    """One night while it is judged."""

    def __init__(self, level: _Level, rule: Rule, runs: Night) -> None:
        self._level = level
        self._rule = rule
        self._runs = runs
        self._extra: Night = ()

    def judged(self, rerun: Rerun) -> Judgement:
        """Judge it; make more runs as long as it is open."""
        if not self._is_suspect():
            return self._as("ok", self._runs)
        for count in self._rule.stages:
            self._extra += logarithms(rerun(count))
            if not self._extra:
                continue
            if verdict := self._verdict():
                cleared = verdict == "ok"
                return self._as(verdict, self._extra if cleared else self._all)
        return self._as("ambiguous", self._all)

    @property
    def _all(self) -> Night:
        return self._runs + self._extra

    def _change(self, runs: Night) -> float:
        return noise.place(runs, self._level.run_noise) - self._level.baseline

    def _limit(self, runs: int) -> float:
        return max(self._rule.floor, self._rule.limit * self._level.error(runs))

    def _is_suspect(self) -> bool:
        least = max(self._rule.suspect, _SUSPECT * self._level.error(len(self._runs)))
        return abs(self._change(self._runs)) > least

    def _verdict(self) -> Verdict | None:
        """Return the verdict of all runs so far, None if it is still open."""
        change, fresh = self._change(self._all), self._change(self._extra)
        limit = self._limit(len(self._all))
        if change < -limit and fresh < -_CONFIRM_NEW * limit:
            return "regressed"
        if change > limit and fresh > _CONFIRM_NEW * limit:
            return "improved"
        if abs(change) < _CLEAR * limit or abs(fresh) < _CLEAR_NEW * limit:
            return "ok"
        return None

    def _as(self, verdict: Verdict, runs: Night) -> Judgement:
        change = self._change(runs)
        level, most = self._level, noise.USUAL_RUNS + sum(self._rule.stages)
        return Judgement(
            verdict=verdict,
            value=math.exp(level.baseline + change),
            baseline=math.exp(level.baseline),
            change=math.expm1(change),
            limit=self._limit(len(self._all)),
            resolution=self._limit(most),
            run_noise=level.run_noise,
            night_noise=level.night_noise,
            nights=level.nights,
            extra=tuple(map(math.exp, self._extra)),
        )
