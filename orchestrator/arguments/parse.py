"""Arguments of `benchdock parse`."""

from __future__ import annotations

from typing import Any

from orchestrator.arguments import shared, values
from orchestrator.arguments.parser import command
from orchestrator.log_formats import LOG_FORMATS


def add(commands: Any) -> None:
    """Add the parser of the command."""
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
        help=f"one of {', '.join(LOG_FORMATS)} (default: detected from the log)",
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
