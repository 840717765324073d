"""Nights of a suite on a fake machine: the session, the judging and the files are the real ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from random import Random

from orchestrator.errors import Interrupted
from orchestrator.nightly import night
from orchestrator.nightly.tonight import Work
from orchestrator.nights import decisions, files, past
from orchestrator.nights.record import Night, NightSeries
from orchestrator.request import Request
from orchestrator.result import Result
from orchestrator.suites import expansion, folder, planning, resuming, session
from orchestrator.suites.decisions import Decided
from orchestrator.suites.journal import Journal
from orchestrator.suites.notes import SessionNote
from orchestrator.suites.requests import request_of
from orchestrator.suites.session import Runner
from tests.support.sessions import Act, FakeRunner, Lines
from tests.support.suites import HEAD, loaded

SUITE = (
    f"{HEAD}defaults: {{framework: pytorch}}\nrepeat: 5\ncontrol: [{{model: resnet50}}]\n"
    "groups: {a: {runs: [{model: vgg16}, {model: alexnet}]}}\n"
)
MACHINE = "machine"
START = datetime(2026, 11, 1, 1, 30)


class _Decider:
    """Can run everything but mxnet."""

    def decide(self, request: Request) -> Decided:
        refusal = "mxnet is not here" if request.framework == "mxnet" else ""
        return Decided(refusal=refusal, device="cpu", devices=1, seconds=1.0)


@dataclass
class Fleet:
    """The nights of a suite; a factor below 1 makes a model slower from now on."""

    root: Path
    text: str = SUITE
    factors: dict[str, float] = field(default_factory=dict)
    act: Callable[[Request, int], Act] = lambda _request, _number: None
    budget: float | None = None
    stopped: Callable[[], bool] = lambda: False
    image: str = ""
    driver: str = ""
    in_old_image: Callable[[Result], Runner | None] = lambda _: None
    spread: float = 0.003
    random: Random = field(default_factory=lambda: Random(7))
    ran: list[Request] = field(default_factory=list)
    interrupted: Interrupted | None = None
    lines: Lines = field(default_factory=Lines)

    def throughput(self, request: Request) -> float:
        factor = self.factors.get(request.model, self.factors.get("machine", 1.0))
        return 100 * factor * (1 + self.random.gauss(0, self.spread))

    def night(self) -> Night:
        """Run the next night and file it."""
        suite = loaded(self.root, self.text)
        name = suite.suite.name
        number = files.next_number(name)
        began = START + timedelta(days=number - 1)
        plan = planning.plan(suite, expansion.expand(suite), _Decider())  # type: ignore[arg-type]
        where = folder.create(suite, began)
        facts = folder.read_facts(where)
        runner = FakeRunner(
            act=self.act, throughput=self.throughput, image=self.image, driver=self.driver
        )
        work = Work(
            plan=plan,
            where=where,
            job=session.Job(
                cells=[row.cell for row in plan.rows],
                request_of=lambda cell: request_of(cell.settings, self.root),
                note=SessionNote(
                    name=where.name, suite=name, digest=facts.digest, night=facts.night
                ),
                known={row.cell.digest: 1.0 for row in plan.rows},
            ),
            tools=session.Tools(
                runner=runner,
                view=self.lines,
                stopped=self.stopped,
                now=runner.now,
                sleep=runner.sleep,
            ),
            past=past.of(files.newest(name), MACHINE),
            decided=decisions.read(name),
            number=number,
            night=began.date(),
            machine=MACHINE,
            budget=self.budget,
            in_old_image=self.in_old_image,
        )
        with Journal(where.journal) as log:
            found, self.interrupted = night.carry_out(work, resuming.begin(where, log), log)
        self.ran = runner.ran
        files.write(found)
        return found

    def nights(self, count: int) -> Night:
        """Run several nights; return the last."""
        return [self.night() for _ in range(count)][-1]


def of(night: Night, model: str) -> NightSeries:
    """Return the series of a model."""
    return next(one for one in night.series if one.model == model)


def verdicts(night: Night) -> dict[str, str]:
    """Return the verdict of each model."""
    return {one.model: one.judgement.verdict for one in night.series}


def day(number: int) -> date:
    """Return the date of a night."""
    return (START + timedelta(days=number - 1)).date()
