"""Arguments of `benchdock replay`."""

from __future__ import annotations

from typing import Any

from orchestrator.arguments import shared, values
from orchestrator.arguments.parser import command


def add(commands: Any) -> None:
    """Add the parser of the command."""
    replay = command(
        commands,
        "replay",
        "run a stored result again in the same image",
        "replay 20260101T120000-pytorch-resnet50-0a1b2c",
        "replay run.zip --dry-run",
        status="as for `run`; 2 if --trust is needed, 3 if it would be a different benchmark",
    )
    replay.add_argument(
        "run",
        type=values.path,
        metavar="RUN",
        help="a run id or a prefix of one, a folder, or a bundle",
    )
    replay.add_argument(
        "--allow-changed",
        action="store_true",
        help="run even if image, network, program or script have changed",
    )
    shared.trust(replay, "a bundle, or a result from elsewhere,")
    replay.add_argument(
        "--dry-run",
        action="store_true",
        help="show image, folders, command and what needs trust without starting anything",
    )
    shared.gpu_sharing(replay)
    shared.loudness(replay)
    shared.json(replay)
    replay.set_defaults(handler="replay")
