"""Arguments of `benchdock results tag`."""

from __future__ import annotations

from typing import Any

from orchestrator.arguments import shared, values
from orchestrator.arguments.parser import command


def add(subcommands: Any) -> None:
    """Add the parser of the subcommand."""
    tag = command(
        subcommands,
        "tag",
        "add tags to a stored run, or remove them",
        "results tag 20260101T1200 baseline",
        "results tag 20260101T1200 --remove baseline",
    )
    tag.add_argument("run", type=values.path, metavar="RUN", help="a run id or a prefix of one")
    tag.add_argument(
        "tags", nargs="+", type=values.tag, metavar="TAG", help="letters, digits, and . _ - after"
    )
    tag.add_argument("--remove", action="store_true", help="remove the tags instead")
    shared.json(tag)
    tag.set_defaults(handler="results_tag")
