"""Arguments of `benchdock frameworks`."""

from __future__ import annotations

from typing import Any

from orchestrator.arguments import shared, values
from orchestrator.arguments.parser import command


def add(commands: Any) -> None:
    """Add the parser of the command."""
    parser = command(
        commands,
        "frameworks",
        "list the frameworks and what each one supports",
        "frameworks",
        "frameworks tf_cnn_benchmarks",
        "frameworks --json",
    )
    parser.add_argument(
        "name",
        nargs="?",
        type=values.given,
        metavar="NAME",
        help="show one framework: networks, options, requirements",
    )
    shared.json(parser)
    parser.set_defaults(handler="frameworks")
