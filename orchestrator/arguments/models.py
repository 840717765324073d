"""Arguments of `benchdock models`."""

from __future__ import annotations

from typing import Any

from orchestrator.arguments import shared
from orchestrator.arguments.parser import command


def add(commands: Any) -> None:
    """Add the parser of the command."""
    models = command(commands, "models", "list the networks", "models", "models --json")
    how = models.add_mutually_exclusive_group()
    shared.json(how)
    how.add_argument("--markdown", action="store_true", help="print the page docs/models.md")
    models.set_defaults(handler="models")
