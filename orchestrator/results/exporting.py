"""Writes stored runs as a table for other programs: CSV, JSON or Parquet."""

from __future__ import annotations

import csv
import json
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TextIO, cast

from sqlalchemy import Connection, RowMapping

from orchestrator.errors import MachineError
from orchestrator.installation import extra
from orchestrator.store import queries
from orchestrator.store.rows import moment
from orchestrator.store.wanted import Wanted

# The columns, with their types in DuckDB.
COLUMNS = {
    "run": "VARCHAR",
    "started": "TIMESTAMPTZ",
    "finished": "TIMESTAMPTZ",
    "status": "VARCHAR",
    "failure": "VARCHAR",
    "trust": "VARCHAR",
    **dict.fromkeys(("model", "framework", "phase", "dtype"), "VARCHAR"),
    "batch": "BIGINT",
    "device": "VARCHAR",
    "devices": "BIGINT",
    "throughput": "DOUBLE",
    "unit": "VARCHAR",
    **dict.fromkeys(("p50", "p99", "energy", "memory"), "DOUBLE"),
    "warnings": "BIGINT",
    **dict.fromkeys(("session", "machine", "image_digest", "driver"), "VARCHAR"),
    "pass": "BIGINT",
    **dict.fromkeys(("framework_version", "benchdock", "what", "place"), "VARCHAR"),
}


def rows(connection: Connection, wanted: Wanted) -> Iterator[dict[str, Any]]:
    """Yield each matching run, oldest first, with the keys of `COLUMNS` and its `metrics`."""
    with connection.begin():
        for row in queries.exported(connection, wanted).mappings():
            yield _row(row)


def _row(row: RowMapping) -> dict[str, Any]:
    return {
        **{name: row[name] for name in COLUMNS if name not in ("run", "started", "finished")},
        "run": row["name"],
        "started": _moment(row["started"]),
        "finished": _moment(row["finished"]),
        "metrics": row["metrics"],
    }


def _moment(seconds: float) -> str | None:
    found = moment(seconds)
    return found.isoformat() if found else None


def write_csv(found: Iterator[dict[str, Any]], stream: TextIO) -> int:
    """Write a CSV file with the columns of `COLUMNS`; return the number of runs."""
    writer = csv.DictWriter(stream, tuple(COLUMNS), extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    return sum(1 for row in found if writer.writerow(row))


def write_json(found: Iterator[dict[str, Any]], stream: TextIO) -> int:
    """Write one document with all runs and all their metrics; return the number of runs."""
    stream.write('{"schema": 1, "runs": [')
    count = 0
    for count, row in enumerate(found, start=1):
        metrics = {name: {"value": one[0], "unit": one[1]} for name, one in row["metrics"].items()}
        stream.write(",\n " if count > 1 else "\n ")
        stream.write(json.dumps({**row, "metrics": metrics}))
    stream.write("\n]}\n")
    return count


def check_parquet() -> None:
    """Raise MachineError if the package that writes Parquet is missing."""
    if find_spec("duckdb") is None:
        raise MachineError("Parquet needs the package duckdb", hint=f"run `{extra('export')}`")


def write_parquet(found: Iterator[dict[str, Any]], path: Path) -> int:
    """Write a Parquet file with the columns of `COLUMNS`; return the number of runs."""
    import duckdb

    with tempfile.NamedTemporaryFile(
        "w", dir=path.parent, suffix=".csv", encoding="utf-8", newline=""
    ) as aside:
        count = write_csv(found, cast(TextIO, aside))
        aside.flush()
        types = ", ".join(f"{_text(name)}: {_text(kind)}" for name, kind in COLUMNS.items())
        with duckdb.connect() as connection:
            connection.execute(
                f"COPY (SELECT * FROM read_csv({_text(aside.name)}, header=true, quote='\"', "
                f"columns={{{types}}})) TO {_text(str(path))} (FORMAT parquet, COMPRESSION zstd)"
            )
    return count


def _text(told: str) -> str:
    """Return text as a literal of SQL."""
    return "'" + told.replace("'", "''") + "'"
