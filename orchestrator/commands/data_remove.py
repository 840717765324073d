"""`benchdock data remove`: forget the name of a dataset."""

from __future__ import annotations

import argparse

from orchestrator.data import registry
from orchestrator.errors import ExitStatus


def execute(arguments: argparse.Namespace) -> ExitStatus:
    """Forget it. Raises RequestError, MachineError."""
    registry.remove(arguments.name)
    print(f"removed the name {arguments.name}; its files are still there")
    return ExitStatus.OK
