"""A night while it goes on: what it starts from, how much time is left, and what ended it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

from orchestrator.errors import Interrupted, MachineError
from orchestrator.nights.past import Past
from orchestrator.nights.record import NightDecision
from orchestrator.result import Result
from orchestrator.suites import session
from orchestrator.suites.cells import Cell
from orchestrator.suites.folder import SessionFolder
from orchestrator.suites.journal import Journal
from orchestrator.suites.planning import SuitePlan
from orchestrator.suites.state import State


@dataclass(frozen=True, kw_only=True)
class Work:
    """What a night starts from.

    `job` and `tools` are those of the suite's session; `budget` in seconds is of the whole night.
    `machine` identifies the machine, `problems` are known before the first run. `in_old_image`
    returns what runs a request in the image of a result, None if that image is not here any more.
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
    in_old_image: Callable[[Result], session.Runner | None] = lambda _: None


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

    def session(
        self,
        cells: Sequence[Cell],
        before: State,
        budget: float | None,
        *,
        job: session.Job | None = None,
        tools: session.Tools | None = None,
    ) -> None:
        """Make the runs of some cells that are not in `before`; remember what ended it."""
        job = replace(job or self.work.job, cells=cells, budget=budget)
        try:
            session.carry_out(job, before, self.log, tools or self.work.tools)
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
