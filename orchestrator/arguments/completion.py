"""Arguments of `benchdock completion`."""

from __future__ import annotations

from typing import Any

from orchestrator.arguments.parser import command


def add(commands: Any) -> None:
    """Add the parser of the command."""
    completion = command(
        commands,
        "completion",
        "print a shell completion script",
        "completion bash > ~/.local/share/bash-completion/completions/benchdock",
    )
    completion.add_argument(
        "shell", choices=("bash", "zsh", "tcsh"), metavar="SHELL", help="bash, zsh or tcsh"
    )
    completion.set_defaults(handler="completion")
