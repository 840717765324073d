"""Arguments of `benchdock results show`."""

from __future__ import annotations

from typing import Any

from orchestrator.arguments import shared, values
from orchestrator.arguments.parser import command


def add(subcommands: Any) -> None:
    """Add the parser of the subcommand."""
    show = command(
        subcommands,
        "show",
        "show one stored run: result, series, session, tags",
        "results show 20260101T1200",
        "results show 20260101T1200 --json",
    )
    show.add_argument(
        "run",
        type=values.path,
        metavar="RUN",
        help="a run id or a prefix of one, a folder, a file or a bundle",
    )
    shared.json(show)
    show.set_defaults(handler="results_show")
