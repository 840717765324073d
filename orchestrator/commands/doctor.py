"""`benchdock doctor`: what this machine can do, and the command that mends each thing missing."""

from __future__ import annotations

import argparse
import json

from orchestrator import doctor
from orchestrator.errors import ExitStatus
from orchestrator.ui.tables import print_findings


def execute(arguments: argparse.Namespace) -> ExitStatus:
    """Examine the machine; the status tells whether anything can run."""
    findings = doctor.examine()
    if arguments.json:
        print(json.dumps(doctor.as_json(findings), indent=2))
    else:
        print_findings(findings)
    return doctor.exit_status(findings)
