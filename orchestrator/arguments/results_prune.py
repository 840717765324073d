"""Arguments of `benchdock results prune`."""

from __future__ import annotations

from typing import Any

from orchestrator.arguments import shared, values
from orchestrator.arguments.parser import command


def add(subcommands: Any) -> None:
    """Add the parser of the subcommand."""
    prune = command(
        subcommands,
        "prune",
        "remove large files of old runs; only shows them without --yes",
        "results prune",
        "results prune --older 30d --yes",
        "results prune --failed --whole --yes",
    )
    prune.add_argument(
        "--older",
        type=values.duration,
        default=90 * 86400.0,
        metavar="TIME",
        help="only runs older than this (default: 90d)",
    )
    prune.add_argument("--failed", action="store_true", help="only failed runs")
    prune.add_argument(
        "--whole",
        action="store_true",
        help="remove the whole runs (default: only logs, samples and outputs; the result stays)",
    )
    prune.add_argument("--yes", action="store_true", help="remove what is shown")
    shared.json(prune)
    prune.set_defaults(handler="results_prune")
