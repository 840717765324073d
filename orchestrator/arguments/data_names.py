"""Arguments of `benchdock data list`, `data add` and `data remove`."""

from __future__ import annotations

from typing import Any

from orchestrator.arguments import shared, values
from orchestrator.arguments.parser import command


def add(subcommands: Any) -> None:
    """Add the parsers of the subcommands."""
    listing = command(
        subcommands, "list", "list the datasets that have a name (default)", "data list"
    )
    shared.json(listing)
    listing.set_defaults(handler="data_list")
    adding = command(
        subcommands,
        "add",
        "give a dataset a name on this machine, for --data and suites",
        "data add imagenet /datasets/imagenet-tfrecord",
    )
    _add_name(adding)
    adding.add_argument("folder", type=values.recorded_path, metavar="DIR", help="its folder")
    adding.set_defaults(handler="data_add")
    removing = command(
        subcommands, "remove", "forget a name; the files stay", "data remove imagenet"
    )
    _add_name(removing)
    removing.set_defaults(handler="data_remove")


def _add_name(parser: Any) -> None:
    parser.add_argument("name", type=values.given, metavar="NAME", help="the name")
