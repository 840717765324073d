"""Tries as runs of a suite: in passes, filed, and continued after a kill."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from orchestrator.errors import RequestError
from orchestrator.paths import RunFolder, runs
from orchestrator.record_files import read_file
from orchestrator.result import Result
from orchestrator.suites import folder, writer
from orchestrator.suites.cells import Cell
from orchestrator.suites.folder import SessionFolder
from orchestrator.suites.loading import Loaded
from orchestrator.suites.models import Suite
from orchestrator.suites.planning import SuitePlan
from orchestrator.suites.state import State
from orchestrator.suites.summary import SeriesSummary, of_session
from orchestrator.tuning import space
from orchestrator.tuning.outcome import Outcome, Try, speed_of
from orchestrator.tuning.space import Change

SUITE = "tune"


def suite_of(base: Mapping[str, Any], stage: str, changes: Sequence[Change], passes: int) -> Loaded:
    """Return the suite that makes each change of a request; `base` are the request's settings."""
    told = {
        "schema": 1,
        "name": SUITE,
        "defaults": dict(base),
        "repeat": passes,
        "groups": {stage: {"runs": [space.changed(base, one) for one in changes]}},
    }
    return Loaded(suite=Suite.model_validate(told), folder=Path.cwd())


def newest_of(loaded: Loaded) -> SessionFolder | None:
    """Return the newest session of the same request and stage, None if there is none."""
    wanted = _identity(writer.plain(loaded.suite))
    for where in reversed(folder.existing()):
        try:
            facts = folder.read_facts(where)
        except RequestError:  # of another version: it cannot be continued
            continue
        if _identity(facts.suite) == wanted:
            return where
    return None


def _identity(suite: Mapping[str, Any]) -> tuple[Any, ...]:
    return suite.get("name"), suite.get("defaults"), sorted(suite.get("groups", {}))


def outcome_of(
    where: SessionFolder, changes: Sequence[Change], plan: SuitePlan, state: State
) -> Outcome:
    """Return what became of the changes, in their order."""
    tries = [Try(change=change) for change in changes]
    for row in plan.refused:
        tries[_place(row.cell)].failure = row.decided.why_not
    series = of_session([row.cell for row in plan.rows], state.ended)
    used: Mapping[str, str] = {}
    for one in series:
        place = _place(one.cell)
        options = _fill(tries[place], one, state)
        used = options if place == 0 else used
    return Outcome(
        session=where.name,
        tries=tuple(tries),
        used=used,
        left=sum(one.left for one in series),
    )


def _place(cell: Cell) -> int:
    """Return the number of a cell among the runs of its group."""
    return int(cell.origin.path[-1])


def _fill(one: Try, series: SeriesSummary, state: State) -> Mapping[str, str]:
    """Add the runs of a series to its try; return the options that the program really used."""
    used: Mapping[str, str] = {}
    for number in range(1, series.total + 1):
        end = state.ended.get((series.cell.digest, number))
        if end is None:
            continue
        if end.run is not None:
            one.runs.append(end.run)
        if end.status != "ok" or end.run is None:
            one.failure = one.failure or end.message
            continue
        result = read_file(Result, RunFolder(runs() / end.run).result)
        speed = speed_of(result)
        if speed is not None:
            one.speeds[number] = speed
        used = used or (result.program and result.program.options) or {}
    return used
