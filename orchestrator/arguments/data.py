"""Arguments of `benchdock data`, which lists; its subcommands have modules of their own."""

from __future__ import annotations

from typing import Any

from orchestrator.arguments import data_convert, data_make, data_names, shared
from orchestrator.arguments.parser import command

# In the order of a user's work.
SUBCOMMANDS = (data_make, data_convert, data_names)


def add(commands: Any) -> None:
    """Add the parser of the command and of its subcommands."""
    data = command(
        commands,
        "data",
        "make, convert and name datasets",
        "data",
        "data make images --samples 2000 --classes 100",
        "data convert images records --to recordio",
        "data add imagenet records",
    )
    shared.json(data)
    data.set_defaults(handler="data_list")
    subcommands = data.subcommands()
    for module in SUBCOMMANDS:
        module.add(subcommands)
