"""Arguments of `benchdock report`."""

from __future__ import annotations

from typing import Any

from orchestrator.arguments import values
from orchestrator.arguments.parser import Once, command


def add(commands: Any) -> None:
    """Add the parser of the command."""
    report = command(
        commands,
        "report",
        "report on a night: what got slower, whether it is real, what changed",
        "report",
        "report -o report/",
        "report --single-file -o night.html",
        "report --markdown --night 2026-03-31 > night.md",
    )
    report.add_argument(
        "--suite",
        action=Once,
        type=values.given,
        metavar="NAME",
        help="the suite (default: that of the newest night)",
    )
    report.add_argument(
        "--night",
        action=Once,
        type=values.day,
        metavar="DATE",
        help="the night that started on this day (default: the newest)",
    )
    how = report.add_mutually_exclusive_group()
    how.add_argument(
        "--single-file", action="store_true", help="write all pages as one HTML file, FILE of -o"
    )
    how.add_argument(
        "--markdown", action="store_true", help="print Markdown for a pull request or a chat"
    )
    report.add_argument(
        "-o",
        "--output",
        action=Once,
        type=values.path,
        metavar="PATH",
        help="write pages to this folder, or with --single-file or --markdown to this file; it is "
        "replaced (default: print the report)",
    )
    report.add_argument(
        "--all",
        action="store_true",
        help="also list the series that are ok, and give each run of the night a page",
    )
    report.set_defaults(handler="report")
