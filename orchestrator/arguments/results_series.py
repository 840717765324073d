"""Arguments of `benchdock results series`."""

from __future__ import annotations

from typing import Any

from orchestrator.arguments import results_filters, shared
from orchestrator.arguments.parser import command


def add(subcommands: Any) -> None:
    """Add the parser of the subcommand."""
    series = command(
        subcommands,
        "series",
        "list series: runs of the same request in the same place",
        "results series",
        "results series --model resnet50 --json",
    )
    results_filters.add_series(series)
    shared.json(series)
    series.set_defaults(handler="results_series")
