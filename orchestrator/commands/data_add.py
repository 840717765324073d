"""`benchdock data add`: give a dataset a name on this machine."""

from __future__ import annotations

import argparse
from pathlib import Path

from orchestrator.data import registry
from orchestrator.errors import ExitStatus
from orchestrator.ui.text import clean


def execute(arguments: argparse.Namespace) -> ExitStatus:
    """Add or change the name. Raises RequestError, MachineError."""
    registry.add(arguments.name, Path(arguments.folder))
    print(clean(f"{arguments.name} is {Path(arguments.folder).resolve()}"))
    return ExitStatus.OK
