"""`benchdock frameworks`: what can be benchmarked with what."""

from __future__ import annotations

import argparse
import json
from typing import Any

from orchestrator.catalogue import FRAMEWORKS, Framework
from orchestrator.errors import ExitStatus
from orchestrator.ui.tables import print_table


def describe(row: Framework) -> dict[str, Any]:
    """Return one framework's row, number types keyed "device phase"."""
    return {
        "name": row.name,
        "title": row.title,
        "aliases": list(row.aliases),
        "program": row.program,
        "images": dict(row.images),
        "dtypes": {f"{device} {phase}": list(d) for (device, phase), d in row.dtypes.items()},
        "gaps": dict(row.gaps),
    }


def execute(arguments: argparse.Namespace) -> ExitStatus:
    """Print the table or, with --json, the document."""
    rows = [describe(row) for row in FRAMEWORKS.values()]
    if arguments.json:
        print(json.dumps({"schema": 1, "frameworks": rows}, indent=2))
        return ExitStatus.OK
    print_table(
        ("framework", "device", "phase", "dtypes", "image"),
        [
            (row.name, device, phase, " ".join(dtypes), row.images.get(device, "-"))
            for row in FRAMEWORKS.values()
            for (device, phase), dtypes in row.dtypes.items()
        ],
    )
    gaps = [
        (row.name, model, why) for row in FRAMEWORKS.values() for model, why in row.gaps.items()
    ]
    if gaps:
        print("\nmodels that a framework cannot draw:")
        print_table(("framework", "model", "why"), gaps)
    return ExitStatus.OK
