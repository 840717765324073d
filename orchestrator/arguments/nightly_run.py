"""Arguments of `benchdock nightly run`."""

from __future__ import annotations

from argparse import ArgumentParser
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
    add_suite(run)
    add_options(run)
    add_environment(run)
    run.add_argument(
        "--dry-run",
        action="store_true",
        help="check everything that a night needs and say what it would run, without running it",
    )
    shared.json(run)
    run.set_defaults(handler="nightly_run")


def add_suite(parser: ArgumentParser) -> None:
    """Add the suite's file."""
    parser.add_argument(
        "suite", type=values.path, metavar="SUITE", help="a suite file (docs/suites.md)"
    )


def add_environment(parser: ArgumentParser) -> None:
    """Add --environment."""
    parser.add_argument(
        "--environment",
        type=values.path,
        metavar="FILE",
        help="set the variables in FILE first; `nightly install` writes one, because cron sets "
        "none",
    )


def add_options(run: ArgumentParser) -> None:
    """Add the options of a night, which `nightly install` has too."""
    run.add_argument(
        "--budget",
        type=values.duration,
        metavar="TIME",
        help="start no run that would end after this time, such as 5h (default: the suite's)",
    )
    run.add_argument(
        "--always", action="store_true", help="print the result also after a quiet night"
    )
    run.add_argument(
        "--report",
        type=values.path,
        metavar="FOLDER",
        help="write the night's pages to FOLDER, as `benchdock report` does",
    )
    run.add_argument(
        "--junit", type=values.path, metavar="FILE", help="write the night to FILE as JUnit XML"
    )
    run.add_argument(
        "--prometheus",
        type=values.path,
        metavar="FILE",
        help="write metrics to FILE, for the textfile collector of node_exporter (NAME.prom)",
    )
    run.add_argument(
        "--webhook-file",
        type=values.path,
        metavar="FILE",
        help="post what the night prints to the URL in FILE (default: BENCHDOCK_WEBHOOK, if set)",
    )
    run.add_argument(
        "--webhook-kind",
        choices=("json", "slack"),
        metavar="KIND",
        help="json or slack (default: slack for a URL of Slack, else json)",
    )
