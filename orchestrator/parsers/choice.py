"""Chooses the run of a log that counts: which rank's, and which of several."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.parsers import workers
from orchestrator.parsers.contract import ParseHints
from orchestrator.parsers.formats import Format
from orchestrator.parsers.log import Log
from orchestrator.parsers.run import Run
from orchestrator.parsers.workers import Rank

_RANKS_AGREE = 0.01
_MOST_SHOWN = 8


def conclude(logs: Mapping[Rank, Log], form: Format, hints: ParseHints) -> dict[Rank, Log]:
    """Conclude all runs; return the logs that are left once workers are added up."""
    left = workers.join(logs) if form.shares else dict(logs)
    workers.count(list(left.values()))
    for log in left.values():
        for run in log.shown_runs():
            run.synonyms = form.synonyms
            workers.add_up(run)
            run.conclude(form.conclude, hints)
    return left


def lowest_rank(logs: Mapping[Rank, Log]) -> Log | None:
    """Return the log of the lowest rank that has a result, else the first; None without any.

    Rank None, of lines without prefix, is the lowest.
    """
    ordered = [logs[rank] for rank in sorted(logs, key=lambda rank: rank or (-1, -1))]
    good = [log for log in ordered if any(run.succeeded for run in log.runs)]
    return next(iter(good or ordered), None)


def requested_run(log: Log, hints: ParseHints) -> tuple[Run, str]:
    """Return the requested run, or an empty one and why there is none.

    `parsers.parse` refuses a missing block.
    """
    runs = log.shown_runs()
    asked = hints.block
    if asked is not None and asked <= len(runs):
        return runs[asked - 1], ""
    if len(runs) > 1 and workers.are_of_one(runs):
        runs[0].warn(f"{len(runs)} workers print one after the other: the first one counts")
        return runs[0], ""
    if len(runs) > 1:
        values = ", ".join(run.short() for run in runs[:_MOST_SHOWN])
        more = ", ..." if len(runs) > _MOST_SHOWN else ""
        return Run(hints), (
            f"the log contains {len(runs)} runs ({values}{more}): "
            f"choose one with --block 1 to --block {len(runs)}"
        )
    # If nothing was found, the warnings say why.
    return (runs[0] if runs else log.run), ""


def rank_doubts(logs: Mapping[Rank, Log], chosen: Log, run: Run) -> list[str]:
    """Warn about ranks that printed different figures."""
    value = run.throughput
    others = [
        other.throughput
        for log in logs.values()
        for other in log.runs
        if log is not chosen and other.throughput is not None
    ]
    far = [v for v in others if value and abs(v - value) > _RANKS_AGREE * value]
    if not far:
        return []
    return [f"{len(far)} of {len(others)} other ranks printed a rate more than 1 % different"]
