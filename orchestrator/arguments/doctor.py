"""Arguments of `benchdock doctor`."""

from __future__ import annotations

from typing import Any

from orchestrator.arguments.parser import command


def add(commands: Any) -> None:
    """Add the parser of the command."""
    doctor = command(
        commands,
        "doctor",
        "check this machine and show how to fix problems",
        "doctor",
        "doctor --json > server.json",
        status="0 benchmarks can run here, 3 they cannot",
    )
    doctor.add_argument(
        "--json",
        action="store_true",
        help="print one JSON document, which `benchdock run --dry-run --machine FILE` reads",
    )
    doctor.set_defaults(handler="doctor")
