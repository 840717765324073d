"""Arguments of `benchdock demo`."""

from __future__ import annotations

from typing import Any

from orchestrator.arguments import values
from orchestrator.arguments.parser import Once, command


def add(commands: Any) -> None:
    """Add the parser of the command."""
    demo = command(
        commands,
        "demo",
        "make examples of what benchdock shows, from simulated runs",
        "demo nights",
    )
    subcommands = demo.subcommands()
    nights = command(
        subcommands,
        "nights",
        "simulate nights of a suite and report on the last one",
        "demo nights",
        "demo nights --series 12 --nights 60 -o /tmp/demo",
    )
    nights.add_argument(
        "--series",
        type=values.whole(least=6, most=5000),
        default=40,
        metavar="N",
        help="number of series (default: 40)",
    )
    nights.add_argument(
        "--nights",
        type=values.whole(least=1, most=2000),
        default=180,
        metavar="N",
        help="number of nights (default: 180)",
    )
    nights.add_argument(
        "--seed",
        type=values.not_negative,
        default=17,
        metavar="N",
        help="random seed: the same one gives the same nights (default: 17)",
    )
    nights.add_argument(
        "-o",
        "--output",
        action=Once,
        type=values.path,
        default=None,
        metavar="FOLDER",
        help="a new or empty folder for nights, runs and report (default: ./benchdock-demo)",
    )
    nights.set_defaults(handler="demo_nights")
    demo.set_defaults(handler="demo")
