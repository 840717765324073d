"""Arguments of `benchdock suite`."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from orchestrator.arguments import shared, slurm, values
from orchestrator.arguments.parser import command
from orchestrator.arguments.plan import add_suite


def add(commands: Any) -> None:
    """Add the parser of the command."""
    suite = command(
        commands,
        "suite",
        "run a suite of benchmarks, in passes",
        "suite nightly.yaml",
        "suite --matrix model=resnet50,vgg16 --matrix batch=32,64 -f pytorch",
        "suite --resume",
        "suite nightly.yaml --resume --rerun failed",
        "suite nightly.yaml --on slurm --partition gpu",
        "suite --status",
        "suite --schema > suite.schema.json",
        status="0 all measured, 1 something failed or could not run, 2 or 3 could not start, 130 "
        "interrupted",
    )
    add_suite(suite)
    suite.add_argument(
        "--resume",
        action="store_true",
        help="continue the newest unfinished session (of SUITE, if it is given)",
    )
    suite.add_argument(
        "--rerun",
        choices=("failed", "all"),
        metavar="WHAT",
        help="with --resume: run failed runs again, or all of them",
    )
    suite.add_argument(
        "--name",
        type=values.given,
        metavar="NAME",
        help="name of the session (default: that of the suite, with date and time)",
    )
    suite.add_argument(
        "--budget",
        type=values.duration,
        metavar="TIME",
        help="start no run that would end after this time, such as 5h (default: the suite's)",
    )
    suite.add_argument(
        "--jobs",
        type=values.positive,
        metavar="N",
        help="make at most N runs at once, each on its own GPUs (default: as many as there are "
        "GPUs for; runs on the CPU come one by one)",
    )
    shared.gpu_sharing(suite)
    _add_cluster(suite)
    suite.add_argument("--schema", action="store_true", help="print the JSON Schema of suite files")
    suite.add_argument("--quiet", action="store_true", help="print only failures and the summary")
    shared.json(suite)
    suite.set_defaults(handler="suite")


def _add_cluster(suite: ArgumentParser) -> None:
    """Add what concerns sessions that go on elsewhere."""
    slurm.add(suite)
    suite.add_argument(
        "--detach", action="store_true", help="with --on slurm: submit, and do not wait for the end"
    )
    others = suite.add_mutually_exclusive_group()
    others.add_argument(
        "--status", action="store_true", help="show how far the newest session is (or --name)"
    )
    others.add_argument(
        "--cancel", action="store_true", help="cancel what a session still has in Slurm's queue"
    )
