"""Arguments of `benchdock parity`."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from orchestrator.arguments import shared, values
from orchestrator.arguments.parser import command

MOST_RANKS = 64  # each is a process with a copy of the network
# int8 is left out: it has scales, so it is not the same computation with other rounding.
PARITY_DTYPES = shared.DTYPES[:-1]


def add(commands: Any) -> None:
    """Add the parser of the command."""
    parity = command(
        commands,
        "parity",
        "prove that frameworks compute the same networks",
        "parity",
        "parity -f pytorch resnet50 vgg16 --level P2",
        "parity --dtype bfloat16 resnet50",
        "parity -f pytorch resnet18 --ranks 2",
        "parity --dtype float16 --gpus 0",
        "parity --data records --data shards",
        status="0 every comparison holds, 1 one does not or could not be made",
    )
    _add_comparisons(parity)
    shared.around_program(parity)
    shared.options(parity)
    shared.runtime(parity)
    shared.python(parity)
    shared.json(parity)
    parity.set_defaults(handler="parity")


def _add_comparisons(parity: ArgumentParser) -> None:
    parity.add_argument(
        "models", nargs="*", metavar="MODEL", help="networks of `benchdock models` (default: all)"
    )
    parity.add_argument(
        "-f",
        "--framework",
        type=values.given,
        action="append",
        default=[],
        help="a framework of `benchdock frameworks` that parity covers; repeatable (default: all)",
    )
    parity.add_argument(
        "--level",
        action="append",
        choices=("P1", "P2", "P3", "P4"),
        default=[],
        metavar="LEVEL",
        help="P1 build, P2 forward, P3 step (default: all that the framework supports); P4 needs "
        "--ranks",
    )
    parity.add_argument(
        "--ranks",
        type=values.whole(2, MOST_RANKS),
        metavar="N",
        help="compare N ranks on the CPU with one that gets all their samples (P4)",
    )
    parity.add_argument(
        "--dtype",
        choices=PARITY_DTYPES,
        default="float32",
        metavar="DTYPE",
        help=f"one of {', '.join(PARITY_DTYPES)}; each has its tolerance (default: float32)",
    )
    parity.add_argument(
        "--gpus",
        type=values.gpu_choice,
        default="none",
        metavar="none|0",
        help="index of the GPU to compare on (default: none, the CPU)",
    )
    parity.add_argument(
        "--image",
        type=values.given,
        metavar="REF",
        help="use this image instead of the default, with exactly one -f",
    )
    parity.add_argument(
        "--data",
        action="append",
        default=[],
        metavar="DIR",
        help="compare what frameworks read instead: a dataset, or its name; once per format",
    )
