"""The parser of the whole command line."""

from __future__ import annotations

import argparse
from importlib import import_module

from orchestrator.arguments.parser import Command, Listed, Parser
from orchestrator.version import VERSION

# In the order of `benchdock --help`: run, read, repeat, set up.
COMMANDS = (
    *("run", "plan", "suite", "tune", "results", "compare", "explain", "parse"),
    *("nightly", "report", "accept", "mute"),
    *("parity", "published", "reproduce", "replay", "bundle", "verify"),
    *("models", "frameworks", "images", "data", "probe", "check-node", "doctor"),
    *("import-dlbs", "demo", "completion"),
)


def build_parser(only: str | None = None) -> Parser:
    """Return the parser of all commands, or of one. Handlers are named, not imported.

    For a word that is not a command, all are listed without their arguments.
    """
    parser = Parser(
        prog="benchdock",
        description="Benchmark deep-learning frameworks in containers, all with the same networks.",
        epilog="examples:\n  benchdock run resnet50 -f pytorch\n  benchdock run vgg16 -f pytorch "
        "--phase inference --batch 16 --gpus none\n  benchdock doctor\nexit status: 0 success, 1 "
        "the benchmark failed, 2 wrong request, 3 not possible on\nthis machine, 4 measured but "
        "not reproduced, 70 a bug in benchdock, 130 interrupted",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"benchdock {VERSION}")
    commands = parser.add_subparsers(
        title="commands", dest="command", metavar="COMMAND", required=True,
        parser_class=Command if only is None or only in COMMANDS else Listed,
    )  # fmt: skip
    for name in COMMANDS if only not in COMMANDS else (only,):
        module = name.replace("-", "_")
        import_module(f"orchestrator.arguments.{module}").add(commands)
    return parser
