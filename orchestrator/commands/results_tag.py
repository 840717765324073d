"""`benchdock results tag RUN TAG`: add tags to a stored run, or remove them."""

from __future__ import annotations

import argparse
import json

from orchestrator.errors import ExitStatus
from orchestrator.results import tagging
from orchestrator.results.lookup import load
from orchestrator.store.reading import read
from orchestrator.ui.text import print_note


def execute(arguments: argparse.Namespace) -> ExitStatus:
    """Change the tags of a run. Raises RequestError, MachineError."""
    stored = load(arguments.run)
    tags = tagging.change(stored, arguments.tags, remove=arguments.remove)
    read(lambda connection: tagging.note(connection, stored.name, tags), print_note)
    if arguments.json:
        print(json.dumps({"schema": 1, "run": stored.name, "tags": list(tags)}, indent=2))
    else:
        print(f"tags of {stored.name}: {', '.join(tags) or 'none'}")
    return ExitStatus.OK
