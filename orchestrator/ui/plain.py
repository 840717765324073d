"""Views without control codes, for pipes, files, and terminals that cannot draw."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TextIO

from orchestrator.progress import Progress
from orchestrator.ui import words
from orchestrator.ui.text import Outlet, clean

if TYPE_CHECKING:
    from orchestrator.result import Result

EVERY_SECONDS = 30.0
_LONGEST_LINE = 64 * 1024


def result_lines(result: Result, last_lines: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield a result as aligned lines that are safe to print."""
    yield words.title(result)
    found = words.rows(result, last_lines)
    width = max(len(label) for label, _ in found)
    before = ""
    for label, text in found:
        yield f"  {'' if label == before else label:<{width}}  {clean(text)}".rstrip()
        before = label


def print_result(result: Result, outlet: Outlet, last_lines: tuple[str, ...] = ()) -> None:
    """Print a result as aligned lines."""
    for line in result_lines(result, last_lines):
        outlet.line(line)


class SilentView:
    """Shows nothing; the caller reports the result."""

    def stage(self, text: str) -> None:
        """Say nothing."""

    def progress(self, progress: Progress) -> None:
        """Say nothing."""

    def output(self, block: bytes) -> None:
        """Say nothing."""

    def note(self, text: str) -> None:
        """Say nothing."""

    def result(self, result: Result) -> None:
        """Say nothing."""

    def close(self) -> None:
        """Do nothing: the streams belong to the caller."""


class QuietView:
    """Shows only the result."""

    def __init__(self, out: TextIO) -> None:
        self._out = Outlet(out)
        self._latest = Progress()

    def stage(self, text: str) -> None:
        """Say nothing."""

    def progress(self, progress: Progress) -> None:
        """Remember the last lines, in case the run fails."""
        self._latest = progress

    def output(self, block: bytes) -> None:
        """Say nothing."""

    def note(self, text: str) -> None:
        """Say nothing."""

    def result(self, result: Result) -> None:
        """Print the result."""
        print_result(result, self._out, self._latest.last_lines)

    def close(self) -> None:
        """Do nothing: the streams belong to the caller."""


class PlainView(QuietView):
    """Prints a line on `err` for each new stage and every 30 s, and the result on `out`."""

    def __init__(
        self, out: TextIO, err: TextIO, *, now: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(out)
        self._err = Outlet(err)
        self._now = now
        self._started = now()
        self._said_at = self._started
        self._said_stage = self._latest.stage

    def stage(self, text: str) -> None:
        """Print the new stage."""
        self._say(text)

    def progress(self, progress: Progress) -> None:
        """Print the progress, but not often."""
        self._latest = progress
        if progress.stage != self._said_stage or self._now() - self._said_at >= EVERY_SECONDS:
            self._say(words.progress_words(progress))

    def note(self, text: str) -> None:
        """Print the note."""
        self._say(text)

    def _say(self, text: str) -> None:
        self._said_at, self._said_stage = self._now(), self._latest.stage
        self._err.line(f"[{words.clock(self._said_at - self._started)}] {clean(text)}")


class VerboseView(PlainView):
    """Passes the program's output through: unchanged into a pipe, made safe on a terminal."""

    def __init__(
        self, out: TextIO, err: TextIO, *, now: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(out, err, now=now)
        self._unfinished = b""

    def output(self, block: bytes) -> None:
        """Pass a piece of the log through."""
        if not self._err.isatty():
            self._err.write_bytes(block)
            return
        *lines, self._unfinished = (self._unfinished + block).split(b"\n")
        for line in lines:
            self._err.line(line.decode("utf-8", "replace"))
        if len(self._unfinished) > _LONGEST_LINE:
            self._end_line()

    def close(self) -> None:
        """Print the last line, even if it is incomplete."""
        self._end_line()

    def result(self, result: Result) -> None:
        """Print the result; the last lines of the log are above already."""
        self._end_line()
        print_result(result, self._out)

    def _end_line(self) -> None:
        if self._unfinished:
            self._err.line(self._unfinished.decode("utf-8", "replace"))
            self._unfinished = b""
