"""Arguments of `benchdock verify`."""

from __future__ import annotations

from typing import Any

from orchestrator.arguments import shared, values
from orchestrator.arguments.parser import command


def add(commands: Any) -> None:
    """Add the parser of the command."""
    verify = command(
        commands,
        "verify",
        "check that a bundle is complete and that its log gives its result",
        "verify run.zip",
        status="0 the bundle is good, 2 it is not",
    )
    verify.add_argument(
        "bundle", type=values.path, metavar="BUNDLE", help="a file written by `benchdock bundle`"
    )
    shared.json(verify)
    verify.set_defaults(handler="verify")
