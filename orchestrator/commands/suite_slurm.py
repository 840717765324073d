"""`benchdock suite --on slurm`: a session on a cluster, its status, and its cancellation."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn

from orchestrator.commands import gpu_sharing, suite_summary
from orchestrator.errors import ExitStatus, MachineError, RequestError
from orchestrator.machine import inventory
from orchestrator.paths import home
from orchestrator.slurm import arrays, deciding, site
from orchestrator.slurm.arrays import Array, Sent, name_of
from orchestrator.slurm.attempts import Attempts
from orchestrator.slurm.deciding import NodeDecider, Usable
from orchestrator.slurm.folder import ClusterFolder
from orchestrator.slurm.lanes import ArrayLanes
from orchestrator.slurm.programs import Slurm
from orchestrator.slurm.site import Site
from orchestrator.slurm.submitting import Submitter
from orchestrator.suites import expansion, folder, resuming, session, state, summary
from orchestrator.suites.cells import Cell
from orchestrator.suites.folder import SessionFolder
from orchestrator.suites.loading import Loaded
from orchestrator.suites.notes import SessionNote
from orchestrator.suites.planning import SuitePlan
from orchestrator.suites.state import State
from orchestrator.suites.turns import turns
from orchestrator.units import counted
from orchestrator.version import VERSION

# What --on slurm is used with, and `sbatch` calls the same.
_OPTIONS = ("partition", "account", "constraint")
# A GPU may still be held by an attempt that Slurm believes to be gone, in seconds.
LEAST_WAIT = 60.0


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """The cluster of a session, and how it is used."""

    slurm: Slurm
    site: Site
    usable: Usable

    def decider(self) -> NodeDecider:
        """Return what decides which runs its nodes can make."""
        return NodeDecider(self.usable, self.site.kind)

    def arrays(self, plan: SuitePlan) -> list[Array]:
        """Return the arrays of a whole suite."""
        queue = list(turns([row.cell for row in plan.rows]))
        return list(arrays.divide(queue, _gpus(plan), self.slurm.largest_array()))

    def tools(
        self,
        where: SessionFolder,
        plan: SuitePlan,
        note: SessionNote,
        view: session.SessionView,
        arguments: argparse.Namespace,
    ) -> session.Tools:
        """Return what a session on it works with."""
        share = gpu_sharing.chosen(arguments, least=LEAST_WAIT)
        submitter = Submitter(
            folder=ClusterFolder.of(where),
            slurm=self.slurm,
            site=self.site,
            sent=Sent(
                benchdock=VERSION,
                commit=inventory.own_commit(),
                note=note,
                patience=self.site.patience,
                wait=share.wait,
                allow_shared=share.allowed,
            ),
            gpus=_gpus(plan),
            home=home(),
            most=arguments.jobs or 0,
            excluded=self.usable.excluded,
        )
        lanes = ArrayLanes(submitter=submitter, nodes=self.usable.names, detach=arguments.detach)
        return session.Tools(runner=_elsewhere, view=view, lanes=lanes)

    def keep(self, where: SessionFolder) -> None:
        """Keep the settings for a continuation. Raises MachineError."""
        arrays.save(ClusterFolder.of(where).settings, site.as_text(self.site))


def _elsewhere(*_: object, **__: object) -> NoReturn:
    raise AssertionError("tasks make the runs")


def _gpus(plan: SuitePlan) -> dict[str, int]:
    decided = {row.cell.digest: row.decided for row in plan.rows}
    return {key: one.devices if one.device == "gpu" else 0 for key, one in decided.items()}


def chosen(arguments: argparse.Namespace, where: SessionFolder | None = None) -> Cluster | None:
    """Return the cluster that the command line names, or that a session is on; None without one.

    Raises RequestError, MachineError.
    """
    given = {name: getattr(arguments, name) for name in _OPTIONS if getattr(arguments, name)}
    options = {**given, **arguments.sbatch}
    kept = ClusterFolder.of(where).settings if where is not None else None
    continued = kept is not None and kept.exists()
    if arguments.on is None and not continued:
        _refuse_options(arguments, [*given, *(("sbatch",) if arguments.sbatch else ())])
        return None
    is_kept = continued and not arguments.site
    settings = site.kept(kept) if is_kept and kept is not None else site.load(arguments.site)
    settings = settings.over(nodes=arguments.nodes or "", options=options)
    slurm = Slurm()
    return Cluster(slurm=slurm, site=settings, usable=deciding.usable(slurm, settings))


def _refuse_options(arguments: argparse.Namespace, given: list[str]) -> None:
    """Refuse options that mean nothing on one machine. Raises RequestError."""
    more = [name for name in ("site", "nodes", "detach") if getattr(arguments, name, None)]
    for name in (*given, *more):
        raise RequestError(f"--{name} only works with --on slurm", hint="add --on slurm")


def execute(arguments: argparse.Namespace) -> ExitStatus:
    """Show the status of a session, or cancel it. Raises RequestError, MachineError."""
    where = _session(arguments)
    if arguments.cancel:
        return _cancel(where)
    facts = folder.read_facts(where)
    loaded = Loaded(suite=folder.suite_of(where, facts), folder=facts.folder)
    cells = expansion.expand(loaded, most=arguments.max_runs or expansion.MOST_RUNS).cells
    _show(where, cells, as_json=arguments.json)
    return ExitStatus.OK


def _session(arguments: argparse.Namespace) -> SessionFolder:
    if arguments.suite is not None:
        raise RequestError(
            "--status and --cancel are for a session, not for a suite", hint="use --name SESSION"
        )
    if arguments.name is not None:
        return folder.named(arguments.name)
    every = folder.existing()
    if not every:
        raise RequestError("there is no session", hint="start one with `benchdock suite SUITE`")
    return every[-1]


def _cancel(where: SessionFolder) -> ExitStatus:
    cluster = ClusterFolder.of(where)
    if not cluster.settings.exists():
        raise RequestError(
            f"session {where.name} is not on Slurm", hint="stop it with `kill -USR1 PID`"
        )
    slurm = Slurm()
    live = [one for one in slurm.tasks(map(cluster.job_name, cluster.arrays())) if one.is_live]
    slurm.cancel(sorted({task.job for task in live}))
    print(f"{where.name}: cancelled {counted(len(live), 'task')}")
    if live:
        print(f"continue with `benchdock suite --resume --name {where.name}`")
    return ExitStatus.OK


def _show(where: SessionFolder, cells: tuple[Cell, ...], *, as_json: bool) -> None:
    """Print how far a session is: by its files, and by Slurm if that answers."""
    so_far = resuming.read(where)
    cluster = ClusterFolder.of(where)
    running = _running(cluster, so_far, cells)
    series = summary.of_session(cells, so_far.ended)
    left = sum(one.left for one in series)
    queue = _queue(cluster) if left and cluster.settings.exists() else {}
    counts = {status: so_far.count(status) for status in ("ok", "failed", "skipped")}
    if as_json:
        told = {
            "schema": 1,
            "session": where.name,
            "finished": so_far.finished,
            **counts,
            "left": left,
            "running": running,
            "queue": queue,
            "series": [one.as_json() for one in series],
        }
        print(json.dumps(told, indent=2))
        return
    words = [f"{count} {status}" for status, count in counts.items() if count]
    words.append(f"{left} left" if left else "finished")
    print(f"session {where.name}: {', '.join(words)}")
    if running:
        nodes = ", ".join(f"{node} {count}" for node, count in sorted(Counter(running).items()))
        print(f"running: {len(running)} ({nodes})")
    if queue:
        print(f"in Slurm's queue: {', '.join(f'{count} {what}' for what, count in queue.items())}")
    if left and cluster.settings.exists():
        watcher = cluster.watcher()
        print(f"watched by {watcher}" if watcher else "nobody watches it; its tasks go on")
    print()
    suite_summary.print_series(series)


def _running(cluster: ClusterFolder, so_far: State, cells: tuple[Cell, ...]) -> list[str]:
    """Bring what is known of the runs up to date; return the node of each that is going on."""
    attempts = Attempts(cluster.attempts)
    seen = attempts.look()
    nodes = []
    for turn in turns(cells):
        key = state.key_of(turn)
        name = name_of(key)
        if so_far.is_done(turn):
            continue
        if name in seen.ends:
            end = attempts.end(name)
            if end is not None and end.run not in so_far.forgotten:
                so_far.ended[key] = end
        elif name in seen.claims:
            last = attempts.last(name, seen.claims[name])
            if last is not None and not last.claim.released:
                nodes.append(last.claim.node)
    return nodes


def _queue(cluster: ClusterFolder) -> Mapping[str, int]:
    """Return how many tasks are in which state, or nothing if Slurm does not answer."""
    try:
        tasks = Slurm().tasks(map(cluster.job_name, cluster.arrays()))
    except MachineError:
        return {}
    return Counter(task.state.lower() for task in tasks if task.is_live)
