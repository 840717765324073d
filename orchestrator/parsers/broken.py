"""Finds numbers at the end of a line that continue in the next one."""

from __future__ import annotations

import re

from orchestrator.parsers.lines import clean
from orchestrator.parsers.numbers import Line
from orchestrator.parsers.run import Run

_LONGEST = 120  # bytes to check after a line
_ENDS = re.compile(rb"\r\n|\r|\n")
_FRAGMENT = re.compile(rb"(?=[^.\d]*[.\d])[-+.\deE]{1,40}[,;]?")
_NUMBER_AT_END = re.compile(r"[\d.],?$")


class BrokenNumbers:
    """Checks the line after one that ends in a number; a run whose number continues is refused."""

    def __init__(self) -> None:
        self._block = b""
        self._place = 0
        self._pending: tuple[Run, Line] | None = None
        self._text = b""

    def feed(self, block: bytes) -> None:
        """Add the next block of the log, before its lines are read."""
        self._block, self._place = block, 0
        if self._pending is not None:
            self._take(block)

    def watch(self, raw: bytes, run: Run, line: Line) -> None:
        """Check what follows a line of the current block, if it ends in a number."""
        if not line.ended or _NUMBER_AT_END.search(line.text) is None:
            return
        at = self._block.find(raw, self._place)
        first_end = _ENDS.search(self._block)
        # A line that began in an earlier block extends to the first line end.
        end = at + len(raw) if at >= 0 else first_end.start() if first_end else 0
        self._place = end
        self._pending, self._text = (run, line), b""
        self._take(self._block[end : end + _LONGEST])

    def finish(self) -> None:
        """Judge the last line by what there is of it."""
        if self._pending is not None:
            self._take(b"\n\n\n")

    def _take(self, text: bytes) -> None:
        self._text += text[: _LONGEST - len(self._text)]
        lines = _ENDS.split(self._text, 2)
        if self._pending is None or (len(lines) < 3 and len(self._text) < _LONGEST):
            return
        run, line = self._pending
        self._pending = None
        if len(lines) > 1 and _FRAGMENT.fullmatch(clean(lines[1])):
            run.fail("the number at the end of a line seems to continue in the next line", line)
