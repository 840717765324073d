"""Arguments of the commands that read logs and results."""

from __future__ import annotations

from typing import Any

from orchestrator.arguments import shared, values
from orchestrator.arguments.parser import Once, command
from orchestrator.programs import PROGRAMS


def add(commands: Any) -> None:
    """Add the parsers of these commands."""
    _add_results(commands)
    _add_parse(commands)
    _add_compare(commands)
    _add_bundle(commands)
    _add_verify(commands)


def _add_results(commands: Any) -> None:
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


def _add_parse(commands: Any) -> None:
    parse = command(
        commands,
        "parse",
        "read the result from a benchmark program's log",
        "parse log.txt",
        "parse log.txt.gz --explain",
        "kubectl logs trainer-0 | benchdock parse -",
        "parse benchdock - --json < log.txt",
        "parse tf_cnn_benchmarks log.txt --explain",
        "parse torchbench log.txt --batch 32",
        "parse custom log.txt --pattern 'speed=([0-9.]+)' --unit images/s --estimator harmonic",
        status="0 a figure was found, 1 there is none, 2 wrong request or unknown log format",
    )
    parse.add_argument(
        "program",
        nargs="?",
        metavar="PROGRAM",
        help=f"one of {', '.join(PROGRAMS)} (default: detected from the log)",
    )
    parse.add_argument(
        "log",
        type=values.path,
        metavar="LOG",
        help="log file, also gzip or UTF-16; - for standard input",
    )
    parse.add_argument(
        "--batch",
        type=values.positive,
        metavar="N",
        help="samples per device, if the log does not contain it (must agree if it does)",
    )
    parse.add_argument(
        "--devices",
        type=values.positive,
        metavar="N",
        help="number of devices, if the log does not contain it (must agree if it does)",
    )
    parse.add_argument(
        "--block",
        type=values.positive,
        metavar="N",
        help="which run to read, if the log holds several",
    )
    parse.add_argument(
        "--explain", action="store_true", help="show the log lines that the figure comes from"
    )
    parse.add_argument(
        "--phase",
        choices=shared.PHASES,
        metavar="PHASE",
        help="training or inference, if the log holds figures of both",
    )
    shared.reading(parse.add_argument_group("options of the program `custom`"))
    shared.json(parse)
    parse.set_defaults(handler="parse")


def _add_compare(commands: Any) -> None:
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


def _add_bundle(commands: Any) -> None:
    bundle = command(
        commands,
        "bundle",
        "pack everything about a run into one file",
        "bundle 20260101T120000-pytorch-resnet50-0a1b2c -o run.zip",
    )
    bundle.add_argument(
        "run", type=values.path, metavar="RUN", help="a run id or a prefix of one, or a run folder"
    )
    bundle.add_argument(
        "-o",
        "--output",
        type=values.path,
        metavar="FILE",
        help="output file (default: RUN.zip in this folder)",
    )
    shared.json(bundle)
    bundle.set_defaults(handler="bundle")


def _add_verify(commands: Any) -> None:
    verify = command(
        commands,
        "verify",
        "check that a bundle is complete and that its log gives its result",
        "verify run.zip",
        status="0 the bundle is good, 2 it is not",
    )
    verify.add_argument(
        "bundle", type=values.path, metavar="BUNDLE", help="a file written by `benchdock bundle`"
    )
    shared.json(verify)
    verify.set_defaults(handler="verify")
