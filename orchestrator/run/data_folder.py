"""Identifies what a data folder holds, so that two folders of one name are not taken for one."""

from __future__ import annotations

import hashlib
import itertools
import math
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from backends.options import WORKERS
from orchestrator.frameworks import catalogue
from orchestrator.frameworks.record import Framework
from orchestrator.plan import DataFolder
from orchestrator.run.launcher import LauncherContext

# Names and sizes of so many files are read in 0.1 s; ImageNet has 1.3 million.
MOST_FILES = 20_000
_USUAL_SHARED = 64 * 2**20 * 3 // 4  # of Docker's 64 MB, with room for the framework itself


def examine(folder: Path) -> DataFolder | None:
    """Return the digests of names and sizes and of the manifest; None if it cannot be read."""
    if not folder.is_dir():
        return None
    total, count, complete = hashlib.sha256(), 0, True
    for path in itertools.islice(files(folder), MOST_FILES + 1):
        if count == MOST_FILES:
            complete = False
            break
        total.update(f"{path.relative_to(folder)}\0{_size(path)}\0".encode(errors="replace"))
        count += 1
    digest, listed = total.hexdigest(), _manifest(folder)
    return DataFolder(digest=digest, manifest=listed, files=count, complete=complete)


def _manifest(folder: Path) -> str | None:
    """Return the SHA-256 of a dataset's manifest, None if it has none that can be read."""
    from orchestrator.data import manifest  # late: a run without data spares it

    try:
        return hashlib.sha256((folder / manifest.NAME).read_bytes()).hexdigest()
    except OSError:
        return None


def shared_memory(framework: Framework, context: LauncherContext, cpus: int) -> int:
    """Return the bytes in which DataLoader's workers hand over batches; 0 if Docker's 64 MB do.

    Each worker is two batches ahead; another two are in use and on their way (`backends/pytorch`).
    """
    if framework.name != "pytorch":
        return 0
    asked = context.options.get(WORKERS, "auto")
    workers = max(1, cpus // context.devices - 1) if asked == "auto" else int(asked)
    batch = context.batch * math.prod(catalogue.draw(context.model).input_shape)
    needed = context.devices * (2 * workers + 2) * batch
    return needed if needed > _USUAL_SHARED else 0


def files(folder: Path) -> Iterator[Path]:
    """Yield all files in an order that does not depend on the file system."""
    for where, folders, files in os.walk(folder):
        folders.sort()
        yield from (Path(where, name) for name in sorted(files))


def _size(path: Path) -> int:
    """Return the bytes of a file, -1 for anything else; links count as what they point to."""
    try:
        about = path.stat()
    except OSError:
        return -1
    return about.st_size if stat.S_ISREG(about.st_mode) else -1
