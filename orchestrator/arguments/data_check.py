"""Arguments of `benchdock data check`."""

from __future__ import annotations

from typing import Any

from orchestrator.arguments import shared, values
from orchestrator.arguments.parser import Once, command


def add(subcommands: Any) -> None:
    """Add the parser of the subcommand."""
    check = command(
        subcommands,
        "check",
        "check every record of a dataset before a run depends on it",
        "data check records",
        "data check records -f mxnet_train_imagenet -m resnet50",
        "data check images --decode",
        status="0 no fault, 2 a fault or a format that the program does not read",
    )
    check.add_argument(
        "folder", type=values.path, metavar="DIR", help="a folder, or a name of `benchdock data`"
    )
    check.add_argument(
        "-m", "--model", action=Once, metavar="MODEL", help="the network that will read it"
    )
    check.add_argument(
        "-f", "--framework", action=Once, metavar="NAME", help="the program that will read it"
    )
    check.add_argument(
        "--decode", action="store_true", help="also decode every image (about 1 ms each)"
    )
    check.add_argument("-q", "--quiet", action="store_true", help="show no progress")
    shared.json(check)
    check.set_defaults(handler="data_check")
