"""`--nodes N` of `benchdock run`: one program whose ranks are on several nodes of a job of Slurm.

`srun` starts the program once on each node, and there `backends.harness.ranks` starts its share of
the ranks, also of Horovod's. The environment and the run's folder must be on file systems that the
nodes share.
"""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Mapping

from orchestrator.errors import MachineError, RequestError
from orchestrator.run import surroundings

FRAMEWORKS = ("pytorch", "horovod_pytorch")


def chosen(
    arguments: argparse.Namespace, environment: Mapping[str, str] = os.environ
) -> tuple[str, str]:
    """Return runtime and prefix of a request. Raises RequestError, MachineError."""
    _check_request(arguments)
    _check_job(arguments.nodes, environment)
    start, prefix = shlex.join(_srun(arguments.nodes)), arguments.prefix
    return "host", f"{start} {prefix}" if prefix is not None else start


def _srun(nodes: int) -> list[str]:
    return [
        "srun",
        f"--nodes={nodes}",
        "--relative=0",
        "--ntasks-per-node=1",
        "--overlap",
        "--mem=0",
        "--cpu-bind=none",
        "--kill-on-bad-exit=1",
        "--input=none",
        f"{surroundings.NODES}{nodes}",
    ]


def _check_request(arguments: argparse.Namespace) -> None:
    nodes, ranks = arguments.nodes, arguments.ranks
    if arguments.framework not in FRAMEWORKS:
        known = " and ".join(FRAMEWORKS)
        raise RequestError(f"--nodes only works with {known}", hint=f"use -f {FRAMEWORKS[0]}")
    if ranks is None or ranks % nodes:
        raise RequestError(
            f"--nodes {nodes} needs a number of ranks that is a multiple of {nodes}, and supports "
            "no GPUs",
            hint=f"add --ranks {nodes}",
        )
    if arguments.runtime not in ("auto", "host"):
        raise RequestError(
            "a container cannot start a program on other nodes", hint="use --runtime host"
        )


def _check_job(nodes: int, environment: Mapping[str, str]) -> None:
    have = environment.get("SLURM_JOB_NUM_NODES", "")
    if not have.isdigit():
        raise MachineError(
            "--nodes needs a job of Slurm, and this is not in one",
            hint=f"type it in a script for `sbatch --nodes={nodes}`",
        )
    if int(have) < nodes:
        raise MachineError(
            f"this job has {have} of the {nodes} nodes", hint=f"use `sbatch --nodes={nodes}`"
        )
    if environment.get("SLURM_NODEID") != "0":
        # The window of the steps is by the clock of the first node, the monitor's by that of this.
        raise MachineError(
            "this is not the first node of the job, where the steps are timed",
            hint="type it in a script for `sbatch`, which runs there",
        )
