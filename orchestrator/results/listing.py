"""Lists stored runs, newest first: those of the database, and those without a readable result."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, RowMapping

from orchestrator.paths import RunFolder
from orchestrator.record_files import may_exist
from orchestrator.result import Failure, Metric
from orchestrator.results.summary import Summary, summarize
from orchestrator.store import queries, rows
from orchestrator.store.wanted import Wanted


@dataclass(frozen=True, kw_only=True)
class Listing:
    """The matching runs, newest first.

    `older` is the number of matching runs after the last one, if enough were found; `models`
    are the networks of all runs if none was found. `empty` says that no run is stored at all.
    """

    rows: tuple[Summary, ...]
    older: int
    empty: bool
    models: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class _Entry:
    """A run in the order of the list; either `stored`, or a folder without a readable result."""

    started: float
    name: str
    stored: RowMapping | None = None
    folder: RunFolder | None = None

    @property
    def place(self) -> tuple[float, str]:
        """Return its place in the list, greatest first."""
        return self.started, self.name


def find(connection: Connection, wanted: Wanted, most: int | None) -> Listing:
    """Find the newest runs; None means all. Only folders without a readable result are read."""
    stored = [
        _Entry(started=row["started"], name=row["name"], stored=row)
        for row in queries.newest(connection, wanted, most)
    ]
    waiting = _waiting(connection)
    found: list[Summary] = []
    models: set[str | None] = set()
    merged = heapq.merge(stored, waiting, key=lambda entry: entry.place, reverse=True)
    last: _Entry | None = None
    for entry in merged:
        row = _summary(entry)
        models.add(row.model)
        if entry.stored is not None or _fits(wanted, row, entry.folder):
            found.append(row)
            if len(found) == most:
                last = entry
                break
    return Listing(
        rows=tuple(found),
        older=_older(connection, wanted, waiting, last) if last is not None else 0,
        empty=not found and not waiting and queries.count(connection) == 0,
        models=frozenset(model for model in models if model is not None)
        | (frozenset() if found else queries.models(connection)),
    )


def _waiting(connection: Connection) -> list[_Entry]:
    """Return the runs without a readable result; folders of `parity` have no request either."""
    found = []
    for row in queries.pending(connection):
        folder = RunFolder(folder_of(row))
        if may_exist(folder.result) or may_exist(folder.request):
            started = folder.made.timestamp() if folder.made is not None else 0.0
            found.append(_Entry(started=started, name=folder.run_id, folder=folder))
    return sorted(found, key=lambda entry: entry.place, reverse=True)


def folder_of(row: RowMapping) -> Path:
    """Return the folder of a run of the database, which may be on another machine."""
    return Path(row["home"], "imported" if row["imported"] else "runs", row["name"])


def _older(connection: Connection, wanted: Wanted, waiting: Sequence[_Entry], last: _Entry) -> int:
    """Return how many matching runs come after one in the list.

    With filters, only those of the database: the others would have to be read.
    """
    found = queries.older(connection, wanted, *last.place)
    if wanted != Wanted():
        return found
    return found + sum(entry.place < last.place for entry in waiting)


def _summary(entry: _Entry) -> Summary:
    if entry.folder is not None:
        return summarize(entry.folder)
    row = entry.stored
    assert row is not None
    failure = row["said"].get("failure")
    return Summary(
        run=row["name"],
        folder=str(folder_of(row)),
        status=row["status"],
        started=rows.moment(row["started"]),
        **{name: row[name] for name in ("model", "framework", "phase", "dtype", "batch")},
        **{name: row[name] for name in ("device", "devices")},
        throughput=_throughput(row),
        failure=Failure(**failure) if failure else None,
        trust=row["trust"],
        warnings=tuple(row["said"]["warnings"]),
    )


def _throughput(row: RowMapping) -> Metric | None:
    """Return the throughput; the database has no number for one that is not finite."""
    if row["unit"] is None:
        return None
    value = row["throughput"]
    return Metric(value=float("nan") if value is None else value, unit=row["unit"])


def _fits(wanted: Wanted, row: Summary, folder: RunFolder | None) -> bool:
    """Whether a run without a readable result matches."""
    return folder is not None and all(
        _has(name, value, row, folder) for name, value in wanted.given().items()
    )


def _has(name: str, value: Any, row: Summary, folder: RunFolder) -> bool:
    match name:
        case "since":
            return row.started is not None and row.started >= value
        case "until":
            return row.started is not None and row.started < value
        case "session":
            return bool(rows.session(folder).get("name") == value)
        case "tag":
            return value in rows.tags(folder)
        case _:
            return bool(getattr(row, name) == value)
