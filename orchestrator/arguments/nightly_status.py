"""Arguments of `benchdock nightly status`, the default subcommand of `benchdock nightly`."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from orchestrator.arguments import shared, values
from orchestrator.arguments.parser import command


def add(subcommands: Any) -> None:
    """Add the parser of the subcommand."""
    status = command(
        subcommands,
        "status",
        "show the last night of each suite, or all series of one (default)",
        "nightly status",
        "nightly status nightly",
    )
    status.add_argument(
        "suite", nargs="?", type=values.given, metavar="SUITE", help="the name of a suite"
    )
    add_options(status)


def add_options(parser: ArgumentParser) -> None:
    """Add what both have."""
    shared.json(parser)
    parser.set_defaults(handler="nightly_status")
