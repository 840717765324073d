"""Arguments of `benchdock results export`."""

from __future__ import annotations

from typing import Any

from orchestrator.arguments import results_filters, values
from orchestrator.arguments.parser import command

FORMATS = ("csv", "json", "parquet")


def add(subcommands: Any) -> None:
    """Add the parser of the subcommand."""
    export = command(
        subcommands,
        "export",
        "write stored runs to a file: CSV, JSON or Parquet",
        "results export > runs.csv",
        "results export --since 30d -o runs.json",
        "results export -o runs.parquet",
    )
    export.add_argument(
        "-o",
        "--output",
        type=values.path,
        metavar="FILE",
        help="write to this file (default: standard output)",
    )
    export.add_argument(
        "--format",
        choices=FORMATS,
        metavar="FORMAT",
        help=f"{', '.join(FORMATS)} (default: by the name of the file, else csv)",
    )
    results_filters.add(export)
    export.set_defaults(handler="results_export")
