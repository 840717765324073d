"""Arguments of `benchdock import-dlbs`."""

from __future__ import annotations

import argparse
from typing import Any

from orchestrator.arguments import values
from orchestrator.arguments.parser import Once, command
from orchestrator.errors import quoted


def add(commands: Any) -> None:
    """Add the parser of the command."""
    importing = command(
        commands,
        "import-dlbs",
        "turn a configuration of DLBS into a suite file",
        "import-dlbs config.json -o nightly.yaml",
        "import-dlbs config.json '-Pexp.gpus=\"0,1\"' -Vexp.replica_batch=[16,32]",
    )
    importing.add_argument(
        "file",
        nargs="?",
        type=values.path,
        metavar="FILE",
        help="the configuration, a JSON file (not needed with -P and -V)",
    )
    importing.add_argument(
        "-o",
        "--output",
        action=Once,
        type=values.path,
        metavar="FILE",
        help="output file (default: standard output)",
    )
    for option, what in (("-P", "set a parameter"), ("-V", "set the values of a variable")):
        importing.add_argument(
            option,
            type=_named,
            action="append",
            default=[],
            metavar="NAME=JSON",
            dest="parameters" if option == "-P" else "variables",
            help=f"{what}, as in DLBS; repeatable",
        )
    importing.add_argument(
        "-E",
        action="append",
        default=[],
        metavar="JSON",
        dest="extensions",
        help="append an extension, as in DLBS; repeatable",
    )
    importing.set_defaults(handler="import_dlbs")


def _named(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"{quoted(text)} is not of the form NAME=JSON")
    return name, value
