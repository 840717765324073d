"""Keeps standard output from failing in the middle of a command, and remembers what was lost.

A reader that leaves (head, less), a full disk or a closed terminal must not change a command's
outcome.
"""

from __future__ import annotations

import errno
import io
import os
import select
import sys
from typing import IO, Any

# The reader has seen enough.
_LEFT = (errno.EPIPE, errno.ECONNRESET)


class _Faithful(io.RawIOBase):
    """Accepts everything for a stream; `lost` is the error after which it passes nothing on."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream  # which would close its descriptor if nothing kept a reference
        self._descriptor = stream.fileno()
        self.lost: OSError | None = None

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def write(self, block: Any) -> int:
        while self.lost is None:
            try:
                return os.write(self._descriptor, block)
            except BlockingIOError:  # the caller made the stream non-blocking
                select.select((), (self._descriptor,), ())
            except OSError as error:
                self.lost = error
        return len(block)


def open_streams() -> None:
    """Replace standard streams that the caller closed; let none fail on a character."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115
    out = sys.stdout
    if isinstance(out, io.TextIOWrapper):
        raw = _Faithful(out)
        lines = out.isatty() or out.line_buffering or out.write_through
        sys.stdout = io.TextIOWrapper(
            io.BufferedWriter(raw), encoding=out.encoding, line_buffering=lines
        )
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def lost() -> str | None:
    """Flush standard output; return why something was lost, None if all was written or nobody
    reads.
    """
    try:
        sys.stdout.flush()
        raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
        error = raw.lost if isinstance(raw, _Faithful) else None
    except OSError as failed:
        error = failed
    if error is None or error.errno in _LEFT:
        return None
    return error.strerror or str(error)
