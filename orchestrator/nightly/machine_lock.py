"""One night at a time on a machine: two would disturb each other's numbers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from orchestrator import file_lock, shared_lock
from orchestrator.errors import MachineError

NAME = "benchdock-night"
_UNNAMED = "another night"


class BusyError(MachineError):
    """Another night is running; the text says which."""


@contextmanager
def held(suite: str, folder: Path | None = None) -> Iterator[None]:
    """Hold the lock of this machine. Raises BusyError, MachineError.

    The kernel drops it when this process ends, however it ends; no child inherits it.
    """
    path = (folder or shared_lock.folder()) / NAME
    descriptor = shared_lock.opened(path)
    with ExitStack() as stack:
        try:
            who = f"the night of {suite} (process {os.getpid()})"
            stack.enter_context(file_lock.held_at_once(descriptor, who))
        except file_lock.HeldError as error:
            raise BusyError(f"{error.holder or _UNNAMED} is running") from None
        yield


def holder(folder: Path | None = None) -> str:
    """Return who holds the lock, "" if nobody does."""
    return file_lock.holder((folder or shared_lock.folder()) / NAME, _UNNAMED)
