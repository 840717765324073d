"""The files of nights: one per night of a suite, in `BENCHDOCK_HOME/nights/SUITE`.

A file is written once and never changed. What was decided afterwards is in a file of its own, and
is added when a night is loaded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from orchestrator.errors import MachineError
from orchestrator.nights import decisions
from orchestrator.nights.record import Night
from orchestrator.paths import nights, write_aside
from orchestrator.record_files import read_file

_NAME = re.compile(r"(\d{4,})-\d{4}-\d\d-\d\d\.json", re.ASCII)


def suites() -> tuple[str, ...]:
    """Return the suites that have nights, sorted. Raises MachineError."""
    return tuple(sorted(one.name for one in _entries(nights()) if listed(one.name)))


def folder(suite: str) -> Path:
    """Return the folder of a suite's nights."""
    return nights() / suite


def listed(suite: str) -> tuple[Path, ...]:
    """Return the files of a suite's nights, newest first. Raises MachineError."""
    found = [(_number(path), path) for path in _entries(folder(suite))]
    return tuple(path for number, path in sorted(found, reverse=True) if number)


def load(path: Path) -> Night:
    """Read a night, with what was decided afterwards. Raises RequestError for a damaged file."""
    return decisions.applied(read_file(Night, path), decisions.read(path.parent.name))


def newest(suite: str, most: int | None = None) -> Iterator[Night]:
    """Yield the nights of a suite, newest first; each is read when it is its turn.

    Raises RequestError for a damaged file, MachineError.
    """
    decided = decisions.read(suite)
    for path in listed(suite)[:most]:
        yield decisions.applied(read_file(Night, path), decided)


def next_number(suite: str) -> int:
    """Return the number of the night that comes next."""
    return max(map(_number, listed(suite)), default=0) + 1


def write(night: Night) -> Path:
    """Write the file of a night; return its path. Raises MachineError."""
    path = folder(night.suite) / f"{night.number:04}-{night.night}.json"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_aside(path, night.model_dump_json(by_alias=True, exclude_none=True) + "\n")
    except OSError as error:
        raise MachineError(
            f"cannot write {path}: {error.strerror}", hint="set BENCHDOCK_HOME to a writable folder"
        ) from None
    return path


def _number(path: Path) -> int:
    """Return the number of a night's file, 0 for any other file."""
    name = _NAME.fullmatch(path.name)
    return int(name[1]) if name else 0


def _entries(where: Path) -> list[Path]:
    try:
        return list(where.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise MachineError(f"cannot read {where}: {error.strerror}") from None
