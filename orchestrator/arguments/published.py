"""Arguments of `benchdock published`."""

from __future__ import annotations

from typing import Any

from orchestrator.arguments import shared, values
from orchestrator.arguments.parser import command


def add(commands: Any) -> None:
    """Add the parser of the command."""
    published = command(
        commands,
        "published",
        "list published benchmark results",
        "published",
        "published --model resnet50 --gpu v100 --phase training",
        "published --container pytorch:20.06 --json",
        "published --check",
    )
    for name, what in (
        ("model", "a network; includes its variants (v1.5, v2)"),
        ("framework", "who published it"),
        ("gpu", "such as v100 or a100-40gb"),
        ("precision", "float32, tf32, float16 or int8"),
        ("phase", "training or inference"),
        ("container", "an image: reference, name:tag or month"),
    ):
        published.add_argument(f"--{name}", metavar=name.upper(), help=what)
    published.add_argument(
        "--check",
        nargs="?",
        const=True,
        type=values.path,
        metavar="FILE",
        help="check a collection and report every mistake (default: the one that comes with "
        "benchdock)",
    )
    shared.json(published)
    published.set_defaults(handler="published")
