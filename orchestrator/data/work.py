"""The folder of a dataset that is being written: its journal, lock and unfinished shards."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from orchestrator.data import manifest
from orchestrator.errors import DataError, MachineError
from orchestrator.file_lock import held
from orchestrator.paths import write_aside
from orchestrator.units import BYTES, quantity

# Hidden, so that no program takes what is in it for data.
_FOLDER = ".benchdock-unfinished"
_LOCK = ".benchdock-lock"


@dataclass(frozen=True)
class Place:
    """A target folder with the work in progress in it."""

    target: Path

    @property
    def folder(self) -> Path:
        """Return the hidden folder."""
        return self.target / _FOLDER

    @property
    def identity(self) -> Path:
        """Return the file that says which conversion this is."""
        return self.folder / "identity"

    def rows(self, shard: int) -> Path:
        """Return the file of a shard's rows."""
        return self.folder / f"{shard:05d}.rows"

    def part(self, shard: int) -> Path:
        """Return the file of a shard that is being written; an LMDB has no other name."""
        return self.folder / f"{shard:05d}" / "data.mdb"

    def check_space(self, needed: int) -> None:
        """Raise MachineError if the disk has too little space, counting what is there already."""
        there = sum(one.stat().st_blocks * 512 for one in self.folder.rglob("*") if one.is_file())
        free = shutil.disk_usage(self.target).free
        if needed - there > free:
            raise MachineError(
                f"it needs about {quantity(needed - there, BYTES)} in {self.target}, "
                f"which has {quantity(free, BYTES)}",
                hint="free some space or use another folder",
            )


def is_unfinished(target: Path) -> bool:
    """Whether a folder holds a dataset that is being written, or whose writing was interrupted."""
    try:
        return Place(target).identity.exists() and not manifest.path_in(target).exists()
    except OSError:  # it may not be looked into, which reading the manifest says
        return False


def finished(target: Path, identity: str) -> manifest.Manifest | None:
    """Return the manifest of a target that holds just this conversion; None if there is none.

    Raises DataError if the target holds anything else.
    """
    found = manifest.read(target)
    if found is not None and found.conversion == identity:
        _tidy(target)  # a kill after the manifest was written leaves work in progress behind
        return found
    if found is not None:
        raise DataError(f"{target} holds another dataset", hint="use another folder or remove it")
    if not target.is_dir():
        if target.exists():
            raise DataError(f"{target} is a file", hint="use a folder")
        return None
    ours = {_FOLDER, _LOCK}
    try:
        others = sorted(name for name in os.listdir(target) if name not in ours)
    except OSError as error:
        raise DataError(f"{target} cannot be read: {error.strerror}") from None
    place = Place(target)
    if others and not place.identity.exists():
        raise DataError(
            f"{target} is not empty: it contains {others[0]}", hint="use another folder"
        )
    if place.identity.exists() and place.identity.read_text("utf-8") != identity:
        raise DataError(
            f"{target} holds an unfinished dataset, of something else or with other options",
            hint="use the same options to continue, or remove it",
        )
    return None


@contextmanager
def place(target: Path, identity: str, note: Callable[[str], None]) -> Iterator[Place]:
    """Make or open the work in progress; only one process at a time works on it.

    Raises MachineError, also for what cannot be written inside.
    """
    try:
        with _opened(target, identity, note) as opened:
            yield opened
    except OSError as error:
        raise MachineError(
            f"cannot write {error.filename or target}: {error.strerror or error}",
            hint="fix this, then run the same command again to continue",
        ) from None


@contextmanager
def _opened(target: Path, identity: str, note: Callable[[str], None]) -> Iterator[Place]:
    target.mkdir(parents=True, exist_ok=True)
    lock = target / _LOCK
    with held(lock, on_wait=lambda: note(f"another benchdock is writing {target}; waiting")):
        place = Place(target)
        place.folder.mkdir(exist_ok=True)
        if place.identity.exists():
            note(f"continuing in {target}")
        write_aside(place.identity, identity)
        yield place
        _tidy(target)


def _tidy(target: Path) -> None:
    """Remove what only a dataset in progress needs, if it may be removed."""
    shutil.rmtree(Place(target).folder, ignore_errors=True)
    with suppress(OSError):
        (target / _LOCK).unlink(missing_ok=True)
