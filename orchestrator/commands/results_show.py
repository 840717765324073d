"""`benchdock results show RUN`: show one stored run."""

from __future__ import annotations

import argparse
import sys

from orchestrator.errors import ExitStatus
from orchestrator.results.lookup import load
from orchestrator.run.filing import to_json
from orchestrator.ui.plain import result_lines


def execute(arguments: argparse.Namespace) -> ExitStatus:
    """Show a run's result. Raises RequestError."""
    stored = load(arguments.run)
    if arguments.json:
        sys.stdout.write(to_json(stored.result))
    else:
        print("\n".join(result_lines(stored.result)))
    return ExitStatus.OK
