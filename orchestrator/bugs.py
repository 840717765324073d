"""Saves the traceback of a bug in benchdock to a file that can be pasted into an issue."""

from __future__ import annotations

import platform
import sys
import tempfile
import traceback
from pathlib import Path

from orchestrator.version import VERSION


def report_bug() -> str:
    """Write the current exception to a file and return one line for the user."""
    error = sys.exc_info()[1]
    text = (
        f"benchdock {VERSION}, Python {platform.python_version()}, {platform.platform()}\n"
        f"{traceback.format_exc()}"
    )
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="benchdock-bug-", suffix=".txt", delete=False, encoding="utf-8"
        ) as stream:
            stream.write(text)
        where = f"; please report it with the details in {Path(stream.name)}"
    except OSError:
        where = f"; the details could not be written\n{text}"
    return f"this is a bug in benchdock: {type(error).__name__}: {error}{where}"
