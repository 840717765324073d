"""Shows how far long work is: a bar on a terminal, a line every half minute elsewhere."""

from __future__ import annotations

import shutil
import time
from typing import TextIO

from orchestrator import ui
from orchestrator.ui.plain import EVERY_SECONDS
from orchestrator.ui.text import Outlet, clean
from orchestrator.units import SECONDS, quantity

_EVERY = 0.2
_WIDTH = 30
_LONG = 120.0


class Bar:
    """The progress of one command on standard error. `quiet` shows only notes."""

    def __init__(self, stream: TextIO, *, quiet: bool = False) -> None:
        self._outlet = Outlet(stream)
        self._draws = ui.is_capable(stream)
        self._quiet = quiet
        self._what, self._total, self._done = "", 0, 0
        self._start = self._shown = time.monotonic()

    def begin(self, what: str, total: int) -> None:
        """Start to count up to `total` samples."""
        self._what, self._total, self._done = what, total, 0
        self._start = self._shown = time.monotonic()

    def advance(self) -> None:
        """Count one sample."""
        self._done += 1
        now = time.monotonic()
        every = _EVERY if self._draws else EVERY_SECONDS
        if not self._quiet and (now - self._shown >= every):
            self._shown = now
            self._show(now - self._start)

    def note(self, text: str) -> None:
        """Print a line."""
        self.clear()
        self._outlet.line(clean(text))

    def clear(self) -> None:
        """Remove the bar from the terminal."""
        if self._draws and not self._quiet:
            self._outlet.write("\r\x1b[K")
            self._outlet.flush()

    def _show(self, seconds: float) -> None:
        text = f"{self._what} {self._done:,} of {self._total:,}"
        rate = self._done / seconds
        left = (self._total - self._done) / rate
        soon = f"{left:.0f} s" if left < _LONG else quantity(left, SECONDS)
        text += f", {rate:,.0f} per second, {soon} left"
        if not self._draws:
            self._outlet.line(text)
            return
        filled = _WIDTH * self._done // max(1, self._total)
        bar = "#" * filled + "." * (_WIDTH - filled)
        room = shutil.get_terminal_size().columns - 1
        self._outlet.write(f"\r\x1b[K{f'[{bar}] {text}'[:room]}")
        self._outlet.flush()
