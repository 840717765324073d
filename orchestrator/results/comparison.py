"""Compares two sides of one or several runs: how their throughputs differ, and possible reasons."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from orchestrator.result import Result
from orchestrator.results.differences import Change, differences, unrecorded
from orchestrator.results.ratio import Ratio, ratio

# Runs that differ in one of these are of different benchmarks.
_THE_BENCHMARK = ("network", "work", "program")
_ENOUGH_RUNS = 5

Side = Sequence[Result]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What was found. `same_network` is None if a run does not say which network it has.

    `names` are the names of the sides in the sentences, `counts` how many runs each has.
    """

    names: tuple[str, str]
    counts: tuple[int, int]
    same_network: bool | None
    ratio: Ratio | None
    why_no_ratio: str
    changes: tuple[Change, ...]
    unrecorded: tuple[str, ...]
    caveats: tuple[str, ...]

    @property
    def variables(self) -> tuple[Change, ...]:
        """Changes that no other change explains, without what was only observed during the runs."""
        return tuple(c for c in self.changes if not c.follows and c.group != "state")


def compare(a: Result, b: Result, names: tuple[str, str] = ("a", "b")) -> Comparison:
    """Compare two results, whatever they are of."""
    return compare_groups((a,), (b,), names)


def compare_groups(a: Side, b: Side, names: tuple[str, str] = ("a", "b")) -> Comparison:
    """Compare two groups of runs, each of one benchmark. A group has at least one run."""
    fingerprints = {result.fingerprint for result in (*a, *b)}
    mixed = [_mixed(side) for side in (a, b)]
    why = _why_not(a, b, names) or _why_mixed(mixed, names)
    within = {change.name for changes in mixed for change in changes}
    return Comparison(
        names=names,
        counts=(len(a), len(b)),
        same_network=None if None in fingerprints else len(fingerprints) == 1,
        ratio=None if why else ratio(_throughputs(a), _throughputs(b)),
        why_no_ratio=why,
        changes=tuple(c for c in differences(a[0], b[0]) if c.name not in within),
        unrecorded=unrecorded(a[0], b[0]),
        caveats=() if why else (*_caveats(a, b, names), *_caveats_of_mixed(mixed, names)),
    )


def _throughputs(side: Side) -> list[float]:
    return [result.metrics["throughput"].value for result in side]


def _called(name: str, side: Side, result: Result) -> str:
    """Name a run in a sentence: by its side, and in a group also by its id."""
    return name if len(side) == 1 else f"{name}'s run {result.run or 'without id'}"


def _why_not(a: Side, b: Side, names: tuple[str, str]) -> str:
    """Say why there is no ratio, or ""."""
    for name, side in zip(names, (a, b), strict=True):
        for result in side:
            why = _why_no_throughput(result)
            if why:
                return f"{_called(name, side, result)} {why}"
    units = [result.metrics["throughput"].unit for result in (*a, *b)]
    other = next((index for index, unit in enumerate(units) if unit != units[0]), None)
    if other is None:
        return ""
    name, side = (names[0], a) if other < len(a) else (names[1], b)
    called = _called(name, side, (*a, *b)[other])
    return f"{_called(names[0], a, a[0])} counts {units[0]} and {called} counts {units[other]}"


def _why_no_throughput(result: Result) -> str:
    if result.failure is not None:
        return f"failed ({result.failure.kind}): {result.failure.message}"
    told = result.metrics.get("throughput")
    if told is None:
        return f"has no throughput (status {result.status})"
    if not 0 < told.value < math.inf:
        return f"has no plausible throughput: {told.value} {told.unit}"
    return ""


def _mixed(side: Side) -> tuple[Change, ...]:
    """Return what differs between the runs of one side, each fact once."""
    found = (change for other in side[1:] for change in differences(side[0], other))
    return tuple({c.name: c for c in found if c.group != "state" and not c.follows}.values())


def _why_mixed(mixed: Sequence[Sequence[Change]], names: tuple[str, str]) -> str:
    """Say that a group is not of one benchmark, or ""."""
    for name, changes in zip(names, mixed, strict=True):
        for change in changes:
            if change.group in _THE_BENCHMARK:
                return (
                    f"{name} has runs of different benchmarks: {change.name} is {change.before} "
                    f"in one and {change.after} in another"
                )
    return ""


def _caveats_of_mixed(mixed: Sequence[Sequence[Change]], names: tuple[str, str]) -> Iterator[str]:
    for name, changes in zip(names, mixed, strict=True):
        if changes:
            yield f"the runs of {name} differ in {', '.join(change.name for change in changes)}"


def _caveats(a: Side, b: Side, names: tuple[str, str]) -> Iterator[str]:
    if len(a) == len(b) == 1 and a[0].run is not None and a[0].run == b[0].run:
        yield f"{names[0]} and {names[1]} are the same run"
    if 2 <= min(len(a), len(b)) < _ENOUGH_RUNS:
        yield (
            f"few runs show only large differences: use --runs {_ENOUGH_RUNS} or more on each side"
        )
    for name, side in zip(names, (a, b), strict=True):
        warnings = dict.fromkeys(text for result in side for text in result.warnings)
        yield from (f"{name}: {text}" for text in warnings)
        yield from _doubted(name, side)


def _doubted(name: str, side: Side) -> Iterator[str]:
    """Yield the verdict on each run that is not valid; its warnings were said already."""
    for result in side:
        verdict = result.verdict
        if verdict is not None and verdict.trust != "valid":
            yield f"{_called(name, side, result)} is {verdict.in_words(result.warnings)}"
