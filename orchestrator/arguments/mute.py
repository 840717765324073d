"""Arguments of `benchdock mute`."""

from __future__ import annotations

from typing import Any

from orchestrator.arguments import shared, values
from orchestrator.arguments.parser import command


def add(commands: Any) -> None:
    """Add the parser of the command."""
    mute = command(
        commands,
        "mute",
        "do not report a series of a nightly suite until a day",
        "mute vgg16-pytorch-training-0a1b2c3d --until 2027-01-31 --why 'reported to the vendor'",
    )
    shared.series_of_nights(mute)
    mute.add_argument(
        "--until",
        type=values.day,
        required=True,
        metavar="DATE",
        help="last day on which it is not reported, such as 2027-01-31",
    )
    mute.set_defaults(handler="mute")
