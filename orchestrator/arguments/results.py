"""What the commands about logs and results take."""

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
        "list the runs that are stored here, the newest first",
        "results",
        "results --last 5 --model resnet50 -f pytorch",
        "results --failed --all",
        "results --json",
    )
    how_many = results.add_mutually_exclusive_group()
    how_many.add_argument(
        "--last", type=values.positive, metavar="N", help="at most so many (default: 20)"
    )
    how_many.add_argument("--all", action="store_true", help="however many there are")
    results.add_argument("--model", type=values.given, metavar="MODEL", help="of this network")
    results.add_argument(
        "-f",
        "--framework",
        action=Once,
        type=values.given,
        help="with this one of `benchdock frameworks`",
    )
    results.add_argument(
        "--phase", choices=shared.PHASES, metavar="PHASE", help="training or inference"
    )
    results.add_argument(
        "--dtype",
        choices=shared.DTYPES,
        metavar="DTYPE",
        help=f"one of {', '.join(shared.DTYPES)}",
    )
    results.add_argument("--failed", action="store_true", help="runs that failed alone")
    shared.json(results)
    results.set_defaults(handler="results")


def _add_parse(commands: Any) -> None:
    parse = command(
        commands,
        "parse",
        "derive a result from the log of a benchmark program",
        "parse log.txt",
        "parse log.txt.gz --explain",
        "kubectl logs trainer-0 | benchdock parse -",
        "parse benchdock - --json < log.txt",
        "parse tf_cnn_benchmarks log.txt --explain",
        "parse torchbench log.txt --batch 32",
        "parse custom log.txt --pattern 'speed=([0-9.]+)' --unit images/s --estimator harmonic",
        status="0 a figure was found, 1 there is none, 2 refused, or the program is not found",
    )
    parse.add_argument(
        "program",
        nargs="?",
        metavar="PROGRAM",
        help=f"one of {', '.join(PROGRAMS)}; without it, the program is found by the log's lines",
    )
    parse.add_argument(
        "log",
        type=values.path,
        metavar="LOG",
        help="a file, also gzip or UTF-16; - for standard input",
    )
    parse.add_argument(
        "--batch",
        type=values.positive,
        metavar="N",
        help="samples per device, if the log does not tell (it must not say otherwise)",
    )
    parse.add_argument(
        "--devices",
        type=values.positive,
        metavar="N",
        help="how many, if the log does not tell (it must not say otherwise)",
    )
    parse.add_argument(
        "--block", type=values.positive, metavar="N", help="which of several runs in a log"
    )
    parse.add_argument(
        "--explain", action="store_true", help="show the very lines that gave the number"
    )
    parse.add_argument(
        "--phase",
        choices=shared.PHASES,
        metavar="PHASE",
        help="training or inference, for a log that holds figures of both",
    )
    shared.reading(parse.add_argument_group("the program `custom`"))
    shared.json(parse)
    parse.set_defaults(handler="parse")


def _add_compare(commands: Any) -> None:
    compare = command(
        commands,
        "compare",
        "tell how two results or two groups of runs differ, and what could be why",
        "compare 20260101T1200 20260102T1200",
        "compare run.zip ./result.json --json",
        "compare 20260101T1200 20260101T1210 20260101T1220 --against 20260102T12 20260102T13 "
        "20260102T14",
    )
    what = "a run id or its begin, a folder, file or bundle"
    compare.add_argument(
        "runs",
        nargs="+",
        type=values.path,
        metavar="RUN",
        help=f"two runs, or with --against the runs of one side: each {what}",
    )
    compare.add_argument(
        "--against",
        nargs="+",
        action="extend",
        type=values.path,
        metavar="RUN",
        help="the runs of the other side (single runs cannot tell a difference: `run --runs 5` "
        "makes several)",
    )
    shared.json(compare)
    compare.set_defaults(handler="compare")


def _add_bundle(commands: Any) -> None:
    bundle = command(
        commands,
        "bundle",
        "put everything of a run into one file",
        "bundle 20260101T120000-pytorch-resnet50-0a1b2c -o run.zip",
    )
    bundle.add_argument(
        "run", type=values.path, metavar="RUN", help="a run id or its begin, or a run folder"
    )
    bundle.add_argument(
        "-o", "--output", type=values.path, metavar="FILE", help="default: RUN.zip, here"
    )
    shared.json(bundle)
    bundle.set_defaults(handler="bundle")


def _add_verify(commands: Any) -> None:
    verify = command(
        commands,
        "verify",
        "check that a bundle is whole, and that its log gives its result",
        "verify run.zip",
        status="0 it holds, 2 it does not",
    )
    verify.add_argument(
        "bundle", type=values.path, metavar="BUNDLE", help="a file that `benchdock bundle` wrote"
    )
    shared.json(verify)
    verify.set_defaults(handler="verify")
