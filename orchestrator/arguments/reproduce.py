"""Arguments of `benchdock reproduce`."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from orchestrator.arguments import shared, values
from orchestrator.arguments.parser import command


def add(commands: Any) -> None:
    """Add the parser of the command."""
    reproduce = command(
        commands,
        "reproduce",
        "reproduce a published result",
        "reproduce nvidia-dle-pytorch-20.06-resnet50_v1.5-v100-16gb-float16-training-x1 --dry-run",
        "reproduce claim.yaml --runs 5",
        status="0 reproduced, 4 not reproduced or not comparable, else the run's exit status",
    )
    reproduce.add_argument(
        "claim",
        type=values.path,
        metavar="CLAIM",
        help="an id from `benchdock published --model NAME`, or a YAML file",
    )
    reproduce.add_argument(
        "--runs",
        type=values.not_negative,
        default=3,
        metavar="N",
        help="number of runs (default and minimum: 3)",
    )
    _add_missing(reproduce)
    shared.runtime(reproduce)
    reproduce.add_argument(
        "--timeout", type=values.duration, metavar="S", help="stop each run after this long"
    )
    shared.trust(reproduce, "a YAML file")
    reproduce.add_argument(
        "--dry-run",
        action="store_true",
        help="show image, flags and unmet conditions without starting anything",
    )
    shared.gpu_sharing(reproduce)
    shared.loudness(reproduce)
    shared.json(reproduce)
    reproduce.set_defaults(handler="reproduce")


def _add_missing(reproduce: ArgumentParser) -> None:
    """Add what a claim may leave open, or what replaces it."""
    reproduce.add_argument(
        "--data",
        type=values.recorded_path,
        metavar="DIR|NAME",
        help="dataset folder, or its name in `benchdock data` (default: synthetic data)",
    )
    reproduce.add_argument(
        "--source", type=values.recorded_path, metavar="DIR", help="folder of the vendor's program"
    )
    reproduce.add_argument(
        "--batch",
        type=values.positive,
        metavar="N",
        help="samples per device, if the claim does not give them",
    )
    reproduce.add_argument(
        "--image", type=values.given, metavar="REF", help="use this image instead of the claim's"
    )
    shared.options(reproduce)
    reproduce.add_argument(
        "--steps", type=values.positive, metavar="N", help="number of timed steps per run"
    )
    reproduce.add_argument(
        "--warmup",
        type=values.not_negative,
        metavar="N",
        help="number of untimed steps before them",
    )
