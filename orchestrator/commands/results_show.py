"""`benchdock results show RUN`: show one stored run."""

from __future__ import annotations

import argparse
import json
from typing import Any

from sqlalchemy import Connection

from orchestrator.errors import ExitStatus
from orchestrator.results.lookup import Stored, load
from orchestrator.store import queries
from orchestrator.store.reading import read
from orchestrator.ui.plain import result_lines
from orchestrator.ui.text import clean, print_note
from orchestrator.units import counted


def execute(arguments: argparse.Namespace) -> ExitStatus:
    """Show a run's result, series, session and tags. Raises RequestError, MachineError."""
    stored = load(arguments.run)
    known = read(lambda connection: _known(connection, stored), print_note)
    if arguments.json:
        result = stored.result.model_dump(mode="json", by_alias=True)
        document = {"schema": 1, "run": stored.name, "path": str(stored.path), **known}
        print(json.dumps({**document, "result": result}, indent=2))
        return ExitStatus.OK
    print("\n".join(result_lines(stored.result)))
    for label, text in _rows(known):
        print(clean(f"  {label:<10}  {text}"))
    return ExitStatus.OK


def _known(connection: Connection, stored: Stored) -> dict[str, Any]:
    """Return what the database knows of a run, None and [] for one that is not in it."""
    row = queries.named(connection, stored.name) if stored.kind == "folder" else None
    if row is None:
        return {"series": None, "session": None, "tags": []}
    return {
        "series": {name: row[name] for name in ("what", "place", "runs")}
        if row["decided"]
        else None,
        "session": {"name": row["session"], "pass": row["pass"]} if row["session"] else None,
        "tags": list(queries.tags(connection, row["id"])),
    }


def _rows(known: dict[str, Any]) -> list[tuple[str, str]]:
    series, session = known["series"], known["session"]
    found = []
    if series is not None:
        found.append(("series", f"{series['what'][:8]}, {counted(series['runs'], 'run')}"))
    if session is not None:
        number = f", pass {session['pass']}" if session["pass"] is not None else ""
        found.append(("session", session["name"] + number))
    if known["tags"]:
        found.append(("tags", ", ".join(known["tags"])))
    return found
