"""Arguments of `benchdock results`."""

from __future__ import annotations

from typing import Any

from orchestrator.arguments import shared, values
from orchestrator.arguments.parser import Once, command


def add(commands: Any) -> None:
    """Add the parser of the command."""
    results = command(
        commands,
        "results",
        "list stored runs, newest first",
        "results",
        "results --last 5 --model resnet50 -f pytorch",
        "results --failed --all",
        "results --json",
    )
    how_many = results.add_mutually_exclusive_group()
    how_many.add_argument(
        "--last", type=values.positive, metavar="N", help="show at most N runs (default: 20)"
    )
    how_many.add_argument("--all", action="store_true", help="show all runs")
    results.add_argument("--model", type=values.given, metavar="MODEL", help="only this network")
    results.add_argument(
        "-f",
        "--framework",
        action=Once,
        type=values.given,
        help="only this framework",
    )
    results.add_argument(
        "--phase", choices=shared.PHASES, metavar="PHASE", help="only training or only inference"
    )
    results.add_argument(
        "--dtype",
        choices=shared.DTYPES,
        metavar="DTYPE",
        help=f"only this number type: {', '.join(shared.DTYPES)}",
    )
    results.add_argument("--failed", action="store_true", help="only failed runs")
    shared.json(results)
    results.set_defaults(handler="results")
