"""Options that choose stored runs."""

from __future__ import annotations

import argparse

from orchestrator.arguments import shared, values
from orchestrator.arguments.parser import Once

STATUSES = ("ok", "failed", "running", "no_result", "unreadable")


def add_series(parser: argparse.ArgumentParser) -> None:
    """Add the filters of what ran; each is an attribute of the same name, None without it."""
    parser.add_argument("--model", type=values.given, metavar="MODEL", help="only this network")
    parser.add_argument(
        "-f", "--framework", action=Once, type=values.given, help="only this framework"
    )
    parser.add_argument(
        "--phase", choices=shared.PHASES, metavar="PHASE", help="only training or only inference"
    )
    parser.add_argument(
        "--dtype",
        choices=shared.DTYPES,
        metavar="DTYPE",
        help=f"only this number type: {', '.join(shared.DTYPES)}",
    )
    parser.add_argument(
        "--batch", type=values.positive, metavar="N", help="only this batch (per device)"
    )
    parser.add_argument(
        "--device", choices=("cpu", "gpu"), metavar="DEVICE", help="only cpu or only gpu"
    )


def add_runs(parser: argparse.ArgumentParser) -> None:
    """Add the filters by session, tag and time."""
    parser.add_argument(
        "--session", type=values.given, metavar="NAME", help="only runs of this session of a suite"
    )
    parser.add_argument("--tag", type=values.tag, metavar="TAG", help="only runs with this tag")
    parser.add_argument(
        "--since",
        type=values.moment,
        metavar="TIME",
        help="only runs since this time: 2026-01-31, 2026-01-31T20:15, or 7d (7 days ago)",
    )
    parser.add_argument(
        "--until", type=values.moment, metavar="TIME", help="only runs before this time"
    )


def add(parser: argparse.ArgumentParser) -> None:
    """Add all of them, and those of a run's outcome."""
    add_series(parser)
    add_runs(parser)
    outcome = parser.add_mutually_exclusive_group()
    outcome.add_argument(
        "--status",
        choices=STATUSES,
        metavar="STATUS",
        help=f"only runs with this status: {', '.join(STATUSES)}",
    )
    outcome.add_argument("--failed", action="store_true", help="only failed runs")
