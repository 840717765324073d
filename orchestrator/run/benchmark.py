"""Runs one benchmark, from request to filed result."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from orchestrator.errors import ExitStatus
from orchestrator.machine.host_samples import HostSource, watched_host
from orchestrator.machine.monitor import Monitor
from orchestrator.paths import RunFolder
from orchestrator.plan import Plan
from orchestrator.request import Request
from orchestrator.run import feeding, sharing
from orchestrator.run.decision import Decision, decide
from orchestrator.run.draft import Draft
from orchestrator.run.facts import OtherMachine, ThisMachine
from orchestrator.run.filing import Desk, tell_killed, write_launcher
from orchestrator.run.place import Place
from orchestrator.run.places import FindPlace, planned_place, ready_place
from orchestrator.run.planner import make_plan
from orchestrator.run.runner import StageClock, execute
from orchestrator.run.sharing import EXCLUSIVE, Sharing
from orchestrator.runtimes.contract import Runtime
from orchestrator.signals import held, released
from orchestrator.version import VERSION
from orchestrator.view import View

if TYPE_CHECKING:
    from orchestrator.machine.description import Machine
    from orchestrator.machine.facts import MachineFacts
    from orchestrator.result import Result


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
    def carry_out(draft: Draft) -> None:
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
        draft = Draft(
            request=request,
            folder=desk.folder,
            clock=clock,
            gpu=decision.gpu,
            notes=decision.notes,
            started=datetime.now(UTC),
        )
        ended_by: BaseException | None = None
        try:
            with released():
                carry_out(draft)
        except BaseException as error:  # filed as the run's end, and raised again if it is a bug
            ended_by = error
        from orchestrator.run import conclusion  # imported meanwhile

        return conclusion.file(draft, desk, ended_by, view)


def _prepare_cache(draft: Draft, plan: Plan) -> None:
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
    draft: Draft, plan: Plan, runtime: Runtime, view: View, host: Callable[[], HostSource]
) -> None:
    """Run a plan and keep the outcome in the draft."""
    draft.plan = plan
    write_launcher(draft.folder, plan)
    with Monitor(
        draft.folder.monitor,
        gpus=plan.gpus,
        neighbours=_neighbours(draft.machine, plan.gpus) if plan.gpus else (),
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
            meanwhile=lambda: _prepare_conclusion(draft),
        )


def _prepare_conclusion(draft: Draft) -> None:
    from orchestrator.run import conclusion

    conclusion.prepare(draft)


def _neighbours(machine: MachineFacts, gpus: tuple[str, ...]) -> tuple[str, ...]:
    """Return the UUIDs of the GPUs that a run does not use; none for one on a part of a GPU."""
    if any(uuid.startswith("MIG-") for uuid in gpus):
        return ()
    return tuple(one.uuid for one in machine.gpus if one.uuid and one.uuid not in gpus)


def dry_run(request: Request, machine: Machine | None = None) -> Result:
    """Plan a request without starting anything; what the machine lacks becomes a warning.

    `machine` is a different machine. Raises RequestError, and MachineError if the request needs a
    GPU and none works.
    """
    from orchestrator.result import Result  # a run needs it only at its end

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
