"""Arguments of `benchdock nightly run`."""

from __future__ import annotations

from typing import Any

from orchestrator.arguments import shared, values
from orchestrator.arguments.parser import command


def add(subcommands: Any) -> None:
    """Add the parser of the subcommand."""
    run = command(
        subcommands,
        "run",
        "run a night of a suite now and judge it",
        "nightly run nightly.yaml",
        "nightly run nightly.yaml --always --budget 5h",
        status="0 nothing got slower, or another night is running; 1 something failed or is "
        "missing, 4 something got slower, 2 or 3 could not start, 130 or 143 interrupted",
    )
    run.add_argument(
        "suite", type=values.path, metavar="SUITE", help="a suite file (docs/suites.md)"
    )
    run.add_argument(
        "--budget",
        type=values.duration,
        metavar="TIME",
        help="start no run that would end after this time, such as 5h (default: the suite's)",
    )
    run.add_argument(
        "--always", action="store_true", help="print the result also after a quiet night"
    )
    shared.json(run)
    run.set_defaults(handler="nightly_run")
