"""Arguments of `benchdock results import`."""

from __future__ import annotations

from typing import Any

from orchestrator.arguments import shared, values
from orchestrator.arguments.parser import command


def add(subcommands: Any) -> None:
    """Add the parser of the subcommand."""
    importing = command(
        subcommands,
        "import",
        "take in runs of other machines: bundles, run folders, DLBS logs",
        "results import run.zip other.zip",
        "results import /mnt/server/benchdock/runs",
        "results import --dlbs logs/vgg16.log",
        status="0 success, 2 a source was refused",
    )
    importing.add_argument(
        "sources",
        nargs="+",
        type=values.path,
        metavar="SOURCE",
        help="a bundle, a run folder, a folder of runs, or with --dlbs a log",
    )
    importing.add_argument(
        "--dlbs", action="store_true", help="the sources are logs of DLBS experiments"
    )
    shared.json(importing)
    importing.set_defaults(handler="results_import")
