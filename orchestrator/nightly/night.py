"""One night: runs the suite, confirms the suspects at its end, and says what it means."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from orchestrator.errors import Interrupted
from orchestrator.nightly import attribution, causes, measured
from orchestrator.nightly.confirming import Case, judge_all
from orchestrator.nightly.measured import Measured
from orchestrator.nightly.recording import Judged, record
from orchestrator.nightly.tonight import Tonight, Work
from orchestrator.nights import CONTROL, SERIES, Judgement, Rule, trends
from orchestrator.nights.record import Cause, Night
from orchestrator.suites import resuming
from orchestrator.suites.journal import Journal
from orchestrator.suites.models import Gate
from orchestrator.suites.state import State
from orchestrator.units import counted

# This share of the budget is kept for runs that confirm or clear suspects.
RESERVED = 0.1


def carry_out(work: Work, before: State, log: Journal) -> tuple[Night, Interrupted | None]:
    """Run a night; return its record, and the signal that ended it early, if one did.

    Raises RequestError for a damaged journal.
    """
    tonight = Tonight.of(work, log)
    started = time.time()
    budget = None if work.budget is None else (1 - RESERVED) * work.budget
    tonight.session([row.cell for row in work.plan.rows], before, budget)
    found = _gathered(work)
    tonight.problems += _other_series(work, found)
    judged = _judged(tonight, found)
    night = record(
        work.plan.loaded.suite.name,
        work.where.name,
        number=work.number,
        night=work.night,
        machine=work.machine,
        times=(started, time.time()),
        judged=judged,
        past=work.past,
        decided=work.decided,
        problems=tonight.problems,
    )
    least = work.plan.loaded.suite.gate.ramp
    advice = trends.advice(work.past, night, least)
    return night.model_copy(update={"advice": advice}), tonight.interrupted


def _gathered(work: Work) -> dict[str, Measured]:
    ended = resuming.read(work.where).ended
    rows = [measured.gather(row, ended, work.past) for row in work.plan.rows]
    rows += [measured.refused(row, work.past) for row in work.plan.refused]
    return {one.key: one for one in rows}


def _other_series(work: Work, found: Mapping[str, Measured]) -> Iterator[str]:
    """Say which series have lost their history since the last night: they cannot get slower."""
    now = {one.cell.digest: key for key, one in found.items()}
    for one in work.past.last.series if work.past.last else ():
        if one.request not in now:
            yield f"no longer in the suite: {one.title}"
        elif now[one.request] != one.key:
            yield (
                f"{one.title} is a new series without history, because what runs or where it runs "
                f"has changed: it was {one.key} and is {now[one.request]}"
            )


def _judged(tonight: Tonight, found: Mapping[str, Measured]) -> list[Judged]:
    """Judge all series, confirm the suspects, and find out why they changed."""
    work = tonight.work
    gate = work.plan.loaded.suite.gate
    cases = {
        key: Case(
            history=work.past.history(key),
            tonight=one.tonight,
            rule=rule_of(gate, is_control=one.cell.is_control),
        )
        for key, one in found.items()
    }
    verdicts = judge_all(
        cases, lambda wanted: _more_runs(tonight, found, wanted), work.past.neighbours()
    )
    ended = resuming.read(work.where).ended
    machine = causes.machine_change(
        [verdicts[key] for key, one in found.items() if one.cell.is_control]
    )
    judged = [
        Judged(
            measured=one.with_extra(ended),
            judgement=verdicts[key],
            cause=_cause(one, verdicts[key], machine),
            machine=machine,
        )
        for key, one in found.items()
    ]
    return attribution.attributed(tonight, judged)


def _cause(one: Measured, verdict: Judgement, machine: float | None) -> Cause | None:
    return ("machine" if machine else None) if one.cell.is_control else causes.of(verdict, machine)


def rule_of(gate: Gate, *, is_control: bool) -> Rule:
    """Return the rule by which a series of a suite is judged."""
    rule = CONTROL if is_control else SERIES
    if gate.confirm is not None:
        rule = replace(rule, stages=gate.confirm)
    if gate.slower is not None and not is_control:
        rule = replace(rule, floor=gate.slower, suspect=min(rule.suspect, gate.slower / 2))
    return rule


def _more_runs(
    tonight: Tonight, found: Mapping[str, Measured], wanted: Mapping[str, int]
) -> dict[str, Sequence[float]]:
    """Make more runs of the suspects, one of each after the other."""
    if tonight.ended:
        return {}
    first = {}
    cells = []
    for key, count in wanted.items():
        cell = found[key].cell
        before = tonight.extra.get(key, 0)
        tonight.extra[key] = before + count
        first[key] = found[key].planned + before + 1
        cells.append(cell._replace(repeat=cell.repeat + before + count))
    where = tonight.work.where
    tonight.work.tools.view.note(f"{counted(len(cells), 'suspect')}: running again to be sure")
    tonight.session(cells, resuming.read(where), tonight.left())
    ended = resuming.read(where).ended
    return {key: measured.further(found[key].cell, ended, first[key]) for key in wanted}
