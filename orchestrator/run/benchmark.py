"""Runs one benchmark, from request to filed result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from orchestrator.errors import BenchdockError, ExitStatus, MachineError, machine_fault
from orchestrator.machine.facts import MachineFacts
from orchestrator.machine.host_samples import HostSource, watched_host
from orchestrator.machine.monitor import Monitor
from orchestrator.paths import RunFolder
from orchestrator.plan import Plan
from orchestrator.program_facts import ProgramFacts
from orchestrator.request import Request
from orchestrator.result import Environment, Failure, PageCache, Result
from orchestrator.run import feeding, sharing
from orchestrator.run.decision import Decision, decide
from orchestrator.run.deriving import derived
from orchestrator.run.facts import OtherMachine, ThisMachine
from orchestrator.run.failures import exit_status, kind_of
from orchestrator.run.filing import Desk, tell_killed, write_launcher
from orchestrator.run.judging import judged
from orchestrator.run.place import Place
from orchestrator.run.places import FindPlace, planned_place, ready_place
from orchestrator.run.planner import make_plan
from orchestrator.run.runner import Outcome, StageClock, execute
from orchestrator.run.sharing import EXCLUSIVE, Sharing
from orchestrator.runtimes.contract import Runtime
from orchestrator.signals import held, released
from orchestrator.vendor_images import banner
from orchestrator.vendor_images.banner import Banner
from orchestrator.version import VERSION
from orchestrator.view import View

if TYPE_CHECKING:
    from orchestrator.machine.description import Machine


@dataclass
class _Draft:
    """What is known about a run so far; a result can be filed at any point of it."""

    request: Request
    folder: RunFolder
    clock: StageClock
    machine: MachineFacts
    started: datetime
    notes: tuple[str, ...] = ()
    plan: Plan | None = None
    outcome: Outcome | None = None
    monitor: Monitor | None = None
    cache: PageCache | None = None
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
            program=measured.begin if measured else ProgramFacts(),
            warnings=tuple(dict.fromkeys((*planned_warnings, *self._warnings(), *warnings))),
            notes=(*self.notes, *(measured.notes if measured else ())),
            environment=Environment.of(self.machine, self.banner),
            timings=self.clock.seconds,
            monitor=self.monitor.summary() if self.monitor else {},
            page_cache=self.cache,
            exit_code=self.outcome.exit_code if self.outcome else None,
            started=self.started,
            finished=datetime.now(UTC),
        )

    def bare(self, failure: Failure | None) -> Result:
        """Put together what can certainly be filed: no text from a program or a machine."""
        return Result(
            benchdock=VERSION,
            run=self.folder.run_id,
            status="failed",
            failure=failure,
            request=self.request,
            started=self.started,
            finished=datetime.now(UTC),
        )

    def _warnings(self) -> tuple[str, ...]:
        told = self.outcome.measurement.warnings if self.outcome else ()
        notes = self.outcome.notes if self.outcome else ()
        seen = self.monitor.warnings() if self.monitor else ()
        on_cpu = self.plan is not None and self.plan.device == "cpu"
        doubts = self.machine.doubts() if on_cpu else self.banner.warnings()
        cached = self.cache.doubts() if self.cache else ()
        return (*told, *notes, *seen, *doubts, *cached)


def run(
    request: Request,
    view: View,
    *,
    decided: Decision | None = None,
    find_place: FindPlace | None = None,
    on_folder: Callable[[RunFolder], None] = lambda _: None,
    share: Sharing = EXCLUSIVE,
) -> tuple[Result, ExitStatus]:
    """Run a request and file the result.

    A replay passes what it has `decided`, and a `find_place` other than `places.ready_place`.
    `on_folder` gets the run's folder before anything starts; what it raises is filed. `share` says
    what to do if its GPUs are in use.
    Raises RequestError or MachineError if the request is refused before anything starts; failures
    after the start are filed as results, and `failure.kind` says what went wrong.
    """
    with watched_host() as host:
        clock = StageClock(view)
        with clock.stage("check"):
            decision = _checked(request, decided, view)
        with sharing.held(decision, share, view.note) if decision.target.gpus else nullcontext():
            return _run(request, decision, view, clock, find_place or ready_place, host, on_folder)


def run_in_view(
    request: Request,
    new_view: Callable[[], View],
    *,
    title: str = "",
    decided: Decision | None = None,
    share: Sharing = EXCLUSIVE,
) -> tuple[Result, ExitStatus]:
    """Run in a view of its own, which says first what the run is. Raises what `run` raises."""
    view = new_view()
    try:
        if title:
            view.note(title)
        return run(request, view, decided=decided, share=share)
    finally:
        view.close()


def _checked(request: Request, decided: Decision | None, view: View) -> Decision:
    """Return what will run. Raises RequestError or MachineError."""
    tell_killed(view.note)
    decision = (decided or decide(request, ThisMachine())).accepted()
    for text in (*decision.first, *decision.notes):
        view.note(text)
    return decision


def _run(
    request: Request,
    decision: Decision,
    view: View,
    clock: StageClock,
    find_place: FindPlace,
    host: Callable[[], HostSource],
    on_folder: Callable[[RunFolder], None],
) -> tuple[Result, ExitStatus]:
    with clock.stage("check"):
        machine = MachineFacts.of_this_machine(decision.gpu)

    def carry_out(draft: _Draft) -> None:
        on_folder(draft.folder)
        with clock.stage("image", "looking for a place to run"):
            place, runtime = find_place(decision, view)
        planned = plan(decision, place, draft.folder)
        draft.notes = (*draft.notes, *_lacking(planned))
        _prepare_cache(draft, planned)
        _execute(draft, planned, runtime, view, host)

    # Nothing may come between making the folder and filing its result.
    with held():
        desk = Desk.open(request)
        draft = _Draft(
            request=request,
            folder=desk.folder,
            clock=clock,
            machine=machine,
            notes=decision.notes,
            started=datetime.now(UTC),
        )
        return _file(draft, desk, carry_out, view)


def _prepare_cache(draft: _Draft, plan: Plan) -> None:
    """Bring the data out of the page cache, or into it, if that was requested. Raises DataError."""
    folder = draft.request.data
    state = feeding.page_cache_of(draft.request) if folder is not None else None
    if state is None or folder is None:
        return
    from orchestrator.run import page_cache  # only then

    doing = "removing the data from the page cache" if state == "cold" else "reading the data once"
    with draft.clock.stage("page cache", doing):
        draft.cache = page_cache.prepare(folder, state)
    draft.notes = (*draft.notes, *page_cache.notes(folder, state, plan))


def plan(decision: Decision, place: Place, folder: RunFolder) -> Plan:
    """Plan a decided run, with the decision's warnings before those of the place."""
    place = replace(place, warnings=(*decision.warnings(), *place.warnings))
    return make_plan(decision.request, decision.framework, decision.target, place, folder)


def _lacking(plan: Plan) -> tuple[str, ...]:
    """Return what the runtime cannot give the container, in sentences."""
    if not plan.lacks:
        return ()
    from orchestrator.runtimes.by_command import lacking  # only then

    return tuple(lacking.notes(plan))


def _execute(
    draft: _Draft, plan: Plan, runtime: Runtime, view: View, host: Callable[[], HostSource]
) -> None:
    """Run a plan and keep the outcome in the draft."""
    draft.plan = plan
    write_launcher(draft.folder, plan)
    with Monitor(
        draft.folder.monitor,
        gpus=plan.gpus,
        neighbours=_neighbours(draft.machine, plan.gpus),
        host_source=host,
    ) as monitor:
        draft.monitor = monitor
        draft.outcome = execute(
            plan,
            runtime,
            draft.folder,
            view,
            draft.clock,
            on_progress=lambda now: monitor.stage(now.stage, now.window),
            on_start=lambda started: monitor.started(started.root()),
        )
    if plan.in_container:
        draft.banner = banner.of_run(draft.folder)


def _neighbours(machine: MachineFacts, gpus: tuple[str, ...]) -> tuple[str, ...]:
    """Return the UUIDs of the GPUs that a run does not use; none for one on a part of a GPU."""
    if any(uuid.startswith("MIG-") for uuid in gpus):
        return ()
    return tuple(one.uuid for one in machine.gpus if one.uuid and one.uuid not in gpus)


def _file(
    draft: _Draft, desk: Desk, carry_out: Callable[[_Draft], None], view: View
) -> tuple[Result, ExitStatus]:
    """Run and file the result, whatever happens.

    Raises MachineError if the result cannot be filed, and raises bugs again.
    """
    ending = _Ending()
    try:
        with released():
            carry_out(draft)
    except BaseException as error:
        ending = _Ending.by(error)
    else:
        outcome = draft.outcome
        if outcome is not None:
            ending = _Ending(failure=outcome.failure, status=_status(outcome))
    try:
        result = judged(derived(draft.result(ending.failure)), draft.monitor)
        moved = desk.file(result)
    except MachineError:
        raise
    except Exception as error:  # the outcome cannot be filed; file the rest
        ending = _Ending.by(error)
        result = draft.bare(ending.failure)
        moved = desk.file(result)
    for line in ending.details:
        view.note(line)
    if moved is not None:
        view.note(f"the run folder was moved during the run; it is now {moved}")
    view.result(result)
    if ending.bug is not None:
        raise ending.bug
    return result, ending.status if ending.status is not ExitStatus.OK else exit_status(result)


@dataclass(frozen=True, kw_only=True)
class _Ending:
    """How a run ended; `bug` is an unexpected exception."""

    failure: Failure | None = None
    status: ExitStatus = ExitStatus.OK
    details: tuple[str, ...] = ()
    bug: BaseException | None = None

    @classmethod
    def by(cls, error: BaseException) -> _Ending:
        """Return how an exception ends a run."""
        if isinstance(error, OSError) and (known := machine_fault(error)) is not None:
            error = known
        if isinstance(error, BenchdockError):
            failure = Failure(kind=kind_of(error), message=str(error))
            return cls(failure=failure, status=error.exit_status, details=error.details)
        if isinstance(error, KeyboardInterrupt):
            return cls(failure=Failure(kind="interrupted", message="interrupted"), bug=error)
        told = f"this is a bug in benchdock: {type(error).__name__}: {error}"
        return cls(failure=Failure(kind="crashed", message=told), bug=error)


def _status(outcome: Outcome) -> ExitStatus:
    """Return the status that a signal leads to, OK if there was none."""
    if outcome.signal_number is not None:
        return ExitStatus(128 + outcome.signal_number)
    return ExitStatus.OK


def dry_run(request: Request, machine: Machine | None = None) -> Result:
    """Plan a request without starting anything; what the machine lacks becomes a warning.

    `machine` is a different machine. Raises RequestError, and MachineError if the request needs a
    GPU and none works.
    """
    decision = decide(request, OtherMachine(machine) if machine else ThisMachine())
    folder = RunFolder.planned(request.model, request.framework)
    planned = plan(decision, planned_place(decision), folder)
    return Result(
        benchdock=VERSION,
        status="planned",
        request=request,
        plan=planned,
        fingerprint=planned.fingerprint,
        environment=machine.model_dump(mode="json") if machine else {},
        warnings=planned.warnings,
        notes=(*decision.notes, *_lacking(planned)),
    )
