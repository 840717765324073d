"""`benchdock doctor`: check this machine and print a command to fix each problem."""

from __future__ import annotations

import argparse
import json

from orchestrator.doctor import examination
from orchestrator.errors import ExitStatus
from orchestrator.ui.tables import print_findings


def execute(arguments: argparse.Namespace) -> ExitStatus:
    """Check the machine and return whether benchmarks can run."""
    found = examination.examine()
    if arguments.json:
        document = examination.machine_file(found).model_dump(mode="json", by_alias=True)
        print(json.dumps(document, indent=2))
    else:
        print_findings(found.findings)
    return examination.exit_status(found.findings)
