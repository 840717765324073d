"""`benchdock completion`: print a script that completes words without starting benchdock."""

from __future__ import annotations

import argparse

import shtab

from backends import zoo
from orchestrator.arguments.all import build_parser
from orchestrator.errors import ExitStatus
from orchestrator.frameworks.catalogue import FRAMEWORKS
from orchestrator.images import image_table
from orchestrator.log_formats import LOG_FORMATS

# The first argument of `benchdock parse` is a program, or the log if the program is to be detected.
_FUNCTION = "_benchdock_program_or_log"
_NAMES = " ".join(LOG_FORMATS)
_PROGRAM_OR_LOG = {
    "bash": _FUNCTION,
    "zsh": _FUNCTION,
    "tcsh": "f",
    "preamble": {
        "bash": f"{_FUNCTION}() {{\n"
        f'  compgen -W "{_NAMES}" -- "$1"\n  _shtab_compgen_files "$1"\n}}\n',
        "zsh": f"{_FUNCTION}() {{\n"
        f"  _alternative 'programs:program:({_NAMES})' 'files:log:_files'\n}}\n",
    },
}

_FILES = ("log", "claim", "run", "a", "b", "bundle", "file", "output", "suite", "python")


def _with_names(parser: argparse.ArgumentParser) -> None:
    """Add the names to complete that the parser itself does not check."""
    names = {
        "model": zoo.names(),
        "models": zoo.names(),
        "framework": list(FRAMEWORKS),
        "name": list(FRAMEWORKS),
        "names": list(image_table.load().images),
    }
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                _with_names(command)
        elif action.dest in names:
            action.choices = names[action.dest]
        elif action.dest == "program":
            action.complete = _PROGRAM_OR_LOG  # type: ignore[attr-defined]
        elif action.dest in ("data", "source"):
            action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
        elif action.dest in _FILES:
            action.complete = shtab.FILE  # type: ignore[attr-defined]


def execute(arguments: argparse.Namespace) -> ExitStatus:
    """Print the script."""
    parser = build_parser()
    _with_names(parser)
    print(shtab.complete(parser, arguments.shell))
    return ExitStatus.OK
