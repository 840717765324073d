"""Keeps the traceback of a bug of ours in a file that can be pasted into an issue."""

from __future__ import annotations

import platform
import sys
import tempfile
import traceback
from pathlib import Path

from orchestrator.version import VERSION


def report_bug() -> str:
    """Write the exception being handled to a file and return the one line for the user."""
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
        where = f"; details are in {Path(stream.name)}, please report them"
    except OSError:
        where = f"; details could not be written\n{text}"
    return f"this is a bug of benchdock: {type(error).__name__}: {error}{where}"
