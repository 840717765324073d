"""Arguments of `benchdock plan`, and those that choose a suite."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from orchestrator.arguments import shared, slurm, values
from orchestrator.arguments.parser import Collect, Once, command


def add(commands: Any) -> None:
    """Add the parser of the command."""
    plan = command(
        commands,
        "plan",
        "show what a suite would run on this machine, in order",
        "plan nightly.yaml",
        "plan nightly.yaml --machine server.json",
        "plan --matrix model=resnet50,vgg16 --matrix batch=32,64 -f pytorch",
        "plan nightly.yaml --csv > plan.csv",
        "plan nightly.yaml --on slurm",
        status="0 success, 2 the suite is wrong, 3 this machine can run none of it",
    )
    add_suite(plan)
    plan.add_argument(
        "--machine",
        type=values.path,
        metavar="FILE",
        help="plan for the machine described in FILE (from `benchdock doctor --json`)",
    )
    slurm.add(plan)
    kinds = plan.add_mutually_exclusive_group()
    kinds.add_argument("--csv", action="store_true", help="print comma-separated values")
    shared.json(kinds)
    plan.set_defaults(handler="plan")


def add_suite(parser: ArgumentParser) -> None:
    """Add what chooses a suite: a file, or the words that replace one."""
    parser.add_argument(
        "suite", nargs="?", type=values.path, metavar="SUITE", help="a suite file (docs/suites.md)"
    )
    without = parser.add_argument_group("without a file")
    without.add_argument(
        "--matrix",
        type=values.option,
        action=Collect,
        default={},
        metavar="KEY=A,B",
        help="run all combinations of these values; repeatable",
    )
    without.add_argument(
        "-f", "--framework", action=Once, metavar="A,B", help="short for --matrix framework=A,B"
    )
    without.add_argument(
        "--set",
        dest="settings",
        type=values.option,
        action=Collect,
        default={},
        metavar="KEY=VALUE",
        help="a value of all runs, such as steps=50 or gpus=none; repeatable",
    )
    without.add_argument(
        "--repeat", type=values.positive, metavar="N", help="run everything N times (default: 1)"
    )
    parser.add_argument(
        "--max-runs",
        type=values.positive,
        metavar="N",
        help="allow a suite of up to N different runs (default: 100000)",
    )
