"""`benchdock results rebuild`: read all run folders again into the database."""

from __future__ import annotations

import argparse
import json

from sqlalchemy import Connection

from orchestrator.errors import ExitStatus
from orchestrator.nights import decisions, files, storing
from orchestrator.store import location, reading
from orchestrator.store.taking_in import Taken, forget, take_in
from orchestrator.ui.text import print_note
from orchestrator.units import counted


def execute(arguments: argparse.Namespace) -> ExitStatus:
    """Rebuild the database from the folders. Raises RequestError, MachineError."""
    place = location.here()
    taken = reading.use(place, _rebuilt, print_note)
    if arguments.json:
        print(json.dumps({"schema": 1, "database": str(place), "runs": taken.added}, indent=2))
    else:
        print(f"the database {place} has {counted(taken.added, 'run')} of this home")
    return ExitStatus.OK


def _rebuilt(connection: Connection) -> Taken:
    forget(connection)
    taken = take_in(connection, print_note)
    for suite in files.suites():
        decided = decisions.read(suite)
        for night in files.newest(suite):
            storing.store(connection, night, decided)
    return taken
