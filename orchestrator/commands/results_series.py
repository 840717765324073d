"""`benchdock results series`: list the series of stored runs."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, RowMapping

from orchestrator.commands import results
from orchestrator.errors import ExitStatus
from orchestrator.nights import storing
from orchestrator.nights.storing import LastNight
from orchestrator.store import queries, rows
from orchestrator.store.reading import read
from orchestrator.store.wanted import Wanted
from orchestrator.ui.tables import print_table
from orchestrator.ui.text import print_note
from orchestrator.ui.words import devices
from orchestrator.units import quantity

_UNKNOWN = "-"
_SHOWN_DIGITS = 8


def execute(arguments: argparse.Namespace) -> ExitStatus:
    """List the series. Raises RequestError, MachineError."""
    wanted = results.wanted_by(arguments)
    found, nights = read(lambda connection: _found(connection, wanted), print_note)
    if arguments.json:
        told = [_as_json(row, nights.get(row["id"])) for row in found]
        print(json.dumps({"schema": 1, "series": told}, indent=2))
    elif found:
        print_table(
            (
                *("series", "model", "framework", "phase", "dtype", "batch", "device", "machine"),
                *("runs", "last run", "throughput", *(["last night"] if nights else ())),
            ),
            [(*_cells(row), *([_night(nights.get(row["id"]))] if nights else ())) for row in found],
            right=(5, 8, 10),
        )
    else:
        words = wanted.words()
        print(f"no series matches {words}" if words else "no series is stored")
    return ExitStatus.OK


def _found(
    connection: Connection, wanted: Wanted
) -> tuple[Sequence[RowMapping], dict[int, LastNight]]:
    found = queries.series(connection, wanted)
    return found, storing.last_nights(connection, [row["id"] for row in found])


def _night(night: LastNight | None) -> str:
    if night is None:
        return _UNKNOWN
    off = night.verdict in ("regressed", "improved") and night.change is not None
    change = f" {(night.change or 0.0) * 100:+.1f} %" if off else ""
    return f"{night.verdict}{change}{'; ' if night.decided else ''}{night.decided}"


def _cells(row: RowMapping) -> tuple[str, ...]:
    return (
        row["what"][:_SHOWN_DIGITS],
        *(row[name] or _UNKNOWN for name in ("model", "framework", "phase", "dtype")),
        _UNKNOWN if row["batch"] is None else str(row["batch"]),
        devices(row["device"], row["devices"] or 1) if row["device"] else _UNKNOWN,
        row["machine"] or _UNKNOWN,
        f"{row['runs']:,}",
        results.local(rows.moment(row["started"])),
        _throughput(row),
    )


def _throughput(row: RowMapping) -> str:
    if row["status"] == "failed":
        return f"failed: {row['failure'] or 'unknown'}"
    if row["throughput"] is None:
        return _UNKNOWN
    return quantity(row["throughput"], row["unit"])


def _as_json(row: RowMapping, night: LastNight | None) -> dict[str, Any]:
    names = ("what", "place", "model", "framework", "phase", "dtype", "batch", "device", "devices")
    moment = rows.moment(row["started"])
    number = row["throughput"]
    return {
        **{name: row[name] for name in names},
        "machine": row["machine"],
        "request": row["request"],
        "runs": row["runs"],
        "last": {
            "run": row["name"],
            "started": moment.isoformat() if moment else None,
            "status": row["status"],
            "failure": row["failure"],
            "throughput": None if number is None else {"value": number, "unit": row["unit"]},
        },
        "night": None if night is None else asdict(night),
    }
