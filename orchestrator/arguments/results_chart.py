"""Arguments of `benchdock results chart`."""

from __future__ import annotations

import argparse
from typing import Any

from orchestrator.arguments import results_filters, values
from orchestrator.arguments.parser import Once, command
from orchestrator.errors import unknown

# As in `orchestrator.results.curves`, which the parser does not import.
X = ("batch", "devices", "global_batch")
Y = ("throughput", "time", "speedup", "efficiency")
SERIES = ("model", "framework", "phase", "dtype", "device", "devices", "batch", "global_batch")


def add(subcommands: Any) -> None:
    """Add the parser of the subcommand."""
    chart = command(
        subcommands,
        "chart",
        "draw stored runs as an SVG chart",
        "results chart --x batch --y throughput --series framework --model vgg16 -o vgg16.svg",
        "results chart --x devices --y efficiency --series framework,batch -o scaling.svg",
    )
    chart.add_argument(
        "--x",
        choices=X,
        default="batch",
        metavar="KEY",
        help=f"horizontal axis: {', '.join(X)} (default: batch)",
    )
    chart.add_argument(
        "--y",
        choices=Y,
        default="throughput",
        metavar="MEASURE",
        help=f"vertical axis: {', '.join(Y)} (default: throughput)",
    )
    chart.add_argument(
        "--series",
        type=_series,
        default=("framework",),
        metavar="KEYS",
        help=f"a line for each value of these, with commas: {', '.join(SERIES)} (default: "
        "framework)",
    )
    chart.add_argument(
        "-o",
        "--output",
        action=Once,
        type=values.path,
        required=True,
        metavar="FILE",
        help="output file; - is standard output. A file that exists is replaced",
    )
    results_filters.add_series(chart)
    results_filters.add_runs(chart)
    chart.set_defaults(handler="results_chart")


def _series(text: str) -> tuple[str, ...]:
    words = tuple(word.strip() for word in text.split(","))
    for word in words:
        if word not in SERIES:
            raise argparse.ArgumentTypeError(str(unknown("key", word, SERIES)))
    return words
