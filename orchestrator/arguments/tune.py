"""Arguments of `benchdock tune`."""

from __future__ import annotations

from typing import Any

from orchestrator.arguments import run, shared, values
from orchestrator.arguments.parser import command

PASSES = 3


def add(commands: Any) -> None:
    """Add the parser of the command."""
    tune = command(
        commands,
        "tune",
        "find the fastest options of a framework for a network on this machine",
        "tune resnet50 -f pytorch --phase inference",
        "tune resnet50 -f mxnet --gpus none --threads 4,8,16 --batch 16,32",
        "tune vgg16 -f pytorch --only layout,optimizer --repeat 5",
        "run resnet50 -f pytorch --phase inference --tuned",
        status="0 found, 1 the request itself fails or runs are left, 2 or 3 could not start, "
        "130 interrupted",
    )
    run.add_what(tune)
    run.add_gpus(tune)
    run.add_steps(tune)
    tune.add_argument(
        "--batch",
        type=values.counts,
        metavar="N,N",
        help="batch size per device; several of them are tried",
    )
    tune.add_argument(
        "--threads",
        type=values.counts,
        metavar="N,N",
        help="number of CPU threads; several of them are tried (default: all CPUs)",
    )
    shared.options(tune)
    run.add_data(tune)
    tune.add_argument(
        "--image", type=values.given, metavar="REF", help="use this image instead of the default"
    )
    shared.runtime(tune)
    shared.python(tune)
    _add_search(tune)
    shared.gpu_sharing(tune)
    tune.add_argument("--quiet", action="store_true", help="print only failures and the table")
    shared.json(tune)
    tune.set_defaults(handler="tune")


def _add_search(tune: Any) -> None:
    tune.add_argument(
        "--only",
        type=values.names,
        default=(),
        metavar="NAME,NAME",
        help="try only these options (default: all that mean something for the request)",
    )
    tune.add_argument(
        "--all",
        action="store_true",
        help="try all combinations (default: each option by itself, then those that helped)",
    )
    tune.add_argument(
        "--repeat",
        type=values.positive,
        default=PASSES,
        metavar="N",
        help=f"number of passes over all tries (default: {PASSES})",
    )
    tune.add_argument(
        "--by",
        choices=("throughput", "cpu"),
        default="throughput",
        metavar="WHAT",
        help="what counts: throughput (default), or cpu, samples per second of CPU time",
    )
    tune.add_argument(
        "--resume", action="store_true", help="continue the newest search of the same request"
    )
