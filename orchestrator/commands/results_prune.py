"""`benchdock results prune`: remove what is large of old runs."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from orchestrator.commands import results
from orchestrator.errors import ExitStatus
from orchestrator.results import pruning
from orchestrator.results.pruning import Prunable
from orchestrator.store.reading import read
from orchestrator.store.wanted import Wanted
from orchestrator.ui.tables import print_table
from orchestrator.ui.text import print_note
from orchestrator.units import counted, quantity

_SHOWN = 20


def execute(arguments: argparse.Namespace) -> ExitStatus:
    """Show what would be removed; with --yes remove it. Raises RequestError, MachineError."""
    wanted = Wanted(
        until=datetime.now(UTC) - timedelta(seconds=arguments.older),
        status="failed" if arguments.failed else None,
    )
    found = read(
        lambda connection: pruning.find(connection, wanted, whole=arguments.whole), print_note
    )
    if arguments.yes:
        for one in found:
            pruning.remove(one.paths)
    _show(found, arguments)
    return ExitStatus.OK


def _show(found: Sequence[Prunable], arguments: argparse.Namespace) -> None:
    size = sum(one.bytes for one in found)
    if arguments.json:
        rows = [{"run": one.run, "bytes": one.bytes, "paths": _names(one)} for one in found]
        document = {"schema": 1, "dry_run": not arguments.yes, "bytes": size, "runs": rows}
        print(json.dumps(document, indent=2))
        return
    if not found:
        print("nothing to remove; runs with a tag and newer runs are kept")
        return
    largest = sorted(found, key=lambda one: one.bytes, reverse=True)[:_SHOWN]
    print_table(
        ("run", "when", "size"),
        [(one.run, results.local(one.started), quantity(one.bytes, "bytes")) for one in largest],
        right=(2,),
    )
    if len(found) > len(largest):
        print(f"and {len(found) - len(largest):,} smaller ones; --json lists all")
    what = "whole runs" if arguments.whole else "logs, samples of the machine and outputs"
    did = "removed" if arguments.yes else "would be removed"
    print(f"{what} of {counted(len(found), 'run')} {did}: {quantity(size, 'bytes')}")
    if not arguments.yes:
        print("add --yes to remove them")


def _names(one: Prunable) -> list[str]:
    return [str(path) for path in one.paths]
