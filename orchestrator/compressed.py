"""Files of old runs that are compressed to `NAME.gz`, and read as if they were not.

gzip, because every machine has zless and zgrep; the logs here shrink to between 3 and 20 %.
"""

from __future__ import annotations

import errno
import gzip
import os
import shutil
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from orchestrator.paths import written_aside

ENDING = ".gz"

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def name_of(path: Path) -> Path:
    """Return the name of a file's compressed copy."""
    return path.with_name(path.name + ENDING)


def here(path: Path) -> Path | None:
    """Return the file, or its compressed copy if only that exists; None without either."""
    return next((one for one in (path, name_of(path)) if os.path.lexists(one)), None)


def compress(path: Path) -> bool:
    """Replace a regular file by its compressed copy; whether there was one. Raises OSError.

    Killed at any moment, it leaves the file, the copy, or both. The copy has the file's times and
    permissions, and equal files have equal copies. A link that a program left is not followed.
    """
    if not path.is_file() or path.is_symlink():
        return False
    source = _regular(path)
    with os.fdopen(source, "rb") as stream:
        about = os.fstat(source)
        with written_aside(name_of(path)) as target:
            os.fchmod(target.fileno(), stat.S_IMODE(about.st_mode))
            with gzip.GzipFile("", "wb", 6, target, mtime=0) as packed:
                shutil.copyfileobj(stream, packed, 2**20)
            target.flush()
            os.utime(target.fileno(), ns=(about.st_atime_ns, about.st_mtime_ns))
    path.unlink()
    return True


class UnreadableError(OSError):
    """A file that cannot be read; `strerror` says why, also of damage."""


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a regular file or its compressed copy, as if it were not compressed.

    A link that a program left is not followed. Raises UnreadableError.
    """
    found = here(path) or path
    with os.fdopen(_regular(found), "rb") as stream:
        if found == path:
            yield stream
        else:
            with _decompressed(stream, found) as plain:
                yield plain


def _regular(path: Path) -> int:
    """Open a regular file and return its descriptor. Raises UnreadableError."""
    try:
        descriptor = os.open(path, _READ)
    except OSError as error:
        raise UnreadableError(error.errno, error.strerror, str(path)) from None
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise UnreadableError(errno.EINVAL, "it is not a regular file", str(path))


def size(stream: BinaryIO, largest: int) -> int:
    """Return the bytes in an opened stream, or `largest` + 1 if there are more."""
    if isinstance(stream, gzip.GzipFile):
        found = stream.seek(largest + 1)
        stream.seek(0)
        return found
    return min(os.fstat(stream.fileno()).st_size, largest + 1)


@contextmanager
def _decompressed(stream: BinaryIO, path: Path) -> Iterator[BinaryIO]:
    """Read through a compressed stream, that of the file `path`. Raises UnreadableError."""
    try:
        with gzip.GzipFile(fileobj=stream) as plain:
            yield cast("BinaryIO", plain)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UnreadableError(errno.EINVAL, f"it is damaged: {error}", str(path)) from None
