"""The journal of a session: one JSON document per line, written before anything goes on.

Each line is on the disk before `append` returns. A line that a power cut tore is ignored: what it
would have said did not happen.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

from orchestrator.errors import MachineError, RequestError
from orchestrator.signals import held

SCHEMA = 1
# A line has some hundred bytes; a longer one is not of a journal.
_LONGEST = 64 * 1024


class Journal:
    """A journal that is open for appending."""

    def __init__(self, path: Path) -> None:
        self._path = path
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        try:
            self._descriptor = os.open(path, flags, 0o600)
            self._end_torn_line()
        except OSError as error:
            raise self._lost(error) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    def append(self, event: str, **told: Any) -> None:
        """Write an event. A signal waits until it is written. Raises MachineError."""
        line = json.dumps({"event": event, **told}, separators=(",", ":")) + "\n"
        with held():
            try:
                self._write(line.encode())
            except OSError as error:
                raise self._lost(error) from None

    def _write(self, data: bytes) -> None:
        while data:
            data = data[os.write(self._descriptor, data) :]
        os.fdatasync(self._descriptor)

    def _end_torn_line(self) -> None:
        size = os.fstat(self._descriptor).st_size
        if size and os.pread(self._descriptor, 1, size - 1) != b"\n":
            self._write(b"\n")

    def _lost(self, error: OSError) -> MachineError:
        return MachineError(
            f"cannot write {self._path}: {error.strerror}",
            hint="free some space, then use `benchdock suite --resume`",
        )


def read(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the events of a journal. Raises RequestError if a line in the middle is damaged."""
    damaged = 0
    try:
        with path.open("rb") as stream:
            for number, line in enumerate(iter(lambda: stream.readline(_LONGEST), b""), start=1):
                event = _event(line)
                if event is None:
                    damaged = damaged or number
                    continue
                # A resumed session begins with a line of its own, after the torn one.
                if damaged and event["event"] != "begin":
                    raise RequestError(f"{path}:{damaged}: this is not a line of a journal")
                damaged = 0
                yield event
    except FileNotFoundError:
        return
    except OSError as error:
        raise RequestError(f"cannot read {path}: {error.strerror}") from None


def _event(line: bytes) -> dict[str, Any] | None:
    """Return the event of a line, None if the line is torn."""
    if not line.endswith(b"\n"):
        return None
    try:
        told = json.loads(line)
    except ValueError:
        return None
    return told if isinstance(told, dict) and isinstance(told.get("event"), str) else None
