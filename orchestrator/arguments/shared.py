"""Options that several commands have."""

from __future__ import annotations

import argparse

from orchestrator.arguments import values
from orchestrator.arguments.parser import Collect

PHASES = ("training", "inference")
DTYPES = ("float32", "tf32", "float16", "bfloat16", "int8")
RUNTIMES = ("auto", "docker", "host")


def json(parser: argparse._ActionsContainer) -> None:
    """Add --json."""
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")


def runtime(parser: argparse.ArgumentParser) -> None:
    """Add --runtime."""
    parser.add_argument(
        "--runtime",
        choices=RUNTIMES,
        default="auto",
        metavar="RUNTIME",
        help="docker, host, or auto (default): docker where an engine answers, else host",
    )


def reading(group: argparse._ArgumentGroup) -> None:
    """Add how the figure of a program that nobody knows is read."""
    group.add_argument(
        "--pattern", type=values.recorded, metavar="REGEX", help="its group holds the number"
    )
    group.add_argument(
        "--unit", metavar="UNIT", help="samples/s (default), images/s, or s, ms, us per batch"
    )
    group.add_argument(
        "--estimator",
        metavar="HOW",
        help="which of several numbers counts: only (default), last, mean or harmonic",
    )


def trust(parser: argparse.ArgumentParser, what: str) -> None:
    """Add --trust; `what` is the file that somebody else may have written."""
    parser.add_argument(
        "--trust",
        action="store_true",
        help=f"also use the command, folders, images and options that {what} names "
        "(--dry-run shows them)",
    )


def loudness(parser: argparse.ArgumentParser) -> None:
    """Add --quiet and --verbose, of which one may be given."""
    loud = parser.add_mutually_exclusive_group()
    loud.add_argument("--quiet", action="store_true", help="print the result alone")
    loud.add_argument("--verbose", action="store_true", help="print the program's own output too")


def options(command: argparse.ArgumentParser) -> None:
    """Add --option, which may be given several times."""
    command.add_argument(
        "--option",
        type=values.option,
        action=Collect,
        default={},
        metavar="KEY=VALUE",
        help="an option of the program, recorded in the result "
        "(`benchdock frameworks NAME` lists them)",
    )
