"""`benchdock results export`: write stored runs to a file."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TextIO

from sqlalchemy import Connection

from orchestrator.arguments.results_export import FORMATS
from orchestrator.commands import results
from orchestrator.errors import ExitStatus, MachineError, RequestError
from orchestrator.results import exporting
from orchestrator.store.reading import read
from orchestrator.store.wanted import Wanted
from orchestrator.ui.text import print_note
from orchestrator.units import counted

_WRITERS = {"csv": exporting.write_csv, "json": exporting.write_json}


def execute(arguments: argparse.Namespace) -> ExitStatus:
    """Write the matching runs. Raises RequestError, MachineError."""
    output = None if arguments.output in (None, "-") else Path(arguments.output)
    kind = arguments.format or _kind_of(output)
    if kind == "parquet":
        if output is None:
            raise RequestError("Parquet cannot be written to standard output", hint="use -o FILE")
        exporting.check_parquet()
    wanted = results.wanted_by(arguments)
    if output is None:
        _print(wanted, kind)
    else:
        count = _write(wanted, kind, output)
        print(f"wrote {counted(count, 'run')} to {output}", file=sys.stderr)
    return ExitStatus.OK


def _kind_of(output: Path | None) -> str:
    if output is None or not output.suffix:
        return FORMATS[0]
    kind = output.suffix[1:].lower()
    if kind not in FORMATS:
        raise RequestError(
            f"{output.name} does not end like a known format",
            hint=f"use --format {', '.join(FORMATS[:-1])} or {FORMATS[-1]}",
        )
    return kind


def _print(wanted: Wanted, kind: str) -> None:
    """Print only a complete table: a damaged database is found while it is read."""
    with tempfile.TemporaryFile("w+", encoding="utf-8", newline="") as whole:
        read(lambda connection: _stream(connection, wanted, kind, whole), print_note)
        whole.seek(0)
        shutil.copyfileobj(whole, sys.stdout)


def _stream(connection: Connection, wanted: Wanted, kind: str, stream: TextIO) -> int:
    stream.seek(0)
    stream.truncate()
    return _WRITERS[kind](exporting.rows(connection, wanted), stream)


def _write(wanted: Wanted, kind: str, output: Path) -> int:
    """Write to a temporary file beside it, then rename; return the number of runs."""
    aside = output.with_name(f".{output.name}.{os.getpid()}")
    try:
        count = read(lambda connection: _fill(connection, wanted, kind, aside), print_note)
        aside.replace(output)
    except OSError as error:
        raise MachineError(
            f"cannot write {output}: {error.strerror or error}",
            hint="use -o to choose another file",
        ) from None
    finally:
        aside.unlink(missing_ok=True)
    return count


def _fill(connection: Connection, wanted: Wanted, kind: str, path: Path) -> int:
    if kind == "parquet":
        return exporting.write_parquet(exporting.rows(connection, wanted), path)
    with path.open("w", encoding="utf-8", newline="") as stream:
        return _stream(connection, wanted, kind, stream)
