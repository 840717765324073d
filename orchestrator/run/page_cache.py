"""Takes a dataset out of the machine's page cache before a run, or reads all of it into the cache.

Any user may do that for files that they can read. Only their owner, and users who may write them,
then learn from the kernel what is in the cache; for others everything seems to be (mm/mincore.c).
"""

from __future__ import annotations

import ctypes
import mmap
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Literal

from orchestrator.data import manifest
from orchestrator.errors import DataError, MachineError
from orchestrator.machine import inventory
from orchestrator.plan import Plan
from orchestrator.result import PageCache
from orchestrator.run import data_folder
from orchestrator.units import BYTES, quantity

State = Literal["cold", "warm"]

_PIECE = 2**20
_WINDOW = 2**26
# statfs(2): file systems of a disk, which keep data in the page cache and nowhere else. ZFS has a
# cache of its own, and so has the server of a network's file system.
_TRUSTED = {
    0xEF53,
    0x58465342,
    0x9123683E,
    0xF2F52010,
    0x794C7630,
}  # ext, xfs, btrfs, f2fs, overlay
_IN_MEMORY = {0x01021994: "tmpfs", 0x858458F6: "ramfs"}


def check(folder: Path, state: State) -> None:
    """Refuse what cannot be. Raises DataError, MachineError."""
    kind = _IN_MEMORY.get(_file_system(folder))
    if state == "cold" and kind is not None:
        raise DataError(
            f"the dataset {folder} is on {kind}, whose files are always in memory",
            hint="copy it to a disk, or remove --page-cache",
        )
    if state == "warm" and kind is None:
        size = sum(path.stat().st_size for path in _files(folder))
        free = inventory.memory().get("MemAvailable", size)
        if size > free:
            raise MachineError(
                f"the dataset {folder} has {quantity(size, BYTES)}, more than the "
                f"{quantity(free, BYTES)} of free memory, so it cannot be in the page cache",
                hint="use --page-cache cold",
            )


def prepare(folder: Path, state: State) -> PageCache:
    """Bring a dataset into a state and return what is known of it. Raises DataError."""
    act = _evict if state == "cold" else _read
    total, resident, doubt = 0, 0, _doubt_of(_file_system(folder))
    try:
        for path in _files(folder):
            with path.open("rb", buffering=0) as stream:
                about = os.fstat(stream.fileno())
                act(stream.fileno())
                total += about.st_size
                doubt = doubt or _doubt_about(path, about)
        if not doubt:
            resident = sum(map(_resident_of, _files(folder)))
    except OSError as error:
        raise DataError(f"{error.filename or folder} cannot be read: {error.strerror}") from None
    return PageCache(
        state=state, bytes=total, resident=None if doubt else resident, unverified=doubt
    )


def notes(folder: Path, state: State, plan: Plan) -> Iterator[str]:
    """Yield a note if a run reads a cold dataset more than once."""
    found = manifest.read(folder) if state == "cold" else None
    read = plan.global_batch * (plan.steps + plan.warmup)
    if found is not None and read > found.samples:
        yield (
            f"the run takes {read:,} samples of {found.samples:,}: only the first time they come "
            "from the disk"
        )


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in data_folder.files(folder) if path.is_file())


def _evict(descriptor: int) -> None:
    with suppress(OSError):  # not every file system can
        os.fsync(descriptor)  # what was not written yet would stay
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)


def _read(descriptor: int) -> None:
    while os.read(descriptor, _PIECE):
        pass


def _doubt_of(file_system: int) -> str:
    """Return why a file system may hold data elsewhere in memory, "" if it does not."""
    known = file_system in _TRUSTED or file_system in _IN_MEMORY
    return "" if known else "its file system may have a cache of its own"


def _doubt_about(path: Path, about: os.stat_result) -> str:
    """Return why it is unknown what is in memory of a file, "" if it can be known."""
    may = os.geteuid() in (0, about.st_uid) or os.access(path, os.W_OK, effective_ids=True)
    return "" if may else "the files belong to another user"


def _resident_of(path: Path) -> int:
    """Return how many bytes of a file are in the page cache."""
    count = 0
    with path.open("rb", buffering=0) as stream:
        size = os.fstat(stream.fileno()).st_size
        for start in range(0, size, _WINDOW):
            count += _resident(stream.fileno(), start, min(_WINDOW, size - start))
    return count


def _resident(descriptor: int, start: int, length: int) -> int:
    pages = -(-length // mmap.PAGESIZE)
    states = (ctypes.c_ubyte * pages)()
    # ctypes gives only the address of memory that it could write to: a private copy.
    with mmap.mmap(descriptor, length, access=mmap.ACCESS_COPY, offset=start) as view:
        first = ctypes.c_char.from_buffer(view)
        address = ctypes.c_void_p(ctypes.addressof(first))
        failed = _libc().mincore(address, ctypes.c_size_t(length), states)
        del first  # or the view could not be closed
    if failed:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    inside = sum(state & 1 for state in states)
    whole = inside * mmap.PAGESIZE
    # The last page may be longer than the file.
    return whole - (pages * mmap.PAGESIZE - length if states[-1] & 1 else 0)


def _file_system(folder: Path) -> int:
    """Return the number of the file system's type; 0 if it is unknown."""
    about = (ctypes.c_long * 32)()  # longer than struct statfs, which starts with the type
    failed = _libc().statfs(os.fsencode(folder), ctypes.byref(about))
    return 0 if failed else about[0] & 0xFFFFFFFF


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
