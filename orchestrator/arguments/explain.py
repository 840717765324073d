"""Arguments of `benchdock explain`."""

from __future__ import annotations

from typing import Any

from orchestrator.arguments import shared, values
from orchestrator.arguments.parser import command


def add(commands: Any) -> None:
    """Add the parser of the command."""
    explain = command(
        commands,
        "explain",
        "say whether reading data or computing limits a run on real data",
        "explain 20260101T1200 20260101T1210 20260101T1220",
        "explain 20260101T1200 20260101T1210 20260101T1220 20260101T1230 --json",
    )
    explain.add_argument(
        "runs",
        nargs="+",
        type=values.path,
        metavar="RUN",
        help="runs that differ in --measure: end-to-end, compute, input, and copy if there is one; "
        "end-to-end may be there twice, with --page-cache cold and warm",
    )
    shared.json(explain)
    explain.set_defaults(handler="explain")
