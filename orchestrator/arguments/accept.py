"""Arguments of `benchdock accept`."""

from __future__ import annotations

from typing import Any

from orchestrator.arguments import shared
from orchestrator.arguments.parser import command


def add(commands: Any) -> None:
    """Add the parser of the command."""
    accept = command(
        commands,
        "accept",
        "compare later nights of a series with the last one",
        "accept vgg16-pytorch-training-0a1b2c3d --why 'driver 550 is slower with FP16'",
    )
    shared.series_of_nights(accept)
    accept.set_defaults(handler="accept")
