"""Arguments of `benchdock bundle`."""

from __future__ import annotations

from typing import Any

from orchestrator.arguments import shared, values
from orchestrator.arguments.parser import command


def add(commands: Any) -> None:
    """Add the parser of the command."""
    bundle = command(
        commands,
        "bundle",
        "pack everything about a run into one file",
        "bundle 20260101T120000-pytorch-resnet50-0a1b2c -o run.zip",
    )
    bundle.add_argument(
        "run", type=values.path, metavar="RUN", help="a run id or a prefix of one, or a run folder"
    )
    bundle.add_argument(
        "-o",
        "--output",
        type=values.path,
        metavar="FILE",
        help="output file (default: RUN.zip in this folder)",
    )
    shared.json(bundle)
    bundle.set_defaults(handler="bundle")
