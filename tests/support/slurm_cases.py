"""Sessions on a fake cluster, and the scripts that sbatch gets."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from orchestrator.paths import home
from orchestrator.slurm.arrays import Array, Sent
from orchestrator.slurm.folder import ClusterFolder
from orchestrator.slurm.lanes import ArrayLanes
from orchestrator.slurm.programs import Slurm
from orchestrator.slurm.script import Script
from orchestrator.slurm.site import Site
from orchestrator.slurm.submitting import Submitter
from orchestrator.suites.cells import Cell, Origin
from orchestrator.suites.notes import SessionNote
from orchestrator.suites.turns import Turn
from orchestrator.version import VERSION
from tests.support.fake_slurm import NODES, FakeSlurm
from tests.support.sessions import Bench

# Of the tasks, who wait in real time, and of the session, whose time is the cluster's.
PATIENCE = 0.2
PATIENCE_HERE = 20.0


def cells(*names: str, repeat: int = 1) -> list[Cell]:
    """Return cells of these names, which are their digests too."""
    return [Cell({"model": name}, name, repeat, Origin((), "a", 5)) for name in names]


def turns(*names: str) -> tuple[Turn, ...]:
    return tuple(Turn(cell, 1) for cell in cells(*names))


def lanes(bench: Bench, slurm: FakeSlurm, gpus: int = 1, *, detach: bool = False) -> ArrayLanes:
    """Return the lanes of a session on a fake cluster, whose clock they use."""
    where = ClusterFolder.of(bench.where)
    where.attempts.mkdir(parents=True, exist_ok=True)
    note = SessionNote(name=bench.where.name, suite="nightly", digest="d", night="2026-11-30")
    submitter = Submitter(
        folder=where,
        slurm=cast(Slurm, slurm),
        site=Site(patience=PATIENCE_HERE),
        sent=Sent(
            benchdock=VERSION, commit=None, note=note, patience=PATIENCE, wait=0.0,
            allow_shared=False,
        ),
        gpus={cell.digest: gpus for cell in bench.cells},
        home=home(),
        sleep=slurm.sleep,
    )  # fmt: skip
    nodes = frozenset(node.name for node in NODES)
    return ArrayLanes(
        submitter=submitter, nodes=nodes, detach=detach, sleep=slurm.sleep, now=slurm.now
    )


_PLACE: dict[str, Any] = {
    "session": "nightly-20261130-0100",
    "home": Path("/shared/bench's home"),
    "orders": Path("/shared/bench's home/sessions/nightly-20261130-0100/slurm/0001.jsonl"),
    "logs": Path("/shared/bench's home/sessions/nightly-20261130-0100/slurm/logs/0001"),
    "command": ("/shared/venv/bin/python", "-m", "orchestrator.start_task"),
    "code": Path("/shared/benchdock"),
}
SITE = Site(
    setup=("module load cuda/12", 'export SCRATCH="/local/$USER"'),
    gres="gpu:h100",
    sbatch={"partition": "gpu", "account": "bench", "comment": "every night"},
    gpu={"cpus-per-gpu": 8},
    cpu={"partition": "cpu", "exclusive": False},
)
SCRIPTS = {
    "usual-gpu": Script(
        name="benchdock-a-0001-gpu2", array=Array(0, 2, turns("a", "b")), site=Site(), **_PLACE
    ),
    "usual-cpu": Script(
        name="benchdock-a-0001-cpu", array=Array(0, 0, turns("a")), site=Site(), **_PLACE
    ),
    "site-gpu": Script(
        name="benchdock-a-0001-gpu8", array=Array(0, 8, turns("a", "b", "c")), site=SITE,
        limit=900.0, most=2, exclude=("n7", "n9"), **_PLACE,
    ),
    "site-cpu": Script(
        name="benchdock-a-0001-cpu", array=Array(0, 0, turns("a")), site=SITE, **_PLACE
    ),
}  # fmt: skip
