"""Adds up workers of one job that print to one log, each the rate of its devices."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from orchestrator.parsers.log import Log
from orchestrator.parsers.run import Run
from orchestrator.parsers.windows import together
from orchestrator.units import counted

Rank = tuple[int, int] | None  # job and process, from the prefix of a line
_STARTS = "starts"
WHOLE = "whole"  # a note of a run: each worker prints the rate of all
_RANKS_AGREE = 0.01
_MATCHING = 0.5  # of the windows of the worker that prints most


def starts(log: Log) -> None:
    """Count a line that each worker prints before its first window."""
    if not log.run.windows.count:
        log.run.notes[_STARTS] = log.run.notes.get(_STARTS, 0) + 1


def join(logs: Mapping[Rank, Log]) -> dict[Rank, Log]:
    """Give the windows of all ranks to the lowest one that printed any; return what is left."""
    ranks = sorted(logs, key=lambda rank: rank or (-1, -1))
    printed = [rank for rank in ranks if _timed(logs[rank])]
    if not printed:
        return dict(logs)
    base = _timed(logs[printed[0]])
    for rank in ranks:
        if rank == printed[0]:
            continue
        runs = _timed(logs[rank])
        if runs and len(runs) != len(base):
            base[0].fail("the ranks in the log do not print the same number of runs")
        for run, other in zip(base, runs or [logs[rank].run], strict=False):
            _take_over(run, other, rank)
    return {rank: logs[rank] for rank in printed[:1]}


def _timed(log: Log) -> list[Run]:
    return [run for run in log.runs if run.windows.count]


def _take_over(run: Run, other: Run, rank: Rank) -> None:
    for name, windows in {other.worker: other.windows, **other.others}.items():
        if windows.count and (windows is other.windows or not other.windows.same_rates(windows)):
            run.others[rank, name] = windows
    run.notes[_STARTS] = run.notes.get(_STARTS, 0) + other.notes.get(_STARTS, 0)


def count(logs: Sequence[Log]) -> None:
    """Store in each run how many ranks print, with a prefix or without, and whether they differ."""
    started = [log.run for log in logs if log.run.started]
    differ = any(not started[0].windows.same_rates(other.windows) for other in started[1:])
    for run in (run for log in logs for run in log.runs):
        run.ranks = max(run.ranks, len(started), run.windows.most_copies)
        run.ranks_differ = differ or run.windows.largest_difference > 0


def latest_rate(runs: Sequence[Run]) -> float:
    """Return the sum of the latest windows' rates of all workers, nan before the first."""
    each = [windows for run in runs for windows in (run.windows, *run.others.values())]
    rates = [windows.rates[-1] for windows in each if windows.count]
    return math.fsum(rates) if rates else math.nan


def are_of_one(runs: list[Run]) -> bool:
    """Whether what looks like several runs was printed by the workers of one run.

    Each of them must know their number and print the same total.
    """
    rates = [run.throughput or math.nan for run in runs]
    near = all(abs(rate - rates[0]) <= _RANKS_AGREE * rates[0] for rate in rates)
    return near and all(run.facts.get("workers") == len(runs) for run in runs)


def add_up(run: Run) -> None:
    """Replace a run's windows by the sums over all its workers, and report their number."""
    if run.notes.get(WHOLE):
        return
    others = [windows for windows in run.others.values() if windows.count]
    count = 1 + len(others)
    if others:
        _add_up(run, count)
    silent = run.notes.get(_STARTS, 0) - count
    if run.windows.count and silent > 0:
        run.one_of_several = True
        run.warn(f"{silent} more workers start, but print no rates: they are left out")


def _add_up(run: Run, count: int) -> None:
    others = [windows for windows in run.others.values() if windows.count]
    run.fact("workers", count)
    names = {name[1] if isinstance(name, tuple) else name for name in run.others}
    if names <= {run.worker, *range(count)} and all(
        run.windows.same_rates(other) for other in others
    ):
        run.one_of_several = True
        run.warn(
            f"{count} processes print the same rates: the figure is of one of them, and maybe only "
            "of its devices"
        )
        return
    joined = together([run.windows, *others])
    if joined.count < _MATCHING * max(windows.count for windows in (run.windows, *others)):
        run.fail(f"{count} workers print, but not the same windows: their rates cannot be added up")
        return
    missing = max(windows.count for windows in (run.windows, *others)) - joined.count
    if missing > 0:
        run.warn(f"not every worker prints {counted(missing, 'window')}: left out")
    run.windows = joined
    run.warn(f"{count} workers print separate rates: the throughput is their sum")
    if isinstance(run.facts.get("devices"), int):
        run.facts["devices"] *= count
