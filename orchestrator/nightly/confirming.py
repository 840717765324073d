"""Judges all series of a night, and confirms the suspects together.

`judge` asks for more runs of one series at a time. Made at once, they would stand back to back, and
a disturbance of some minutes would hit all of them; so they are collected, made in passes over all
suspects, and each suspect is judged again with what has been measured.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator.nights import Judgement, Rule, judge


@dataclass(frozen=True, kw_only=True)
class Case:
    """A series to judge: its history as for `judge`, tonight's throughputs, and its rule."""

    history: Sequence[Mapping[str, Any]]
    tonight: Sequence[float]
    rule: Rule


# Makes so many more runs of each series, in passes; returns the throughputs of those that worked.
MoreRuns = Callable[[Mapping[str, int]], Mapping[str, Sequence[float]]]


class _WantedError(Exception):
    """More runs are needed than there are."""

    def __init__(self, count: int) -> None:
        self.count = count


@dataclass
class _Supply:
    """The further runs of a series, one list per stage."""

    stages: list[Sequence[float]] = field(default_factory=list)

    def rerun(self) -> Callable[[int], Sequence[float]]:
        """Return what `judge` calls; it starts at the first stage."""
        left = iter(self.stages)

        def more(count: int) -> Sequence[float]:
            for stage in left:
                return stage
            raise _WantedError(count)

        return more


def judge_all(
    cases: Mapping[str, Case], more_runs: MoreRuns, neighbours: float | None
) -> dict[str, Judgement]:
    """Judge every series of a night, by its key."""
    supplies = {key: _Supply() for key in cases}
    found: dict[str, Judgement] = {}
    while open_ := [key for key in cases if key not in found]:
        wanted: dict[str, int] = {}
        for key in open_:
            case = cases[key]
            try:
                found[key] = judge(
                    case.history,
                    case.tonight,
                    supplies[key].rerun(),
                    rule=case.rule,
                    neighbours=neighbours,
                )
            except _WantedError as told:
                wanted[key] = told.count
        if wanted:
            made = more_runs(wanted)
            for key in wanted:
                supplies[key].stages.append(made.get(key, ()))
    return found
