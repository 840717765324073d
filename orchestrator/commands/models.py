"""`benchdock models`: the networks and their sizes, computed from their definitions."""

from __future__ import annotations

import argparse
import json
from typing import Any

from backends import zoo
from orchestrator import models_page
from orchestrator.errors import ExitStatus
from orchestrator.frameworks import catalogue
from orchestrator.ui.tables import print_table


def describe(name: str) -> dict[str, Any]:
    """Return one model as plain values. `size_mib` assumes 4-byte parameters; `macs` is per sample,
    forward.
    """
    graph = zoo.draw(name)
    return {
        "name": name,
        "input_shape": list(graph.input_shape),
        "classes": graph.classes,
        "parameters": graph.published,
        "learnable": graph.learnable,
        "size_mib": round(graph.size_mib, 3),
        "macs": graph.macs,
        "fingerprint": graph.fingerprint,
        "frameworks": catalogue.frameworks_for(name),
    }


def execute(arguments: argparse.Namespace) -> ExitStatus:
    """Print the table, the document or the page."""
    if arguments.markdown:
        print(models_page.page(), end="")
        return ExitStatus.OK
    rows = [describe(name) for name in zoo.names()]
    if arguments.json:
        print(json.dumps({"schema": 1, "models": rows}, indent=2))
        return ExitStatus.OK
    print_table(
        ("model", "input", "classes", "#parameters", "MiB", "GMACs", "fingerprint", "frameworks"),
        [
            (
                row["name"],
                "x".join(map(str, row["input_shape"])),
                f"{row['classes']:,}",
                f"{row['parameters']:,}",
                f"{row['size_mib']:.0f}",
                f"{row['macs'] / 1e9:.3f}",
                row["fingerprint"],
                " ".join(row["frameworks"]),
            )
            for row in rows
        ],
        right=(2, 3, 4, 5),
    )
    return ExitStatus.OK
