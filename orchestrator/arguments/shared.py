"""Options that several commands have."""

from __future__ import annotations

import argparse

from orchestrator.arguments import values
from orchestrator.arguments.parser import Collect

PHASES = ("training", "inference")
DTYPES = ("float32", "tf32", "float16", "bfloat16", "int8")
RUNTIMES = ("auto", "docker", "host", "podman", "apptainer", "srun")


def json(parser: argparse._ActionsContainer) -> None:
    """Add --json."""
    parser.add_argument(
        "--json", action="store_true", help="print one JSON document on standard output"
    )


def series_of_nights(parser: argparse.ArgumentParser) -> None:
    """Add the series of a decision, and its reason."""
    parser.add_argument(
        "series",
        nargs="+",
        type=values.given,
        metavar="SERIES",
        help="its name in `benchdock nightly status`, or the start of it",
    )
    parser.add_argument(
        "--why", type=values.reason, required=True, metavar="TEXT", help="the reason, for others"
    )
    parser.add_argument(
        "--suite", type=values.given, metavar="NAME", help="if several suites have such a series"
    )
    json(parser)


def runtime(parser: argparse.ArgumentParser) -> None:
    """Add --runtime."""
    parser.add_argument(
        "--runtime",
        choices=RUNTIMES,
        default="auto",
        metavar="RUNTIME",
        help="docker, host, or auto (default): docker if it answers, else host; or a program that "
        "starts containers: podman, apptainer, or srun (with pyxis, inside an allocation)",
    )


def gpu_sharing(parser: argparse._ActionsContainer) -> None:
    """Add what to do if GPUs are in use."""
    parser.add_argument(
        "--wait",
        type=values.waiting,
        default=0.0,
        metavar="TIME",
        help="wait so long for GPUs that others use, such as 10m, or forever (default: refuse)",
    )
    parser.add_argument(
        "--allow-shared",
        action="store_true",
        help="measure even while others use the GPUs; the verdict on the result says so",
    )


def python(parser: argparse.ArgumentParser) -> None:
    """Add --python."""
    parser.add_argument(
        "--python",
        type=values.recorded_path,
        metavar="PATH",
        help="run on the host with this Python, which has the framework: an interpreter, or the "
        "folder of a virtual or conda environment",
    )


def reading(group: argparse._ArgumentGroup) -> None:
    """Add the options that say how to read the figure of an unknown program."""
    group.add_argument(
        "--pattern",
        type=values.recorded,
        metavar="REGEX",
        help="regular expression; its group holds the number",
    )
    group.add_argument(
        "--unit", metavar="UNIT", help="samples/s (default), images/s, or s, ms, us per batch"
    )
    group.add_argument(
        "--estimator",
        metavar="HOW",
        help="which match counts if there are several: only (default; an error), last, mean or "
        "harmonic",
    )


def trust(parser: argparse.ArgumentParser, what: str) -> None:
    """Add --trust. `what` names the file, which somebody else may have written."""
    parser.add_argument(
        "--trust",
        action="store_true",
        help=f"allow the command, folders, images and options that {what} names (see --dry-run)",
    )


def loudness(parser: argparse.ArgumentParser) -> None:
    """Add --quiet and --verbose, which exclude each other."""
    loud = parser.add_mutually_exclusive_group()
    loud.add_argument("--quiet", action="store_true", help="print only the result")
    loud.add_argument("--verbose", action="store_true", help="also print the program's output")


def options(command: argparse.ArgumentParser) -> None:
    """Add --option, which can be repeated."""
    command.add_argument(
        "--option",
        type=values.option,
        action=Collect,
        default={},
        metavar="KEY=VALUE",
        help="set an option of the program, recorded in the result; repeatable (`benchdock "
        "frameworks NAME` lists them)",
    )


def around_program(command: argparse.ArgumentParser) -> None:
    """Add --env and --prefix: what a user puts around a program."""
    command.add_argument(
        "--env",
        type=values.option,
        action=Collect,
        default={},
        metavar="K=V",
        help="set an environment variable of the program, recorded in the result; repeatable",
    )
    command.add_argument(
        "--prefix",
        type=values.scripted,
        metavar="WORDS",
        help="run the program under this command, quoted as for a shell (but no shell runs): "
        "'numactl --cpunodebind=0', 'taskset -c 0-7', 'nsys profile'",
    )
