"""Sessions with a runner that measures nothing: results are filed as those of real runs are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from orchestrator.errors import BenchdockError, ExitStatus, Interrupted
from orchestrator.paths import RunFolder
from orchestrator.request import Request
from orchestrator.result import Environment, Failure, FailureKind, Metric, Result
from orchestrator.run.filing import Desk
from orchestrator.suites import expansion, folder, resuming, session
from orchestrator.suites.cells import Cell
from orchestrator.suites.folder import SessionFolder
from orchestrator.suites.journal import Journal
from orchestrator.suites.loading import Loaded
from orchestrator.suites.notes import SessionNote
from orchestrator.suites.requests import request_of
from orchestrator.suites.session import Lanes, Progress
from orchestrator.suites.state import RERUN, Ended, State
from orchestrator.suites.turns import Turn
from orchestrator.ui.plain import SilentView
from orchestrator.view import View
from tests.fakes import plan

# What a request does: nothing (it is measured), fail with a kind, or raise.
Act = FailureKind | BenchdockError | None


@dataclass
class FakeRunner:
    """Files results as `benchmark.run` does; `act` says what becomes of the nth run.

    Results have a plan if there is an `image`.
    """

    act: Callable[[Request, int], Act] = lambda _request, _number: None
    seconds: Callable[[Request], float] = lambda _: 1.0
    throughput: Callable[[Request], float] = lambda _: 100.0
    image: str = ""
    driver: str = ""
    clock: float = 0.0
    ran: list[Request] = field(default_factory=list)

    def __call__(
        self, request: Request, view: View, on_folder: Callable[[RunFolder], None]
    ) -> tuple[Result, ExitStatus]:
        self.ran.append(request)
        act = self.act(request, len(self.ran))
        if isinstance(act, BenchdockError) and not isinstance(act, Interrupted):
            raise act
        self.clock += self.seconds(request)
        kind: FailureKind | None = "interrupted" if isinstance(act, Interrupted) else act
        result, status = file_result(
            request, on_folder, kind, self.throughput(request), self.image, self.driver
        )
        return result, act.exit_status if isinstance(act, Interrupted) else status

    def now(self) -> float:
        return self.clock

    def sleep(self, seconds: float) -> None:
        self.clock += seconds


def file_result(
    request: Request,
    on_folder: Callable[[RunFolder], None],
    kind: FailureKind | None = None,
    throughput: float = 100.0,
    image: str = "",
    driver: str = "",
) -> tuple[Result, ExitStatus]:
    """Make a run folder with a result."""
    desk = Desk.open(request)
    try:
        on_folder(desk.folder)
    except BenchdockError:
        desk.close()
        raise
    result = Result(
        benchdock="0",
        run=desk.folder.run_id,
        status="failed" if kind else "ok",
        failure=Failure(kind=kind, message=f"it is {kind}") if kind else None,
        request=request,
        plan=plan(model=request.model, image_digest=image) if image else None,
        metrics={} if kind else {"throughput": Metric(value=throughput, unit="samples/s")},
        environment=Environment.model_validate({"gpu": {"state": "ok", "driver": driver or None}}),
        started=datetime.now(UTC),
        finished=datetime.now(UTC),
    )
    desk.file(result)
    return result, ExitStatus.BENCHMARK_FAILED if kind else ExitStatus.OK


@dataclass
class Lines:
    """A view that remembers its lines."""

    said: list[str] = field(default_factory=list)

    def turn(self, turn: Turn, progress: Progress) -> View:
        return SilentView()

    def ended(self, turn: Turn, end: Ended, progress: Progress) -> None:
        place = f"{progress.number}/{progress.total}"
        self.said.append(f"{place} {turn.cell.title}/{turn.round} {end.kind or end.status}")

    def note(self, text: str) -> None:
        self.said.append(text)


@dataclass
class Bench:
    """A session folder, and what one process after another does with it."""

    loaded: Loaded
    where: SessionFolder
    known: dict[str, float] = field(default_factory=dict)
    budget: float | None = None
    lines: Lines = field(default_factory=Lines)

    @classmethod
    def of(cls, loaded: Loaded) -> Bench:
        return cls(loaded=loaded, where=folder.create(loaded, datetime(2026, 11, 30, 1, 0)))

    @property
    def cells(self) -> tuple[Cell, ...]:
        return expansion.expand(self.loaded).cells

    def go(
        self,
        runner: FakeRunner | None = None,
        *,
        rerun: RERUN | None = None,
        stopped: Callable[[], bool] = lambda: False,
        lanes: Lanes | None = None,
        is_ready: Callable[[Cell], bool] = lambda _: True,
    ) -> ExitStatus:
        """Begin or resume."""
        runner = runner or FakeRunner()
        facts = folder.read_facts(self.where)
        job = session.Job(
            cells=self.cells,
            request_of=lambda cell: request_of(cell.settings, Path()),
            note=SessionNote(
                name=self.where.name, suite="nightly", digest=facts.digest, night=facts.night
            ),
            known=self.known,
            budget=self.budget,
        )
        tools = session.Tools(
            runner=runner,
            view=self.lines,
            stopped=stopped,
            now=runner.now,
            sleep=runner.sleep,
            lanes=lanes,
            is_ready=is_ready,
        )
        with Journal(self.where.journal) as log:
            before = resuming.begin(self.where, log, rerun=rerun)
            return session.carry_out(job, before, log, tools)

    @property
    def state(self) -> State:
        return resuming.read(self.where)
