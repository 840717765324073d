"""Arguments of `benchdock data make`."""

from __future__ import annotations

import argparse
import re
from typing import Any

from orchestrator.arguments import shared, values
from orchestrator.arguments.parser import command
from orchestrator.errors import quoted

SMALLEST_SIDE, LARGEST_SIDE = 8, 8192
# The most that eight digits number.
MOST_SAMPLES = 99_999_999
MODELS = ("acoustic_model", "deep_mnist", "deep_speech2")
_SIZE = re.compile(r"(\d{1,5})x(\d{1,5})", re.ASCII)


def add(subcommands: Any) -> None:
    """Add the parser of the subcommand."""
    make = command(
        subcommands,
        "make",
        "make images or features, the same on every machine",
        "data make images --samples 2000 --classes 100",
        "data make small --samples 64 --classes 4 --size 320x240",
        "data make speech --samples 500 -m deep_speech2",
        status="0 success, 2 or 3 could not start, 130 interrupted (run it again to continue)",
    )
    make.add_argument("folder", type=values.path, metavar="DIR", help="a new or empty folder")
    make.add_argument(
        "--samples",
        type=values.whole(1, MOST_SAMPLES),
        required=True,
        metavar="N",
        help="number of samples",
    )
    make.add_argument(
        "--classes",
        type=values.positive,
        metavar="N",
        help="number of classes of images, each with a folder (default: 10)",
    )
    make.add_argument(
        "--size",
        type=_size,
        metavar="WxH",
        help="size of a usual image; some are portraits or squares (default: 500x375)",
    )
    make.add_argument(
        "-m",
        "--model",
        choices=MODELS,
        metavar="MODEL",
        help=f"make features for {', '.join(MODELS[:-1])} or {MODELS[-1]} instead of images",
    )
    make.add_argument(
        "--seed", type=values.not_negative, default=0, metavar="N", help="seed (default: 0)"
    )
    add_common(make)
    make.set_defaults(handler="data_make")


def add_common(parser: argparse.ArgumentParser) -> None:
    """Add what `make` and `convert` have in common."""
    parser.add_argument(
        "--threads",
        type=values.positive,
        metavar="N",
        help="number of CPU threads (default: all CPUs of this process)",
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="show no progress")
    shared.json(parser)


def _size(text: str) -> tuple[int, int]:
    found = _SIZE.fullmatch(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{quoted(text)} is not a size; write it like 500x375")
    width, height = int(found[1]), int(found[2])
    if min(width, height) < SMALLEST_SIDE or max(width, height) > LARGEST_SIDE:
        raise argparse.ArgumentTypeError(f"{text} is out of range; use 8x8 to 8192x8192")
    return width, height
