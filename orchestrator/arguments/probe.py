"""Arguments of `benchdock probe`."""

from __future__ import annotations

from typing import Any

from orchestrator.arguments import shared, values
from orchestrator.arguments.parser import command


def add(commands: Any) -> None:
    """Add the parser of the command."""
    probe = command(
        commands,
        "probe",
        "measure what this machine can do at most, as a ceiling for its results",
        "probe",
        "probe --gpus none",
        "probe --gpus 0,1 --python ~/my-environment",
        status="0 measured and kept, 1 the probe failed, 2 or 3 could not start",
    )
    probe.add_argument(
        "--gpus",
        type=values.gpu_choice,
        metavar="all|none|0,1",
        help="the GPUs, or none for the CPU (default: all GPUs, the CPU without one)",
    )
    probe.add_argument(
        "--threads", type=values.positive, metavar="N", help="number of CPUs (default: all)"
    )
    probe.add_argument(
        "--seconds",
        type=values.duration,
        default=3.0,
        metavar="S",
        help="time for each figure (default: 3s)",
    )
    probe.add_argument(
        "--image", type=values.given, metavar="REF", help="use this image instead of PyTorch's"
    )
    shared.runtime(probe)
    shared.python(probe)
    shared.json(probe)
    probe.set_defaults(handler="probe")
