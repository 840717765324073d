"""One night: runs the suite, confirms the suspects at its end, and says what it means."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

from orchestrator.errors import Interrupted, MachineError
from orchestrator.nightly import causes, measured
from orchestrator.nightly.confirming import Case, judge_all
from orchestrator.nightly.measured import Measured
from orchestrator.nightly.recording import Judged, record
from orchestrator.nights import CONTROL, SERIES, Judgement, Rule, trends
from orchestrator.nights.past import Past
from orchestrator.nights.record import Cause, Night, NightDecision
from orchestrator.suites import resuming, session
from orchestrator.suites.cells import Cell
from orchestrator.suites.folder import SessionFolder
from orchestrator.suites.journal import Journal
from orchestrator.suites.models import Gate
from orchestrator.suites.planning import SuitePlan
from orchestrator.suites.state import State
from orchestrator.units import counted

# This share of the budget is kept for runs that confirm or clear suspects.
RESERVED = 0.1


@dataclass(frozen=True, kw_only=True)
class Work:
    """What a night starts from.

    `job` and `tools` are those of the suite's session; `budget` in seconds is of the whole night.
    `machine` identifies the machine, `problems` are known before the first run.
    """

    plan: SuitePlan
    where: SessionFolder
    job: session.Job
    tools: session.Tools
    past: Past
    decided: Sequence[NightDecision]
    number: int
    night: date
    machine: str
    budget: float | None = None
    problems: tuple[str, ...] = ()


@dataclass
class Tonight:
    """A night while it goes on; `interrupted` is the signal that ended it."""

    work: Work
    log: Journal
    began: float
    extra: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    ended: bool = False
    interrupted: Interrupted | None = None

    @classmethod
    def of(cls, work: Work, log: Journal) -> Tonight:
        """Return a night that begins now."""
        return cls(work=work, log=log, began=work.tools.now(), problems=list(work.problems))

    def left(self) -> float | None:
        """Return the seconds that are left of the budget, None without one."""
        if self.work.budget is None:
            return None
        return max(0.0, self.work.budget - (self.work.tools.now() - self.began))

    def session(self, cells: Sequence[Cell], before: State, budget: float | None) -> None:
        """Make the runs of some cells that are not in `before`; remember what ended it."""
        job = replace(self.work.job, cells=cells, budget=budget)
        try:
            session.carry_out(job, before, self.log, self.work.tools)
        except Interrupted as error:
            self.interrupted = error
            self._end(f"the night was {error}")
        except MachineError as error:
            self._end(error.what)
        if self.work.tools.stopped():
            self._end("somebody stopped the night")

    def _end(self, why: str) -> None:
        if not self.ended:
            self.problems.append(why)
        self.ended = True


def carry_out(work: Work, before: State, log: Journal) -> tuple[Night, Interrupted | None]:
    """Run a night; return its record, and the signal that ended it early, if one did.

    Raises RequestError for a damaged journal.
    """
    tonight = Tonight.of(work, log)
    started = time.time()
    budget = None if work.budget is None else (1 - RESERVED) * work.budget
    tonight.session([row.cell for row in work.plan.rows], before, budget)
    found = _gathered(work)
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
    return [
        Judged(
            measured=one.with_extra(ended),
            judgement=verdicts[key],
            cause=_cause(one, verdicts[key], machine),
            machine=machine,
        )
        for key, one in found.items()
    ]


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
