"""Arguments of `benchdock check-node`."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from orchestrator.arguments import shared, values
from orchestrator.arguments.parser import Once, command

# More passes than this are a night, not a check.
MOST_PASSES = 100


def add(commands: Any) -> None:
    """Add the parser of the command."""
    check = command(
        commands,
        "check-node",
        "measure the nodes of a fleet and name the slow ones",
        "check-node",
        "check-node --partition gpu --python /shared/environment",
        "check-node --partition gpu --srun=--account=me --srun=--gpus-per-node=8",
        "check-node --compare",
        "check-node --compare /shared/checks/a /shared/checks/b",
        "check-node --log nccl.txt --log nvbandwidth.json",
        status="0 no node is slow, 1 a node or a part of its check failed, 2 or 3 could not start, "
        "4 a node is slow",
    )
    _add_where(check)
    _add_what(check)
    shared.json(check)
    check.set_defaults(handler="check_node")


def _add_where(check: ArgumentParser) -> None:
    where = check.add_mutually_exclusive_group()
    where.add_argument(
        "--partition",
        action=Once,
        type=values.given,
        metavar="NAME",
        help="check all idle nodes of this partition of Slurm at once, and compare them",
    )
    where.add_argument(
        "--compare",
        nargs="*",
        type=values.path,
        metavar="FOLDER",
        help="compare the records in these folders and measure nothing (default: the newest record "
        "of each node)",
    )
    where.add_argument(
        "--into",
        action=Once,
        type=values.path,
        metavar="FOLDER",
        help="keep the record of this node in FOLDER, for --compare FOLDER",
    )
    check.add_argument(
        "--srun",
        action="append",
        default=[],
        type=values.scripted,
        metavar="OPTION",
        help="with --partition: pass an option on to srun, such as --srun=--account=me; repeatable",
    )
    check.add_argument(
        "--program",
        action=Once,
        type=values.path,
        metavar="PATH",
        help="with --partition: the benchdock of the nodes (default: this one, which they must "
        "reach by the same path)",
    )
    check.add_argument(
        "--timeout",
        type=values.duration,
        default=3600.0,
        metavar="TIME",
        help="with --partition: give up after this time (default: 1h)",
    )


def _add_what(check: ArgumentParser) -> None:
    check.add_argument(
        "--passes",
        type=values.whole(1, MOST_PASSES),
        default=5,
        metavar="N",
        help="measure everything so many times: the interval needs 2 or more (default: 5)",
    )
    check.add_argument(
        "--model",
        type=values.recorded_path,
        default="resnet50",
        metavar="MODEL",
        help="the network of the control series (default: resnet50)",
    )
    check.add_argument(
        "-f", "--framework", default="pytorch", help="its framework (default: pytorch)"
    )
    check.add_argument(
        "--phase", choices=shared.PHASES, default="training", metavar="PHASE",
        help="training or inference (default: training)",
    )  # fmt: skip
    check.add_argument(
        "--dtype", choices=shared.DTYPES, default="float32", metavar="DTYPE",
        help="its number type (default: float32)",
    )  # fmt: skip
    check.add_argument("--batch", type=values.positive, metavar="N", help="batch size per device")
    check.add_argument("--steps", type=values.positive, metavar="N", help="number of timed steps")
    check.add_argument(
        "--gpus",
        type=values.gpu_choice,
        metavar="all|none|0,1",
        help="the GPUs, or none for the CPU (default: all GPUs, the CPU without one)",
    )
    check.add_argument(
        "--seconds", type=values.duration, default=1.0, metavar="S",
        help="time for each figure of the probe (default: 1s)",
    )  # fmt: skip
    check.add_argument(
        "--log",
        action="append",
        default=[],
        type=values.path,
        metavar="FILE",
        help="also take figures from this log of nccl-tests, nvbandwidth or iperf3; repeatable",
    )
    check.add_argument(
        "--iperf3",
        action=Once,
        type=values.given,
        metavar="HOST",
        help="measure the network to this host, on which `iperf3 -s` runs",
    )
    check.add_argument("--image", type=values.given, metavar="REF", help="use this image")
    shared.runtime(check)
    shared.python(check)
