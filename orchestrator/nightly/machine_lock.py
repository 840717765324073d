"""One night at a time on a machine: two would disturb each other's numbers."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from orchestrator import shared_lock
from orchestrator.errors import MachineError

NAME = "benchdock-night"


class BusyError(MachineError):
    """Another night is running; the text says which."""


@contextmanager
def held(suite: str, folder: Path | None = None) -> Iterator[None]:
    """Hold the lock of this machine. Raises BusyError, MachineError.

    The kernel drops it when this process ends, however it ends; no child inherits it.
    """
    path = (folder or shared_lock.folder()) / NAME
    descriptor = shared_lock.opened(path)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BusyError(f"{holder(path.parent) or 'another night'} is running") from None
        shared_lock.write_holder(descriptor, f"the night of {suite} (process {os.getpid()})")
        yield
    finally:
        os.close(descriptor)


def holder(folder: Path | None = None) -> str:
    """Return who holds the lock, "" if nobody does."""
    try:
        descriptor = os.open((folder or shared_lock.folder()) / NAME, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return shared_lock.read_holder(descriptor) or "another night"
    finally:
        os.close(descriptor)
    return ""
