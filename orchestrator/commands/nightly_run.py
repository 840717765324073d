"""`benchdock nightly run SUITE`: run a night, judge it, and say what somebody must know."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from orchestrator.commands import nightly_outputs, nightly_tidy
from orchestrator.commands import suite as suites
from orchestrator.errors import BenchdockError, ExitStatus, Interrupted
from orchestrator.machine import inventory
from orchestrator.nightly import attempts, environment, machine_lock, night, schedule
from orchestrator.nightly.machine_lock import BusyError
from orchestrator.nightly.tonight import Work
from orchestrator.nights import decisions, files, past, telling
from orchestrator.nights.history import HOLDS
from orchestrator.nights.past import Past
from orchestrator.nights.record import Night, NightDecision
from orchestrator.paths import RunFolder, check_environment, home, nights
from orchestrator.request import Request
from orchestrator.result import Result
from orchestrator.suites import (
    deciding,
    expansion,
    folder,
    loading,
    planning,
    preflight,
    resuming,
    session,
    stopping,
)
from orchestrator.suites.journal import Journal
from orchestrator.suites.loading import Loaded
from orchestrator.ui.of_session import SessionLines
from orchestrator.ui.text import clean
from orchestrator.units import SECONDS, counted, quantity
from orchestrator.view import View


def execute(arguments: argparse.Namespace) -> ExitStatus:
    """Run a night. Raises RequestError, MachineError, and Interrupted after the night is filed."""
    if arguments.environment:
        environment.apply(Path(arguments.environment))
    check_environment()
    loaded = loading.load(Path(arguments.suite))
    nightly_outputs.check(arguments)
    if arguments.dry_run:
        return _dry_run(loaded)
    name = loaded.suite.name
    budget = arguments.budget or loaded.suite.budget.night
    late = schedule.why_not_now(name, budget, datetime.now()) if arguments.environment else ""
    if late:
        return _skip(name, late)
    try:
        with machine_lock.held(name), folder.only_session(name):
            return _run(loaded, arguments)
    except BusyError as error:
        return _skip(name, error.what)
    except Interrupted:  # the night is filed, as far as it came
        raise
    except BenchdockError as error:
        attempts.note(name, str(error), status=int(error.exit_status))
        raise


def _skip(suite: str, why: str) -> ExitStatus:
    """Say why a night does not run; the next one says it again."""
    attempts.note(suite, why, status=0)
    print(clean(f"benchdock: {why}; this night is skipped"), file=sys.stderr)
    return ExitStatus.OK


def _dry_run(loaded: Loaded) -> ExitStatus:
    """Check what a night needs. Raises MachineError."""
    plan = planning.plan(
        loaded, expansion.expand(loaded), deciding.MachineDecider(folder=loaded.folder)
    )
    preflight.check(plan, home())
    list(files.newest(loaded.suite.name, past.MOST))  # a damaged file is found now
    about = f", about {quantity(plan.seconds, SECONDS)}" if plan.seconds else ""
    runs = counted(plan.runs, "run")
    print(clean(f"a night has {len(plan.rows)} series, {runs}{about}, and is kept in {nights()}"))
    for row in plan.refused:
        print(clean(f"cannot run here: {row.cell.title}: {row.decided.why_not}"))
    return ExitStatus.OK


def _run(loaded: Loaded, arguments: argparse.Namespace) -> ExitStatus:
    name = loaded.suite.name
    decider = deciding.MachineDecider(folder=loaded.folder)
    plan = planning.plan(loaded, expansion.expand(loaded), decider)
    preflight.check(plan, home())
    earlier = list(files.newest(name, past.MOST))
    before = past.of(earlier, inventory.machine_or_host())
    problems = (*attempts.lost(name), *_clock(before), *_missed(name, before))
    where = folder.create(loaded, datetime.now())
    attempts.note(name, "began", session=where.name)
    facts = folder.read_facts(where)
    silent = not sys.stderr.isatty()
    with closing(SessionLines(where.log, quiet=False, silent=silent)) as view:
        job = suites.job_of(plan, decider, facts, arguments.budget)
        work = Work(
            plan=plan,
            where=where,
            job=job,
            tools=suites.tools_of(plan, decider, view),
            past=before,
            decided=decisions.read(name),
            number=files.next_number(name),
            night=datetime.now().date(),
            machine=inventory.machine_or_host(),
            budget=job.budget,
            problems=problems,
            in_old_image=_in_old_image(decider),
        )
        status = _carried_out(work, view, arguments)
        tonight = next(files.newest(name, 1))
        nightly_tidy.tidy(earlier, tonight, before, loaded.suite.budget.disk, view.note)
        return status


def _carried_out(work: Work, view: SessionLines, arguments: argparse.Namespace) -> ExitStatus:
    from orchestrator.nights import storing
    from orchestrator.run.filing import tell_killed
    from orchestrator.signals import interruptible

    with Journal(work.where.journal) as log, stopping.on_signal() as stop, interruptible():
        tell_killed(view.note)
        work = replace(work, tools=replace(work.tools, stopped=stop))
        tonight, interrupted = night.carry_out(work, resuming.begin(work.where, log), log)
    name = tonight.suite
    tonight = _with_problems(tonight, attempts.refused_since(name, work.where.name))
    status = telling.exit_status(tonight)
    files.write(tonight)
    _decide(tonight, work.past)
    if why := storing.why_not_stored([tonight]):
        view.note(why)
    attempts.note(name, telling.subject(tonight), status=int(status), night=tonight.number)
    _print(tonight, arguments)
    written = nightly_outputs.write(tonight, arguments)
    nightly_outputs.send(tonight, arguments)
    if interrupted is not None:
        raise interrupted
    return status if written or status is not ExitStatus.OK else ExitStatus.MACHINE_CANNOT


def _in_old_image(
    decider: deciding.MachineDecider,
) -> Callable[[Result], session.Runner | None]:
    """Return what finds the image of a result, and returns what runs a request in it."""
    from orchestrator.results import source
    from orchestrator.run import benchmark, places

    def find(before: Result) -> session.Runner | None:
        plan = before.plan
        if plan is None or before.request is None or plan.runtime != "docker":
            return None
        decision = decider.decision(before.request)
        found = None if decision.engine is None else source.find_image(plan, places.live(decision))
        if found is None or found.how != "exact":
            return None

        def measure(
            request: Request, view: View, on_folder: Callable[[RunFolder], None]
        ) -> tuple[Result, ExitStatus]:
            return benchmark.run(
                request,
                view,
                decided=decider.decision(request),
                find_place=source.finder(found, plan, ()),
                on_folder=on_folder,
            )

        return measure

    return find


def _clock(before: Past) -> tuple[str, ...]:
    last = before.last
    if last is None or last.started <= datetime.now().timestamp():
        return ()
    return (f"the clock of this machine went back: the last night is dated {last.night}",)


def _missed(suite: str, before: Past) -> tuple[str, ...]:
    """Say on which days a scheduled night did not start at all."""
    days = schedule.missed(suite, before.last.night, datetime.now().date()) if before.last else []
    shown = ", ".join(map(str, days[-3:]))
    return (f"no night started on {shown}",) if days else ()


def _with_problems(tonight: Night, more: list[str]) -> Night:
    return tonight.model_copy(update={"problems": (*tonight.problems, *more)})


def _decide(tonight: Night, before: Past) -> None:
    """File that an improvement that held is the new level: its loss would go unseen otherwise."""
    for one in past.rebased(before, tonight):
        decided = NightDecision(
            kind="auto",
            series=one.key,
            night=tonight.number,
            who="benchdock",
            why=f"faster for {HOLDS} nights",
            at=time.time(),
        )
        decisions.append(tonight.suite, decided)


def _print(tonight: Night, arguments: argparse.Namespace) -> None:
    """Print nothing after a quiet night: cron sends a mail for any output."""
    if arguments.json:
        print(tonight.model_dump_json(by_alias=True, indent=2))
    elif arguments.always or not telling.is_quiet(tonight):
        report = str(Path(arguments.report) / "index.html") if arguments.report else None
        for line in telling.lines(tonight, report=report):
            print(clean(line))
