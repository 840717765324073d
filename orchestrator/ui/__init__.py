"""What the user sees. Only `live` and `drawn` import `rich`, and only on a terminal."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from orchestrator.view import View


# If it is narrower, `rich` cuts words to letters; with COLUMNS=0 they vanish.
NARROWEST = 40


def is_capable(stream: TextIO) -> bool:
    """Whether a stream is a terminal that can be drawn on: it has a cursor and is wide enough."""
    named = os.environ.get("TERM", "dumb") not in ("dumb", "unknown", "")
    return stream.isatty() and named and _columns(stream) >= NARROWEST


def _columns(stream: TextIO) -> int:
    """Return a terminal's width as `rich` sees it: 80 if the terminal does not report one."""
    told = os.environ.get("COLUMNS", "")
    if told.isdecimal():
        return int(told)
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except OSError:
        return 80


def choose(*, quiet: bool = False, verbose: bool = False, result_on_stdout: bool = True) -> View:
    """Return the view for these streams. Progress and notes go to standard error.

    `result_on_stdout` is false if standard output is for a JSON document.
    """
    out, err = sys.stdout if result_on_stdout else sys.stderr, sys.stderr
    if not quiet and not verbose and is_capable(err):
        from orchestrator.ui.live import LiveView

        return LiveView(out, err)
    from orchestrator.ui.plain import PlainView, QuietView, VerboseView

    if quiet:
        return QuietView(out)
    return VerboseView(out, err) if verbose else PlainView(out, err)
