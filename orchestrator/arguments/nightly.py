"""Arguments of `benchdock nightly` and its subcommands."""

from __future__ import annotations

from typing import Any

from orchestrator.arguments import nightly_run, nightly_schedule, nightly_status
from orchestrator.arguments.parser import command

SUBCOMMANDS = (nightly_schedule, nightly_run, nightly_status)


def add(commands: Any) -> None:
    """Add the parser of the command and of its subcommands."""
    nightly = command(
        commands,
        "nightly",
        "run a suite every night and report only what changed",
        "nightly install nightly.yaml",
        "nightly run nightly.yaml",
        "nightly status",
    )
    nightly_status.add_options(nightly)
    subcommands = nightly.subcommands()
    for module in SUBCOMMANDS:
        module.add(subcommands)
