"""Arguments of `benchdock compare`."""

from __future__ import annotations

from typing import Any

from orchestrator.arguments import shared, values
from orchestrator.arguments.parser import command


def add(commands: Any) -> None:
    """Add the parser of the command."""
    compare = command(
        commands,
        "compare",
        "compare two results or two groups of runs and explain the difference",
        "compare 20260101T1200 20260102T1200",
        "compare run.zip ./result.json --json",
        "compare 20260101T1200 20260101T1210 20260101T1220 --against 20260102T12 20260102T13 "
        "20260102T14",
    )
    what = "a run id or a prefix of one, a folder, a file or a bundle"
    compare.add_argument(
        "runs",
        nargs="+",
        type=values.path,
        metavar="RUN",
        help=f"two runs; with --against, the runs of one side. Each is {what}",
    )
    compare.add_argument(
        "--against",
        nargs="+",
        action="extend",
        type=values.path,
        metavar="RUN",
        help="the runs of the other side (a difference needs several runs per side: `run --runs "
        "5`)",
    )
    shared.json(compare)
    compare.set_defaults(handler="compare")
