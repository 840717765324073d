"""`benchdock doctor`: what this machine can do, and the command that fixes each thing missing."""

from __future__ import annotations

import argparse
import json

from orchestrator import doctor
from orchestrator.errors import ExitStatus
from orchestrator.ui.tables import print_findings


def execute(arguments: argparse.Namespace) -> ExitStatus:
    """Examine the machine; the status tells whether anything can run."""
    found = doctor.examine()
    if arguments.json:
        document = doctor.machine_file(found).model_dump(mode="json", by_alias=True)
        print(json.dumps(document, indent=2))
    else:
        print_findings(found.findings)
    return doctor.exit_status(found.findings)
