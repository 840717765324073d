"""The parser of the whole command line."""

from __future__ import annotations

import argparse

from orchestrator.arguments import looking, results, running
from orchestrator.arguments.parser import Command, Parser
from orchestrator.version import VERSION


def build_parser() -> Parser:
    """Return the parser of all commands; each command's handler is named, not imported."""
    parser = Parser(
        prog="benchdock",
        description="Containerized deep-learning benchmarks: the same networks in every "
        "framework, numbers one can trust.",
        epilog="examples:\n"
        "  benchdock run resnet50 -f pytorch\n"
        "  benchdock run vgg16 -f pytorch --phase inference --batch 16 --gpus none\n"
        "  benchdock doctor\n"
        "exit status: 0 measured, 1 the benchmark failed, 2 the request is wrong, 3 this machine\n"
        "cannot do it, 4 measured and a gate was missed, 70 a bug of ours, 130 interrupted",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"benchdock {VERSION}")
    commands = parser.add_subparsers(
        dest="command", metavar="COMMAND", required=True, parser_class=Command
    )
    for group in (running, looking, results):
        group.add(commands)
    return parser
