"""Arguments of `benchdock results rebuild`."""

from __future__ import annotations

from typing import Any

from orchestrator.arguments import shared
from orchestrator.arguments.parser import command


def add(subcommands: Any) -> None:
    """Add the parser of the subcommand."""
    rebuild = command(
        subcommands,
        "rebuild",
        "read all run folders again into the database of results",
        "results rebuild",
    )
    shared.json(rebuild)
    rebuild.set_defaults(handler="results_rebuild")
