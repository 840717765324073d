"""Lock files that all users of a machine share."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

from orchestrator.errors import MachineError

# Not in BENCHDOCK_HOME: several users share a machine. If /run/lock is not for everybody, as on
# Fedora, all of them use /tmp.
FOLDERS = (Path("/run/lock"), Path("/tmp"))
_FOR_EVERYBODY = 0o1777


def folder() -> Path:
    """Return the folder in which every user of this machine may make lock files."""
    return next((one for one in FOLDERS if _is_for_everybody(one)), FOLDERS[-1])


def _is_for_everybody(path: Path) -> bool:
    try:
        return stat.S_IMODE(path.lstat().st_mode) == _FOR_EVERYBODY
    except OSError:
        return False


def opened(path: Path) -> int:
    """Open a lock file that everybody may write, and no child process inherits.

    In a folder that all users may write, Linux refuses O_CREAT on a file of another user
    (fs.protected_regular), so an existing file is opened without it. Raises MachineError.
    """
    flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        with suppress(FileNotFoundError):
            return os.open(path, flags)
        try:
            descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o666)
        except FileExistsError:  # another process made it at the same moment
            return os.open(path, flags)
    except OSError as error:
        raise MachineError(
            f"cannot lock {path}: {error.strerror}", hint=f"run `sudo chmod 666 {path}`"
        ) from None
    os.fchmod(descriptor, 0o666)  # whatever the umask is
    return descriptor
