"""Arguments of `benchdock results table`."""

from __future__ import annotations

from typing import Any

from orchestrator.arguments import results_filters, shared
from orchestrator.arguments.parser import Once, command

# The layouts of `orchestrator.results.pivot`, which the parser does not import.
BY = ("batch", "weak", "strong", "framework", "model", "dtype", "device")


def add(subcommands: Any) -> None:
    """Add the parser of the subcommand."""
    table = command(
        subcommands,
        "table",
        "compare stored runs in tables: time, throughput, speed-up, efficiency",
        "results table --by batch --model vgg16",
        "results table --by weak -f pytorch --markdown",
        "results table --by strong --csv > scaling.csv",
    )
    columns = table.add_mutually_exclusive_group(required=True)
    columns.add_argument(
        "--by",
        action=Once,
        choices=BY,
        metavar="WHAT",
        help="the columns: batch; weak or strong (scaling over devices, with the batch per device "
        "or of all devices fixed); framework, model, dtype or device",
    )
    columns.add_argument(
        "--scaling",
        dest="by",
        action=Once,
        choices=("weak", "strong"),
        metavar="KIND",
        help="the same as --by weak or --by strong",
    )
    how = table.add_mutually_exclusive_group()
    how.add_argument("--markdown", action="store_true", help="print Markdown")
    how.add_argument("--csv", action="store_true", help="print CSV, one line per cell")
    shared.json(how)
    results_filters.add_series(table)
    results_filters.add_runs(table)
    table.set_defaults(handler="results_table")
