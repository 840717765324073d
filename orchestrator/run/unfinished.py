"""Notes of running benchmarks; they let a later benchdock find runs whose own was killed.

The notes are outside of the run folders, which the programs may write.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from orchestrator.errors import MachineError
from orchestrator.machine.processes import Owner
from orchestrator.paths import RunFolder, runs, unfinished, write_aside

# Seconds after which a file without its final name is nobody's: writing it takes milliseconds.
_ABANDONED = 3600.0


def note(folder: RunFolder) -> None:
    """Note that this process runs a benchmark. Raises OSError."""
    notes = unfinished()
    notes.mkdir(parents=True, exist_ok=True)
    write_aside(_path(folder.run_id, notes), json.dumps(Owner.here().labels()) + "\n")


def forget(run_id: str) -> None:
    """Remove a run's note: its result is filed, or the run never started."""
    with suppress(OSError):  # the next benchdock finds the result, and tries again
        _path(run_id, unfinished()).unlink(missing_ok=True)


def lives(run_id: str) -> bool | None:
    """Whether the benchdock of a run is alive, None if unknown."""
    owner, here = _owner(_path(run_id, unfinished())), Owner.here()
    if owner is None:
        return None
    if owner.is_gone(here):
        return False
    return True if owner.is_seen(here) else None


def killed() -> Iterator[RunFolder]:
    """Yield the folders of the runs whose benchdock is certainly gone; some may not exist."""
    here = Owner.here()
    for path in _notes():
        owner = _owner(path)
        if owner is not None and owner.is_gone(here):
            yield RunFolder(runs() / path.stem)


def _path(run_id: str, notes: Path) -> Path:
    return notes / f"{run_id}.json"


def _notes() -> list[Path]:
    try:
        folder = unfinished()
        _sweep(folder)
        return sorted(folder.glob("*.json"))
    except (OSError, MachineError):  # a home that may not be searched has no runs
        return []


def _sweep(folder: Path) -> None:
    """Remove files of notes whose writer was killed before they got their name."""
    for path in folder.glob(".*"):
        if time.time() - path.stat().st_mtime > _ABANDONED:
            path.unlink(missing_ok=True)


def _owner(path: Path) -> Owner | None:
    """Read a note; None if it is gone or invalid."""
    try:
        labels = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(labels, dict) or not all(isinstance(v, str) for v in labels.values()):
        return None
    return Owner.of(labels)
