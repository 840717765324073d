"""`benchdock data`: the datasets that have a name on this machine."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from orchestrator.data import manifest, registry
from orchestrator.errors import DataError, ExitStatus
from orchestrator.ui.tables import print_table

_UNKNOWN = "-"


def execute(arguments: argparse.Namespace) -> ExitStatus:
    """Print them. Raises MachineError."""
    found = [_facts(name, folder) for name, folder in registry.known().items()]
    if arguments.json:
        print(json.dumps({"schema": 1, "datasets": found}, indent=2))
        return ExitStatus.OK
    if not found:
        print("no dataset has a name; run `benchdock data add NAME DIR`")
        return ExitStatus.OK
    rows = [[str(one[key] or _UNKNOWN) for key in found[0]] for one in found]
    print_table(tuple(found[0]), rows)
    return ExitStatus.OK


def _facts(name: str, folder: Path) -> dict[str, Any]:
    try:
        known = manifest.read(folder)
    except DataError:
        known = None
    return {
        "name": name,
        "format": known.format if known else "" if folder.is_dir() else "missing",
        "samples": known.samples if known else None,
        "classes": len(known.classes) if known else None,
        "folder": str(folder),
    }
