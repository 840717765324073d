"""Removes what is large of old runs, or whole runs; a run with a tag is always kept."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection

from orchestrator import compressed
from orchestrator.errors import MachineError
from orchestrator.paths import RunFolder
from orchestrator.results.listing import folder_of
from orchestrator.store import queries, rows
from orchestrator.store.wanted import Wanted


@dataclass(frozen=True, kw_only=True)
class Prunable:
    """What would be removed of a run, and its size on disk in bytes."""

    run: str
    started: datetime | None
    paths: tuple[Path, ...]
    bytes: int


def find(connection: Connection, wanted: Wanted, *, whole: bool) -> tuple[Prunable, ...]:
    """Return what may be removed of the matching runs of this machine, oldest first.

    Of a run that is kept, only its log, its samples of the machine and its outputs are removed:
    result, request and script say what was measured and how.
    """
    found = []
    for row in reversed(queries.newest(connection, wanted, None)):
        folder = RunFolder(folder_of(row))
        if rows.tags(folder) or queries.tags(connection, row["id"]):
            continue
        paths = large(folder) if not whole else tuple(filter(_is_there, (folder.root,)))
        size = sum(map(_size, paths))
        if size:
            started = rows.moment(row["started"])
            found.append(Prunable(run=row["name"], started=started, paths=paths, bytes=size))
    return tuple(found)


def large(folder: RunFolder) -> tuple[Path, ...]:
    """Return what a run's result does not need: log, samples of the machine and outputs."""
    files = text_files(folder)
    paths = (*files, *map(compressed.name_of, files), folder.outputs)
    return tuple(path for path in paths if _is_there(path))


def text_files(folder: RunFolder) -> tuple[Path, ...]:
    """Return the files that grow while a run lasts, and that old nights keep compressed."""
    return (folder.log, folder.engine_log, folder.monitor)


def _is_there(path: Path) -> bool:
    return os.path.lexists(path)


def _size(path: Path) -> int:
    """Return the space of a file, or of a folder with all that is in it; links are not followed."""
    return sum(about.st_blocks * 512 for about in _files(path))


def _files(path: Path) -> Iterator[os.stat_result]:
    try:
        about = path.lstat()
        yield about
        if stat.S_ISDIR(about.st_mode):
            for inner in path.iterdir():
                yield from _files(inner)
    except OSError:  # removed meanwhile, or no permission: it takes no space that we could free
        return


def remove(paths: Iterable[Path]) -> None:
    """Remove files and folders. Raises MachineError."""
    for path in paths:
        try:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise MachineError(
                f"cannot remove {path}: {error.strerror or error}",
                hint="its owner is another user, such as that of a container: use sudo",
            ) from None
