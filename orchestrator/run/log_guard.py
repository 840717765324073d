"""Makes sure that a log never loses bytes silently, even if the program does not notice.

Most programs ignore a failed write, so a disk that is full for a moment leaves a log that looks
complete. The guard keeps blocks allocated beyond the log's end, so that there is space for what is
written next, and checks ten times a second whether that still works.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import resource
import threading
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from orchestrator.errors import MachineError
from orchestrator.plan import Plan

LOOK_SECONDS: Final = 0.1
JOIN_SECONDS: Final = 3.0  # a file server that does not answer must not delay the run
# Blocks kept allocated beyond the log's end: the minimum, and the maximum if there is plenty.
AHEAD: Final = 256 * 1024
MOST_AHEAD: Final = 4 * 1024 * 1024
SHARE_AHEAD: Final = 64  # of the free space
# With less free space than this the disk counts as full.
DISK_FULL: Final = 64 * 1024
_KEEP_SIZE: Final = 1  # FALLOC_FL_KEEP_SIZE of linux/falloc.h
_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


def largest_file(plan: Plan) -> int | None:
    """Return the largest size in bytes that a file of the program may have, None if unlimited."""
    if plan.runtime == "docker":
        limits = [u.soft for u in plan.limits.ulimits if u.name == "fsize" and u.soft >= 0]
        return min(limits, default=None)
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    return None if limit == resource.RLIM_INFINITY else limit


class LogGuard:
    """Creates a log and watches it until the `with` block ends, in a separate thread.

    `largest` is the size in bytes at which the system would cut off the log, None if unlimited.
    """

    def __init__(self, log: Path, *, largest: int | None = None) -> None:
        self._log = log
        self._largest = largest
        self._descriptor = -1
        self._allocated = 0
        self._can_allocate = True
        self._counts_inodes: bool | None = None
        self._found: list[str] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="log guard", daemon=True)

    def __enter__(self) -> Self:
        """Create the log. Raises MachineError if there is no space for it."""
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            self._descriptor = os.open(self._log, flags, 0o666)
        except OSError as error:
            raise MachineError(f"cannot create the log {self._log}: {error.strerror}") from None
        self._look()
        if self._found:
            os.close(self._descriptor)
            raise MachineError(
                f"no space for a log in {self._log.parent}",
                hint="free some space or set BENCHDOCK_HOME",
            )
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()
        if error is None:  # otherwise the program may still be writing
            self._give_back()
        if not self._thread.is_alive():
            os.close(self._descriptor)

    def lost(self) -> str | None:
        """Say what the log may lack, after the program has ended; None if it is complete."""
        self._stop()
        if not self._thread.is_alive():
            self._look()
            self._check_name()
            self._check_written()
        return self._found[0] if self._found else None

    def _stop(self) -> None:
        self._ended.set()
        self._thread.join(JOIN_SECONDS)
        if self._thread.is_alive():
            self._note(f"the disk of {self._log} does not answer: its log may lack lines")

    def _watch(self) -> None:
        while not self._ended.wait(LOOK_SECONDS):
            self._look()

    def _look(self) -> None:
        try:
            size = os.fstat(self._descriptor).st_size
            free = self._check_free(size)
            if self._can_allocate and size + AHEAD > self._allocated:
                self._allocate(size, free)
        except OSError as error:
            self._note(f"the log {self._log} cannot be watched: {error.strerror}")
        else:
            if self._largest is not None and size >= self._largest:
                self._note(
                    f"the log {self._log} was cut off at {size} bytes, the maximum file size "
                    "(`ulimit -f`)"
                )

    def _check_free(self, size: int) -> int:
        """Note a full disk; return its free bytes."""
        seen = os.fstatvfs(self._descriptor)
        # Space reserved for root only counts for root.
        root = os.geteuid() == 0
        free = (seen.f_bfree if root else seen.f_bavail) * seen.f_frsize
        inodes = seen.f_ffree if root else seen.f_favail
        if (
            self._counts_inodes is None
        ):  # a file was just made, so zero means that the file system does not count
            self._counts_inodes = inodes > 0
        if seen.f_blocks and free < DISK_FULL:
            self._note_full("", size)
        elif self._counts_inodes and not inodes:
            self._note_full(" (it cannot hold more files)", size)
        return free

    def _note_full(self, why: str, size: int) -> None:
        self._note(
            f"the disk of {self._log.parent} was full while the program ran{why}: output after "
            f"byte {size} of its log, and the program's files, may be lost"
        )

    def _allocate(self, size: int, free: int) -> None:
        plenty = 2 * max(AHEAD, min(MOST_AHEAD, free // SHARE_AHEAD))
        for ahead in (plenty, DISK_FULL):
            number = _fallocate(self._descriptor, size, ahead)
            if number == 0:
                self._allocated = max(self._allocated, size + ahead)
                return
            if number not in _FULL:  # not every file system can do it
                self._can_allocate = False
                return
        self._note_full(f" ({os.strerror(number)})", size)

    def _check_name(self) -> None:
        """Note a log that was removed or replaced: the filed log is not the one that was read."""
        mine = os.fstat(self._descriptor)
        try:
            named = os.stat(self._log, follow_symlinks=False)
        except OSError:
            how = "was removed" if not mine.st_nlink else "was moved"
        else:
            if (named.st_dev, named.st_ino) == (mine.st_dev, mine.st_ino):
                return
            how = "was replaced"
        self._note(
            f"the log {self._log} {how} while the program ran: the {mine.st_size} bytes that it "
            "printed are not filed"
        )

    def _check_written(self) -> None:
        """Note bytes that the disk did not accept after all: a file server reports it only now."""
        try:
            os.fdatasync(self._descriptor)
        except OSError as error:
            self._note(f"the log {self._log} could not be written completely: {error.strerror}")

    def _give_back(self) -> None:
        try:
            os.ftruncate(self._descriptor, os.fstat(self._descriptor).st_size)
        except OSError:  # it only costs space
            return

    def _note(self, text: str) -> None:
        if not self._found:
            self._found.append(text)


def _fallocate(descriptor: int, offset: int, length: int) -> int:
    """Allocate blocks without changing the size; return 0 or the error number."""
    try:
        call = _libc().fallocate
    except (OSError, AttributeError):
        return errno.ENOSYS
    numbers = (ctypes.c_int(_KEEP_SIZE), ctypes.c_int64(offset), ctypes.c_int64(length))
    return 0 if call(ctypes.c_int(descriptor), *numbers) == 0 else ctypes.get_errno()


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
