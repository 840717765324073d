"""Identifies the contents of a vendor program's folder, so that a changed program is noticed."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from orchestrator.machine import inventory
from orchestrator.plan import ProgramFolder

# Files that git and Python write while a program stays the same.
_PASSED_OVER = frozenset({".git", "__pycache__"})
# More would delay the start; benchmark programs have a few MiB.
LARGEST = 256 * 2**20  # bytes
MOST_FILES = 50_000


def examine(folder: Path) -> ProgramFolder:
    """Compute the digest of a folder and get its commit if it belongs to a git clone."""
    clone = next((one for one in _upwards(folder) if (one / ".git").exists()), None)
    return ProgramFolder(
        digest=digest(folder),
        commit=inventory.commit(clone) if clone else None,
        dirty=inventory.dirty(clone, folder) if clone else None,
    )


def notes(found: ProgramFolder) -> Iterator[str]:
    """Warn if a change of the program would go unnoticed."""
    if found.identity is None:
        yield (
            f"--source has more than {LARGEST // 2**20} MiB or {MOST_FILES:,} files, so it has no "
            "digest: a changed program would go unnoticed"
        )


def digest(folder: Path) -> str | None:
    """Return a SHA-256 over all names and contents, None if there is too much to read.

    A link counts by the text it points to, an unreadable file only by its name.
    """
    total, taken = hashlib.sha256(), 0
    for number, path in enumerate(_files(folder)):
        try:
            about = path.lstat()
        except OSError:  # it was removed meanwhile
            continue
        taken += about.st_size
        if number >= MOST_FILES or taken > LARGEST:
            return None
        total.update(os.fsencode(path.relative_to(folder)) + b"\0" + _content(path, about))
    return total.hexdigest()


def _upwards(folder: Path) -> tuple[Path, ...]:
    real = folder.resolve()
    return (real, *real.parents)


def _files(folder: Path) -> Iterator[Path]:
    """Yield files and links in an order that does not depend on the file system."""
    for where, folders, files in os.walk(folder):
        here = Path(where)
        folders[:] = sorted(name for name in folders if name not in _PASSED_OVER)
        links = [name for name in folders if (here / name).is_symlink()]
        yield from (here / name for name in sorted((*files, *links)))


def _content(path: Path, about: os.stat_result) -> bytes:
    """Return a fixed-length digest of a file's contents."""
    try:
        if stat.S_ISLNK(about.st_mode):
            return b"l" + hashlib.sha256(os.fsencode(path.readlink())).digest()
        if stat.S_ISREG(about.st_mode):
            with path.open("rb") as stream:
                return b"f" + hashlib.file_digest(stream, "sha256").digest()
    except OSError:
        pass
    return b"?" + bytes(32)
