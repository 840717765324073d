"""The stored runs that the filters of a command choose, for tables and charts of all of them."""

from __future__ import annotations

import argparse

from orchestrator.commands.results import check_model, nothing, wanted_by
from orchestrator.errors import RequestError
from orchestrator.results.listing import find
from orchestrator.results.summary import Summary
from orchestrator.run.filing import file_killed
from orchestrator.store.reading import read
from orchestrator.ui.text import print_note


def chosen(arguments: argparse.Namespace) -> tuple[Summary, ...]:
    """Return the runs, newest first. Raises RequestError if there are none, MachineError."""
    wanted = wanted_by(arguments)
    file_killed()  # so that every run has its outcome
    found = read(lambda connection: find(connection, wanted, None), print_note)
    if found.rows:
        return found.rows
    if wanted.model is not None:
        check_model(wanted.model, found)
    what, _, hint = nothing(found, wanted).partition("; ")
    raise RequestError(what, hint=hint)
