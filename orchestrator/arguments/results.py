"""Arguments of `benchdock results`, which lists; its subcommands have modules of their own."""

from __future__ import annotations

import argparse
from typing import Any

from orchestrator.arguments import (
    results_chart,
    results_export,
    results_filters,
    results_import,
    results_prune,
    results_rebuild,
    results_series,
    results_show,
    results_table,
    results_tag,
    shared,
    values,
)
from orchestrator.arguments.parser import command

# In the order of `benchdock results --help`: read, pass on, keep.
SUBCOMMANDS = (
    *(results_show, results_series, results_table, results_chart),
    *(results_export, results_import),
    *(results_tag, results_prune, results_rebuild),
)


def add(commands: Any) -> None:
    """Add the parser of the command and of its subcommands."""
    results = command(
        commands,
        "results",
        "list stored runs, newest first",
        "results",
        "results --last 5 --model resnet50 -f pytorch",
        "results --failed --all",
        "results --since 7d --device gpu",
        "results --json",
    )
    _add_options(results)
    subcommands = results.subcommands()
    listing = command(
        subcommands, "list", "list stored runs, newest first (default)", "results list --last 5"
    )
    _add_options(listing)
    for module in SUBCOMMANDS:
        module.add(subcommands)


def _add_options(parser: argparse.ArgumentParser) -> None:
    how_many = parser.add_mutually_exclusive_group()
    how_many.add_argument(
        "--last", type=values.positive, metavar="N", help="show at most N runs (default: 20)"
    )
    how_many.add_argument("--all", action="store_true", help="show all runs")
    results_filters.add(parser)
    shared.json(parser)
    parser.set_defaults(handler="results")
