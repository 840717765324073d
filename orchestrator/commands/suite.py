"""`benchdock suite`: run a suite, or continue one."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from orchestrator.commands import gpu_sharing, suite_slurm, suite_summary
from orchestrator.commands import plan as plans
from orchestrator.errors import BenchdockError, ExitStatus, RequestError
from orchestrator.paths import RunFolder, home
from orchestrator.request import Request
from orchestrator.result import Result
from orchestrator.run.sharing import Sharing
from orchestrator.slurm.folder import ClusterFolder
from orchestrator.suites import (
    deciding,
    expansion,
    folder,
    planning,
    preflight,
    resuming,
    session,
    stopping,
    summary,
)
from orchestrator.suites.cells import Cell
from orchestrator.suites.decisions import Decider
from orchestrator.suites.fetching import Fetcher
from orchestrator.suites.folder import Facts, SessionFolder
from orchestrator.suites.journal import Journal
from orchestrator.suites.loading import Loaded
from orchestrator.suites.models import Suite
from orchestrator.suites.notes import SessionNote
from orchestrator.suites.planning import SuitePlan
from orchestrator.suites.requests import request_of
from orchestrator.suites.state import RERUN
from orchestrator.ui.of_session import SessionLines
from orchestrator.units import SECONDS, counted, quantity
from orchestrator.view import View

RESUME = "benchdock suite --resume"
# Seconds for which a session waits for GPUs at least: after a kill, the last runs are still ending.
LEAST_WAIT = 60.0
USUAL_SHARE = Sharing(wait=LEAST_WAIT)


def execute(arguments: argparse.Namespace) -> ExitStatus:
    """Run what the command line says. Raises RequestError, MachineError, Interrupted."""
    if arguments.schema:
        print(json.dumps(Suite.model_json_schema(by_alias=True), indent=2))
        return ExitStatus.OK
    if arguments.status or arguments.cancel:
        return suite_slurm.execute(arguments)
    if arguments.rerun is not None and not arguments.resume:
        raise RequestError("--rerun only works with --resume", hint="add --resume")
    if arguments.resume:
        where, loaded = _unfinished(arguments)
    else:
        where, loaded = None, plans.chosen(arguments)
    expanded = expansion.expand(loaded, most=arguments.max_runs or expansion.MOST_RUNS)
    cluster = suite_slurm.chosen(arguments, where)
    if cluster is not None:
        plan = planning.plan(loaded, expanded, cluster.decider())
        preflight.check(plan, home())
        return _on_cluster(cluster, plan, where, arguments)
    decider = deciding.MachineDecider(folder=loaded.folder)
    plan = planning.plan(loaded, expanded, decider)
    preflight.check(plan, home())
    with folder.only_session(where.name if where else loaded.suite.name):
        if where is None:
            where = folder.create(loaded, datetime.now(), arguments.name)

        def tools_for(_: session.Job, view: SessionLines) -> session.Tools:
            share = gpu_sharing.chosen(arguments, least=LEAST_WAIT)
            return tools_of(plan, decider, view, share, most=arguments.jobs)

        return _run(where, plan, decider, arguments, tools_for)


def _unfinished(arguments: argparse.Namespace) -> tuple[SessionFolder, Loaded]:
    """Return the session to continue, and its suite: as it is now, or as it was."""
    if arguments.suite is not None:
        _refuse_session(arguments.suite)
    given = plans.chosen(arguments) if arguments.suite or arguments.matrix else None
    if arguments.name is not None:
        where = folder.named(arguments.name)
    else:
        where = _newest(given.suite.name if given else None, arguments.rerun is not None)
    facts = folder.read_facts(where)
    return where, given or _as_it_was(where, facts)


def _refuse_session(suite: str) -> None:
    """Refuse the name of a session in place of a suite's file. Raises RequestError."""
    if suite in {where.name for where in folder.existing()} and not Path(suite).exists():
        raise RequestError(
            f"{suite} is a session, not a suite", hint=f"run `{RESUME} --name {suite}`"
        )


def _newest(suite: str | None, also_finished: bool) -> SessionFolder:
    """Return the newest session that is not finished. Raises RequestError."""
    for where in reversed(folder.existing()):
        if suite is not None and folder.read_facts(where).suite.get("name") != suite:
            continue
        if also_finished or not resuming.read(where).finished:
            return where
    what = f"of {suite} " if suite else ""
    raise RequestError(
        f"no session {what}is unfinished", hint="start one with `benchdock suite SUITE`"
    )


def _as_it_was(where: SessionFolder, facts: Facts) -> Loaded:
    return Loaded(suite=folder.suite_of(where, facts), folder=facts.folder)


def _on_cluster(
    cluster: suite_slurm.Cluster,
    plan: SuitePlan,
    where: SessionFolder | None,
    arguments: argparse.Namespace,
) -> ExitStatus:
    """Begin or continue a session on a cluster; two of them do not disturb each other."""
    where = where or folder.create(plan.loaded, datetime.now(), arguments.name)
    with ClusterFolder.of(where).watched():
        cluster.keep(where)

        def tools_for(job: session.Job, view: SessionLines) -> session.Tools:
            return cluster.tools(where, plan, job.note, view, arguments)

        return _run(where, plan, cluster.decider(), arguments, tools_for)


def _run(
    where: SessionFolder,
    plan: SuitePlan,
    decider: Decider,
    arguments: argparse.Namespace,
    tools_for: Callable[[session.Job, SessionLines], session.Tools],
) -> ExitStatus:
    """Run what is left, and report it whatever happens."""
    facts = folder.read_facts(where)
    with closing(SessionLines(where.log, quiet=arguments.quiet)) as view:
        _announce(plan, where, view)
        job = job_of(plan, decider, facts, arguments.budget)
        try:
            status = carry_out(
                where,
                job,
                tools_for(job, view),
                view,
                rerun=arguments.rerun,
                new_budget=arguments.budget is not None,
            )
        finally:
            series = summary.of_session(job.cells, resuming.read(where).ended)
            # On a cluster, claims are refused.
            here = decider if isinstance(decider, deciding.MachineDecider) else None
            answers = suite_summary.answers(series, here) if here else []
            suite_summary.show(where, plan, series, answers, as_json=arguments.json)
            take_in(view)
    return ExitStatus.BENCHMARK_FAILED if plan.refused else status


def job_of(plan: SuitePlan, decider: Decider, facts: Facts, budget: float | None) -> session.Job:
    """Return what a session runs; `budget`, in seconds, replaces the suite's."""
    suite = plan.loaded.suite
    return session.Job(
        cells=[row.cell for row in plan.rows],
        request_of=_requests(plan, decider),
        note=SessionNote(name=facts.name, suite=suite.name, digest=facts.digest, night=facts.night),
        known={row.cell.digest: row.seconds for row in plan.rows if row.seconds is not None},
        usual=plan.usual_seconds,
        budget=budget or suite.budget.night,
    )


def carry_out(
    where: SessionFolder,
    job: session.Job,
    tools: session.Tools,
    view: SessionLines,
    *,
    rerun: RERUN | None = None,
    new_budget: bool = False,
) -> ExitStatus:
    """Begin or continue a session until it ends or a signal stops it.

    With `new_budget` the budget of the job is that of this process, else that of the session.
    Raises as `session.carry_out` does.
    """
    from orchestrator.run.filing import tell_killed
    from orchestrator.signals import interruptible

    with Journal(where.journal) as log, stopping.on_signal() as stop, interruptible():
        tell_killed(view.note)
        before = resuming.begin(where, log, rerun=rerun)
        if job.budget is not None and not new_budget:
            job = replace(job, budget=job.budget - before.spent)
        return session.carry_out(job, before, log, replace(tools, stopped=stop))


def _fetched_meanwhile(
    plan: SuitePlan, view: SessionLines
) -> tuple[Callable[[Cell], None], Callable[[Cell], bool]]:
    """Start to fetch missing images; return what waits for that of a cell, and whether it would."""
    needs = {row.cell.digest: row.decided.need for row in plan.rows}

    def pull(image: str) -> None:
        from orchestrator.images import image_table, store
        from orchestrator.runtimes.docker.client import Engine

        with Engine.connect() as engine:
            store.pull(image, image_table.load(), engine, lambda _: None)

    fetcher = Fetcher(plan.needs(), pull, view.note)
    return (
        lambda cell: fetcher.wait(needs[cell.digest]),
        lambda cell: fetcher.is_over(needs[cell.digest]),
    )


def take_in(view: SessionLines) -> None:
    """Bring the database up to date, which also remembers how long the runs took."""
    from orchestrator.store import location, reading

    try:
        reading.use_patiently(location.here(), lambda _: None, view.note)
    except BenchdockError as error:  # the run folders are the truth; the next reader takes them in
        view.note(f"the database is not up to date: {error}")


def tools_of(
    plan: SuitePlan,
    decider: deciding.MachineDecider,
    view: SessionLines,
    share: Sharing = USUAL_SHARE,
    *,
    most: int | None = None,
) -> session.Tools:
    """Return what a session works with; it makes at `most` so many runs at once."""
    ready, is_ready = _fetched_meanwhile(plan, view)
    return session.Tools(
        runner=_runner(decider, share),
        view=view,
        ready=ready,
        is_ready=is_ready,
        lanes=_lanes(plan, decider, share, most),
    )


def _lanes(
    plan: SuitePlan, decider: deciding.MachineDecider, share: Sharing, most: int | None
) -> session.Lanes | None:
    """Return what makes runs side by side, at `most` so many; None without several GPUs."""
    if not any(row.decided.gpus for row in plan.rows) or len(decider.gpus.gpus) < 2:
        return None
    from orchestrator.suites import places
    from orchestrator.suites.lanes import GpuLanes

    chosen = places.choose(plan.rows, decider.gpus, places.kept())
    places.keep(chosen)
    command = (sys.executable, "-m", "orchestrator.commands.suite_worker")
    return GpuLanes(gpus=chosen, command=command, share=share, most=most or len(plan.rows))


def _runner(decider: deciding.MachineDecider, share: Sharing) -> session.Runner:
    """Return what runs a request: the machine has been looked at, so each run is only decided."""
    from orchestrator.run import benchmark

    def measure(
        request: Request, view: View, on_folder: Callable[[RunFolder], None]
    ) -> tuple[Result, ExitStatus]:
        decided = decider.decision(request)
        return benchmark.run(request, view, decided=decided, on_folder=on_folder, share=share)

    return measure


def _requests(plan: SuitePlan, decider: Decider) -> Callable[[Cell], Request]:
    def make(cell: Cell) -> Request:
        limit = plan.loaded.suite.budget.run
        if cell.claim is None:
            return request_of(cell.settings, plan.loaded.folder, timeout=limit)
        request, decided = decider.claimed(cell)
        if request is None:
            raise RequestError(decided.refusal, hint=decided.hint)
        return request

    return make


def _announce(plan: SuitePlan, where: SessionFolder, view: SessionLines) -> None:
    about = f", about {quantity(plan.seconds, SECONDS)}" if plan.seconds else ""
    view.note(f"session {where.name}: {len(plan.rows)} series, {counted(plan.runs, 'run')}{about}")
    for row in plan.refused:
        view.note(f"cannot run here: {row.cell.title}: {row.decided.why_not}")
