"""`benchdock results`: list stored runs, newest first."""

from __future__ import annotations

import argparse
import json
from dataclasses import fields
from datetime import datetime

from orchestrator.errors import ExitStatus, unknown
from orchestrator.frameworks import catalogue
from orchestrator.paths import check_environment, runs
from orchestrator.results.listing import Listing, find
from orchestrator.results.summary import Summary
from orchestrator.run.filing import file_killed
from orchestrator.store.reading import read
from orchestrator.store.wanted import Wanted
from orchestrator.ui.tables import print_table
from orchestrator.ui.text import clean, print_note
from orchestrator.ui.words import devices
from orchestrator.units import quantity

USUAL = 20
_FILTERS = {field.name for field in fields(Wanted)}
_UNKNOWN = "-"


def execute(arguments: argparse.Namespace) -> ExitStatus:
    """List the runs that match the filters. Raises RequestError, MachineError."""
    wanted = wanted_by(arguments)
    file_killed()  # so that every listed run has its outcome
    most = None if arguments.all else arguments.last or USUAL
    found = read(lambda connection: find(connection, wanted, most), print_note)
    if not found.rows and wanted.model is not None:
        check_model(wanted.model, found)
    if arguments.json:
        rows = [row.as_json() for row in found.rows]
        print(json.dumps({"schema": 1, "runs": rows, "older": found.older}, indent=2))
    elif found.rows:
        _show(found)
    else:
        print(clean(nothing(found, wanted)))
    return ExitStatus.OK


def wanted_by(arguments: argparse.Namespace) -> Wanted:
    """Return the filters that were typed.

    Raises RequestError for an unknown framework, and MachineError if HOME was lost.
    """
    check_environment()
    named = {name: value for name, value in vars(arguments).items() if name in _FILTERS}
    if named["framework"]:
        named["framework"] = catalogue.framework(named["framework"]).name
    if getattr(arguments, "failed", False):
        named["status"] = "failed"
    return Wanted(**named)


def check_model(model: str, found: Listing) -> None:
    """Refuse a model name that neither the zoo nor any stored run has. Raises RequestError."""
    known = dict.fromkeys((*catalogue.all_networks(), *sorted(found.models)))
    if model not in known:
        raise unknown("model", model, known, listing="benchdock models")


def nothing(found: Listing, wanted: Wanted) -> str:
    """Say why the list is empty."""
    if found.empty:
        return f"no runs in {runs()}; run `benchdock run resnet50 -f pytorch` to make one"
    return f"no stored run matches {wanted.words()}; `benchdock results` lists all"


def _show(found: Listing) -> None:
    print_table(
        (
            *("run", "when", "model", "framework", "phase", "dtype", "batch", "device"),
            *("throughput", "warnings"),
        ),
        [_cells(row) for row in found.rows],
        right=(6, 8, 9),
    )
    for row in found.rows:
        if row.why:
            print(clean(f"note: {row.why}"))
    if found.older:
        print(_more(found.older))


def _more(older: int) -> str:
    which = "1 older run was" if older == 1 else f"{older:,} older runs were"
    return f"{which} not shown; use --last N or --all to list more"


def _cells(row: Summary) -> tuple[str, ...]:
    return (
        row.run,
        local(row.started),
        row.model or _UNKNOWN,
        row.framework or _UNKNOWN,
        row.phase or _UNKNOWN,
        row.dtype or _UNKNOWN,
        _UNKNOWN if row.batch is None else str(row.batch),
        devices(row.device, row.devices or 1) if row.device else _UNKNOWN,
        _outcome(row),
        str(len(row.warnings) or _UNKNOWN),
    )


def local(moment: datetime | None) -> str:
    """Format a time in this machine's time zone."""
    if moment is None:
        return _UNKNOWN
    try:
        return f"{moment.astimezone():%Y-%m-%d %H:%M}"
    except (OverflowError, ValueError, OSError):  # year 1 or 9999
        return _UNKNOWN


def _outcome(row: Summary) -> str:
    match row.status:
        case "ok" if row.throughput is not None:
            return quantity(row.throughput.value, row.throughput.unit)
        case "ok":
            return _UNKNOWN
        case "failed":
            return f"failed: {row.failure.kind if row.failure else 'unknown'}"
        case "no_result":
            return "no result"
        case "unreadable":
            return "cannot be read"
        case "running" | "planned":
            return row.status
