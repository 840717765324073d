"""Which user a container runs as, and what that user can read and write on the host.

If root calls benchdock, the container does not run as root: files that such a program leaves on the
host (with a set-user-id bit, say) would belong to root.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final

from orchestrator.errors import DataError
from orchestrator.paths import RunFolder
from orchestrator.request import Request

# The kernel's overflow id: it exists on every system and owns nothing.
NOBODY: Final = 65534
ROOT: Final = "0:0"
# Number of dataset entries whose permissions are checked: enough to find a dataset copied by root,
# and few enough for a folder of a million images.
MOST_CHECKED: Final = 1000
_SET_ID: Final = stat.S_ISUID | stat.S_ISGID
_ACCESS_LIST: Final = "system.posix_acl_access"


def choose(request: Request) -> str:
    """Return the user of a container as an engine wants it: `1000:1000`.

    It is the caller; for root the user who called sudo, else nobody, unless the request wants root.
    """
    if request.as_root:
        return ROOT
    if os.geteuid() != 0:
        return caller()
    sudo = (os.environ.get("SUDO_UID", ""), os.environ.get("SUDO_GID", ""))
    if all(text.isascii() and text.isdecimal() and int(text) for text in sudo):
        return ":".join(sudo)
    return f"{NOBODY}:{NOBODY}"


def caller() -> str:
    """Return the user who calls benchdock."""
    return f"{os.getuid()}:{os.getgid()}"


def check_readable(request: Request) -> None:
    """Raise DataError if the container's user cannot read what the request mounts."""
    user = choose(request)
    for what, path in (
        ("the dataset", request.data),
        ("the folder of the program", request.source),
        ("the network", request.model_file),
    ):
        if path is not None:
            check_path(path, user, what)


def check_path(path: Path, user: str, what: str) -> None:
    """Raise DataError if `user` cannot read a file or folder; `what` names it in the message."""
    unreadable = next(_unreadable(path, user), None)
    if unreadable is None:
        return
    uid = user.partition(":")[0]
    hint = f"run `chmod -R o+rX {path}` to allow it"
    if uid != "0" and os.geteuid() == 0 and os.lstat(unreadable).st_uid == 0:
        hint += ", or use --as-root"
    inside = "" if unreadable == path else f"{unreadable} in "
    raise DataError(
        f"the container runs as user {uid}, who cannot read {inside}{what} {path}", hint=hint
    )


def _unreadable(path: Path, user: str) -> Iterator[Path]:
    uid, gid = map(int, user.split(":"))
    for one in islice(_entries(path), MOST_CHECKED):
        try:
            seen = one.stat()
        except OSError:  # gone, or a dangling link: the program will report it if it matters
            continue
        if not _may_read(seen, uid, gid) and not _has_access_list(one):
            yield one


def _entries(path: Path) -> Iterator[Path]:
    """Yield a path and everything under it, upper levels first."""
    waiting: list[Path] = [path]
    for folder in waiting:
        yield folder
        if folder.is_dir() and (folder == path or not folder.is_symlink()):
            try:
                waiting += islice(sorted(folder.iterdir()), MOST_CHECKED)
            except OSError:  # the caller cannot list it either; `_may_read` has reported it
                continue


def _may_read(seen: os.stat_result, uid: int, gid: int) -> bool:
    """Whether the file mode allows reading; containers have no capability to override it."""
    needed = stat.S_IROTH | (stat.S_IXOTH if stat.S_ISDIR(seen.st_mode) else 0)
    if seen.st_uid == uid:
        needed <<= 6
    elif seen.st_gid == gid:
        needed <<= 3
    return seen.st_mode & needed == needed


def _has_access_list(path: Path) -> bool:
    """Whether an access list, and not only the mode, decides who may read a path."""
    try:
        return _ACCESS_LIST in os.listxattr(path)
    except OSError:
        return False


def hand_over(folder: RunFolder, user: str) -> None:
    """Make the log and the outputs writable for the container's user. Raises OSError."""
    uid, gid = map(int, user.split(":"))
    if uid == os.geteuid():
        return
    for path, mode in ((folder.log, 0o666), (folder.outputs, 0o777)):
        if os.geteuid() == 0:
            os.chown(path, uid, gid, follow_symlinks=False)
        else:  # only the caller can get this far: the run folder belongs to the caller
            path.chmod(mode)


def strip_set_ids(folder: Path) -> tuple[str, ...]:
    """Remove the set-user-id and set-group-id bits of what a program left; return warnings."""
    try:
        left = sum(_strip_all(folder))
    except FileNotFoundError:  # the program removed it
        return ()
    except OSError as error:
        return (f"cannot search {folder} for set-id bits: {error.strerror}",)
    if not left:
        return ()
    return (
        f"{left} of the program's files keep a set-id bit, because they belong to another user",
    )


def _strip_all(folder: Path) -> Iterator[bool]:
    for _, folders, files, descriptor in os.fwalk(folder, follow_symlinks=False):
        for name in (*folders, *files, "."):
            yield not _strip(name, descriptor)


def _strip(name: str, folder: int) -> bool:
    """Remove the bits from one name in an open folder; return whether none is left."""
    try:
        mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
        if mode & _SET_ID and not stat.S_ISLNK(mode):
            os.chmod(name, stat.S_IMODE(mode) & ~_SET_ID, dir_fd=folder)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True
