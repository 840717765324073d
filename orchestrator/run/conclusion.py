"""Concludes a run: puts its records together, judges them and files the result.

Imported while the engine starts the container, which takes as long.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from orchestrator.errors import BenchdockError, ExitStatus, MachineError, machine_fault
from orchestrator.program_facts import ProgramFacts
from orchestrator.result import Environment, Failure, Result
from orchestrator.run.deriving import derived
from orchestrator.run.draft import Draft
from orchestrator.run.failures import exit_status, kind_of
from orchestrator.run.filing import Desk
from orchestrator.run.following import Outcome
from orchestrator.run.judging import judged
from orchestrator.vendor_images.banner import Banner, of_run
from orchestrator.version import VERSION
from orchestrator.view import View


def prepare(draft: Draft) -> None:
    """Do what needs no end: build the record, look at the machine."""
    Result.model_rebuild()
    _ = draft.machine


def file(
    draft: Draft, desk: Desk, ended_by: BaseException | None, view: View
) -> tuple[Result, ExitStatus]:
    """File the result of a run, whatever ended it.

    Raises MachineError if the result cannot be filed, and raises bugs again.
    """
    ending = _Ending()
    if ended_by is not None:
        ending = _Ending.by(ended_by)
    elif draft.outcome is not None:
        ending = _Ending(failure=draft.outcome.failure, status=_status(draft.outcome))
    try:
        result = judged(derived(_result(draft, ending.failure)), draft.monitor)
        moved = desk.file(result)
    except MachineError:
        raise
    except Exception as error:  # the outcome cannot be filed; file the rest
        ending = _Ending.by(error)
        result = _bare(draft, ending.failure)
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


def _result(draft: Draft, failure: Failure | None) -> Result:
    """Put the records together."""
    banner = _banner(draft)
    measured = draft.outcome.measurement if draft.outcome else None
    planned = draft.plan.fingerprint if draft.plan else None
    planned_warnings = draft.plan.warnings if draft.plan else ()
    return Result(
        benchdock=VERSION,
        run=draft.folder.run_id,
        status="failed" if failure else "ok",
        failure=failure,
        request=draft.request,
        plan=draft.plan,
        fingerprint=measured.fingerprint if measured and measured.fingerprint else planned,
        metrics=measured.metrics if measured else {},
        steps=measured.steps if measured else (),
        program=measured.begin if measured else ProgramFacts(),
        warnings=tuple(dict.fromkeys((*planned_warnings, *_warnings(draft, banner)))),
        notes=(*draft.notes, *(measured.notes if measured else ())),
        environment=Environment.of(draft.machine, banner),
        timings=draft.clock.seconds,
        monitor=draft.monitor.summary() if draft.monitor else {},
        page_cache=draft.cache,
        exit_code=draft.outcome.exit_code if draft.outcome else None,
        started=draft.started,
        finished=datetime.now(UTC),
    )


def _bare(draft: Draft, failure: Failure | None) -> Result:
    """Put together what can certainly be filed: no text from a program or a machine."""
    return Result(
        benchdock=VERSION,
        run=draft.folder.run_id,
        status="failed",
        failure=failure,
        request=draft.request,
        started=draft.started,
        finished=datetime.now(UTC),
    )


def _warnings(draft: Draft, banner: Banner) -> tuple[str, ...]:
    told = draft.outcome.measurement.warnings if draft.outcome else ()
    notes = draft.outcome.notes if draft.outcome else ()
    seen = draft.monitor.warnings() if draft.monitor else ()
    on_cpu = draft.plan is not None and draft.plan.device == "cpu"
    doubts = draft.machine.doubts() if on_cpu else banner.warnings()
    cached = draft.cache.doubts() if draft.cache else ()
    return (*told, *notes, *seen, *doubts, *cached)


def _banner(draft: Draft) -> Banner:
    """Return what the image says of itself, if a program ran in one."""
    in_container = draft.plan is not None and draft.plan.in_container
    return of_run(draft.folder) if in_container and draft.outcome is not None else Banner()
