"""`benchdock verify BUNDLE`: check a bundle, on any machine."""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import asdict
from pathlib import Path

from orchestrator import paths
from orchestrator.errors import ExitStatus, RequestError
from orchestrator.results.verification import verify
from orchestrator.ui.tables import print_table
from orchestrator.ui.text import clean
from orchestrator.ui.words import subject, title


def execute(arguments: argparse.Namespace) -> ExitStatus:
    """Check a bundle and say what was checked. Raises RequestError if something is wrong."""
    _refuse_run(arguments.bundle)
    result, checks = verify(Path(arguments.bundle))
    if arguments.json:
        told = result.metrics.get("throughput")
        document = {
            "schema": 1,
            "bundle": arguments.bundle,
            "run": result.run,
            "status": result.status,
            "throughput": told.model_dump() if told else None,
            "holds": True,
            "checks": [asdict(check) for check in checks],
        }
        print(json.dumps(document, indent=2))
        return ExitStatus.OK
    print(clean(f"{result.run}: {title(result)}, {subject(result)}"))
    print_table(("holds", "checked"), [(check.name, check.detail) for check in checks])
    return ExitStatus.OK


def _refuse_run(word: str) -> None:
    """Raise RequestError for a run id or a folder, which other commands accept."""
    if os.path.isdir(word) or (not os.path.exists(word) and os.path.isdir(paths.runs() / word)):
        raise RequestError(
            f"{word!r} is not a bundle", hint="run `benchdock bundle RUN` to make one"
        )
