"""Locks on files, which the kernel drops when their holder dies, however it dies."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from orchestrator.errors import MachineError


class HeldError(Exception):
    """Another process has a lock; `holder` is what it wrote about itself, "" if nothing."""

    def __init__(self, holder: str) -> None:
        super().__init__(holder)
        self.holder = holder


@contextmanager
def held(path: Path, *, on_wait: Callable[[], None]) -> Iterator[None]:
    """Hold the lock file `path`; `on_wait` is called once if another process has it.

    Raises MachineError if the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = path.open("a")
    except OSError as error:
        raise MachineError(
            f"cannot write {path}: {error.strerror}", hint="set BENCHDOCK_HOME to a writable folder"
        ) from None
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_wait()
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield


@contextmanager
def held_at_once(descriptor: int, who: str, mode: int = fcntl.LOCK_EX) -> Iterator[None]:
    """Hold the lock of an open file, which is closed at the end; do not wait for it.

    `who` is written into the file, for those who want the lock meanwhile. Raises HeldError, and
    OSError on a file system without locks.
    """
    try:
        try:
            fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
        except BlockingIOError:
            raise HeldError(_written(descriptor)) from None
        with suppress(OSError):  # a full disk; the lock is held all the same
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{who}\n".encode(errors="replace"), 0)
        yield
    finally:
        os.close(descriptor)


def holder(path: Path, unnamed: str) -> str:
    """Return who holds the lock of a file: "" if nobody does, `unnamed` if it does not say."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _written(descriptor) or unnamed
    except OSError:  # a file system without locks
        return ""
    finally:
        os.close(descriptor)
    return ""


def _written(descriptor: int) -> str:
    try:
        return " ".join(os.pread(descriptor, 200, 0).decode("utf-8", "replace").split())
    except OSError:
        return ""
