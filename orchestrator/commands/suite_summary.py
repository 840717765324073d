"""What became of a session: the table, the claims and what is left; or one JSON document."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from orchestrator.suites import deciding
from orchestrator.suites.folder import SessionFolder
from orchestrator.suites.planning import SuitePlan
from orchestrator.suites.summary import SeriesSummary
from orchestrator.ui.tables import print_table
from orchestrator.ui.text import clean
from orchestrator.units import PERCENT, SAMPLES_PER_SECOND, counted, quantity

if TYPE_CHECKING:
    from orchestrator.suites.claims import Answer


def answers(series: list[SeriesSummary], decider: deciding.MachineDecider) -> list[Answer]:
    """Say of each claim whether it is reproduced."""
    claimed = [one for one in series if one.cell.claim is not None]
    if not claimed:
        return []
    from orchestrator.suites import claims

    return [claims.answer(one, decider.set_up) for one in claimed]


def show(
    where: SessionFolder,
    plan: SuitePlan,
    series: list[SeriesSummary],
    answers: list[Answer],
    *,
    as_json: bool,
) -> None:
    """Print what became of a session and how to continue it."""
    if as_json:
        print(json.dumps(_document(where, plan, series, answers), indent=2))
        return
    print()
    print_series(series)
    for answer in answers:
        print(clean(str(answer)))
    left = sum(one.left for one in series)
    if left:
        resume = f"`benchdock suite --resume --name {where.name}`"
        print(f"{counted(left, 'run')} left: continue with {resume}")


def print_series(series: list[SeriesSummary]) -> None:
    """Print a line for each series, and why runs have no result."""
    print_table(
        ("series", "group", "measured", "median", "CV"),
        [
            (
                one.cell.title,
                one.cell.origin.group,
                f"{len(one.throughputs)} of {one.total}",
                quantity(one.median, SAMPLES_PER_SECOND) if one.median is not None else "-",
                quantity(100 * one.spread, PERCENT) if one.spread is not None else "-",
            )
            for one in series
        ],
    )
    for one in series:
        for why, count in one.problems().items():
            print(clean(f"{one.cell.title}: {count} x {why}"))


def _document(
    where: SessionFolder, plan: SuitePlan, series: list[SeriesSummary], answers: list[Answer]
) -> dict[str, Any]:
    return {
        "schema": 1,
        "session": where.name,
        "suite": plan.loaded.suite.name,
        "folder": str(where.root),
        "series": [one.as_json() for one in series],
        "claims": [answer.as_json() for answer in answers],
        "refused": [
            {"title": row.cell.title, "digest": row.cell.digest, "why": row.decided.why_not}
            for row in plan.refused
        ],
        "left": sum(one.left for one in series),
    }
