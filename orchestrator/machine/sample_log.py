"""The file `monitor.jsonl`: one JSON document per line, written by several threads."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from io import TextIOBase
from pathlib import Path

SCHEMA = 1
_ENCODER = json.JSONEncoder(separators=(",", ":"))


class SampleLog:
    """Writes samples until the disk refuses; that is a warning, once."""

    def __init__(self, path: Path, warn: Callable[[str], None]) -> None:
        self._path = path
        self._warn = warn
        self._lock = threading.Lock()
        self._started = time.monotonic()
        self._file: TextIOBase | None = None

    def open(self, units: Mapping[str, str]) -> None:
        """Create the file with its first line."""
        try:
            self._file = self._path.open("a", encoding="ascii")
        except OSError as error:
            self._stop(error)
        # `monotonic` is what our programs print as the end of a block of steps.
        self.write(
            {"schema": SCHEMA, "started": time.time(), "monotonic": self._started, "units": units}
        )

    def line(
        self, stage: str, at: float, values: Mapping[str, object], *, flush: bool = True
    ) -> None:
        """Write the samples of a moment of the monotonic clock."""
        self.write({"t": round(at - self._started, 3), "stage": stage, **values}, flush=flush)

    def write(self, document: Mapping[str, object], *, flush: bool = True) -> None:
        """Write a document; without `flush` it may wait for the next one that is flushed."""
        text = _ENCODER.encode(document) + "\n"
        with self._lock:
            if self._file is None:
                return
            try:
                self._file.write(text)
                if flush:
                    self._file.flush()
            except OSError as error:
                self._stop(error)

    def close(self) -> None:
        """Close the file; harmless if called twice."""
        with self._lock:
            file, self._file = self._file, None
            _close_quietly(file)

    def _stop(self, error: OSError) -> None:
        self._warn(f"{self._path.name} is incomplete: {error.strerror or error}")
        file, self._file = self._file, None
        _close_quietly(file)


def _close_quietly(file: TextIOBase | None) -> None:
    """Close a file whose loss has been reported already: closing flushes, and fails once more."""
    if file is None:
        return
    try:
        file.close()
    except OSError:
        return


def rounded(values: Mapping[str, object]) -> dict[str, object]:
    """Leave out unknown values; four digits are enough for a share."""
    return {
        key: round(value, 4) if isinstance(value, float) else value
        for key, value in values.items()
        if value is not None and value not in ((), {})
    }
