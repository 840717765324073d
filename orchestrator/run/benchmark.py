"""One benchmark from request to filed result."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from orchestrator.containers import banner
from orchestrator.containers.banner import Banner
from orchestrator.errors import (
    BenchdockError,
    DataError,
    ExitStatus,
    ImageError,
    Interrupted,
    MachineError,
)
from orchestrator.machine import inventory
from orchestrator.machine.monitor import HostSource, Monitor, watched_host
from orchestrator.paths import RunFolder, write_aside
from orchestrator.plan import Plan
from orchestrator.request import Request
from orchestrator.result import Failure, FailureKind, Result
from orchestrator.run import suitability
from orchestrator.run.filing import (
    file_result,
    hold_reserve,
    new_folder,
    no_folder,
    to_json,
    write_launcher,
)
from orchestrator.run.places import FindPlace, check_image, connect, planned_place, ready_place
from orchestrator.run.planner import (
    choose_device,
    gpu_report,
    make_plan,
    planned_device,
    resolve_chosen,
    unused_gpus,
)
from orchestrator.run.runner import Outcome, StageClock, execute
from orchestrator.run.verdict import exit_status
from orchestrator.version import VERSION
from orchestrator.view import View


@dataclass
class _Draft:
    """What is known of a run so far: a result can be filed at any point of its life."""

    request: Request
    folder: RunFolder
    clock: StageClock
    environment: dict[str, Any]
    started: datetime
    plan: Plan | None = None
    outcome: Outcome | None = None
    monitor: Monitor | None = None
    banner: Banner = field(default_factory=Banner)

    def result(self, failure: Failure | None, warnings: Sequence[str] = ()) -> Result:
        """Put the records together."""
        measured = self.outcome.measurement if self.outcome else None
        planned = self.plan.fingerprint if self.plan else None
        planned_warnings = self.plan.warnings if self.plan else ()
        return Result(
            benchdock=VERSION,
            run=self.folder.run_id,
            status="failed" if failure else "ok",
            failure=failure,
            request=self.request,
            plan=self.plan,
            fingerprint=measured.fingerprint if measured and measured.fingerprint else planned,
            metrics=measured.metrics if measured else {},
            steps=measured.steps if measured else (),
            program=measured.begin if measured else {},
            warnings=tuple(dict.fromkeys((*planned_warnings, *self._warnings(), *warnings))),
            notes=measured.notes if measured else (),
            environment=self.environment | self.banner.facts(),
            timings=self.clock.seconds,
            monitor=self.monitor.summary() if self.monitor else {},
            exit_code=self.outcome.exit_code if self.outcome else None,
            started=self.started,
            finished=datetime.now(UTC),
        )

    def _warnings(self) -> tuple[str, ...]:
        told = self.outcome.measurement.warnings if self.outcome else ()
        notes = self.outcome.notes if self.outcome else ()
        seen = self.monitor.warnings() if self.monitor else ()
        on_cpu = self.plan is not None and self.plan.device == "cpu"
        doubts = inventory.doubts(self.environment) if on_cpu else self.banner.warnings()
        return (*told, *notes, *seen, *doubts)


def kind_of(error: BenchdockError) -> FailureKind:
    """Return the failure kind under which an error is filed."""
    match error:
        case Interrupted():
            return "interrupted"
        case ImageError():
            return "image"
        case DataError():
            return "data"
        case MachineError():
            return "engine"
        case _:
            return "crashed"


def run(
    request: Request,
    view: View,
    *,
    find_place: FindPlace | None = None,
    image: str | None = None,
) -> tuple[Result, ExitStatus]:
    """Carry out a request and file what came of it.

    For a replay `find_place` chooses another place to run than `places.ready_place` does, and
    `image` is what it runs there. Raises RequestError or MachineError where it is refused before
    anything starts; later failures are results with a `failure`, whose kind tells who is to blame.
    """
    with watched_host() as host:
        return _run_watched(request, view, find_place or ready_place, host, image)


def _run_watched(
    request: Request,
    view: View,
    find_place: FindPlace,
    host: Callable[[], HostSource],
    image: str | None,
) -> tuple[Result, ExitStatus]:
    clock = StageClock(view)
    with clock.stage("check"):
        report = gpu_report(request)
        target = choose_device(request, report)
        row = resolve_chosen(request, target, report)
        engine, reason = connect(request)
        if image is None:
            check_image(request, row, target, engine)
        opinion = suitability.assess(
            request, row, target, report, in_container=engine is not None, image=image
        )
        doubts = (*unused_gpus(request, report), *opinion.heeded())
        folder = _open_folder(request)
    draft = _Draft(
        request=request,
        folder=folder,
        clock=clock,
        environment=inventory.facts(report),
        started=datetime.now(UTC),
    )
    try:
        with clock.stage("image", "looking for a place to run"):
            place, runtime = find_place(request, row, target, engine, reason, view)
        place = replace(place, warnings=(*place.warnings, *doubts))
        plan = make_plan(request, row, target, place, folder)
        draft.plan = plan
        write_launcher(folder, plan)
        with Monitor(folder.monitor, gpus=plan.gpus, host_source=host) as monitor:
            draft.monitor = monitor
            draft.outcome = execute(plan, runtime, folder, view, clock, on_stage=monitor.stage)
        if plan.runtime == "docker":
            draft.banner = banner.of_run(folder)
        status = _status(draft.outcome)
        result = draft.result(draft.outcome.failure if draft.outcome else None)
    except BenchdockError as error:
        for line in error.details:
            view.note(line)
        status = error.exit_status
        result = draft.result(Failure(kind=kind_of(error), message=str(error)))
    file_result(folder, result)
    view.result(result)
    return result, status if status is not ExitStatus.OK else exit_status(result)


def _open_folder(request: Request) -> RunFolder:
    """Make the run's folder and keep room for its result; leave nothing behind where none is."""
    folder = new_folder(request.model, request.framework)
    try:
        hold_reserve(folder)
        write_aside(folder.request, to_json(request))
    except (OSError, MachineError) as error:
        shutil.rmtree(folder.root, ignore_errors=True)
        if isinstance(error, OSError):
            raise no_folder(error) from None
        raise
    return folder


def _status(outcome: Outcome) -> ExitStatus:
    """Return the status that a signal decides, OK where none came."""
    if outcome.signal_number is not None:
        return ExitStatus(128 + outcome.signal_number)
    return ExitStatus.OK


def dry_run(request: Request) -> Result:
    """Plan a request and start nothing; what this machine lacks becomes a warning.

    Raises RequestError, and MachineError where only a GPU that does not answer could do it.
    """
    report = gpu_report(request)
    target, warnings = planned_device(request, report)
    row = resolve_chosen(request, target, report)
    folder = RunFolder.planned(request.model, request.framework)
    place = planned_place(request, row, target)
    opinion = suitability.assess(
        request, row, target, report, in_container=place.runtime == "docker"
    )
    place = replace(place, warnings=(*place.warnings, *opinion.noted()))
    plan = make_plan(request, row, target, place, folder)
    return Result(
        benchdock=VERSION,
        status="planned",
        request=request,
        plan=plan,
        fingerprint=plan.fingerprint,
        warnings=(*plan.warnings, *warnings, *unused_gpus(request, report)),
    )
