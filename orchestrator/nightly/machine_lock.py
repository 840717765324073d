"""One night at a time on a machine: two would disturb each other's numbers."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from orchestrator.errors import MachineError

# Not in BENCHDOCK_HOME: two users share the machine. Systems without /run/lock have /tmp.
FOLDERS = (Path("/run/lock"), Path("/tmp"))
NAME = "benchdock-night"


class BusyError(MachineError):
    """Another night is running; the text says which."""


@contextmanager
def held(suite: str, folder: Path | None = None) -> Iterator[None]:
    """Hold the lock of this machine. Raises BusyError, MachineError.

    The kernel drops it when this process ends, however it ends; no child inherits it.
    """
    path = (folder or _folder()) / NAME
    descriptor = _opened(path)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BusyError(f"{holder(path.parent) or 'another night'} is running") from None
        with suppress(OSError):  # a full disk; the lock is held all the same
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"the night of {suite} (process {os.getpid()})\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def holder(folder: Path | None = None) -> str:
    """Return who holds the lock, "" if nobody does."""
    try:
        descriptor = os.open((folder or _folder()) / NAME, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        told = os.pread(descriptor, 200, 0).decode("utf-8", "replace")
        return " ".join(told.split()) or "another night"
    finally:
        os.close(descriptor)
    return ""


def _folder() -> Path:
    return next((one for one in FOLDERS if one.is_dir()), FOLDERS[-1])


def _opened(path: Path) -> int:
    """Open the file, which everybody may write: any user's night excludes any other's.

    In a folder that all users may write, Linux refuses O_CREAT on a file of another user
    (fs.protected_regular), so an existing file is opened without it.
    """
    flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        with suppress(FileNotFoundError):
            return os.open(path, flags)
        descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o666)
    except FileExistsError:  # another night made it at the same moment
        return os.open(path, flags)
    except OSError as error:
        raise MachineError(
            f"cannot lock {path}: {error.strerror}", hint=f"run `sudo chmod 666 {path}`"
        ) from None
    os.fchmod(descriptor, 0o666)  # whatever the umask is
    return descriptor
