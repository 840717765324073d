"""What a session shows: a moving picture on a terminal, a line per run elsewhere."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

from orchestrator import ui
from orchestrator.errors import MachineError
from orchestrator.progress import Progress as RunProgress
from orchestrator.result import Result
from orchestrator.suites.session import Progress
from orchestrator.suites.state import Ended
from orchestrator.suites.turns import Turn
from orchestrator.ui.plain import SilentView
from orchestrator.ui.text import Outlet, clean
from orchestrator.units import SAMPLES_PER_SECOND, SECONDS, quantity
from orchestrator.view import View


class OneRun:
    """The view of one run in a session: its stages are under the session's progress."""

    def __init__(self, inner: View, heading: str) -> None:
        self._inner = inner
        self._heading = heading
        inner.stage(heading)

    def stage(self, text: str) -> None:
        """Show what begins now, after where the session is."""
        self._inner.stage(f"{self._heading}: {text}")

    def progress(self, progress: RunProgress) -> None:
        """Show the run's progress."""
        self._inner.progress(progress)

    def output(self, block: bytes) -> None:
        """Show nothing: the log is in the run's folder."""

    def note(self, text: str) -> None:
        """Show nothing: the same notes would come for each run, and they are in its result."""

    def result(self, result: Result) -> None:
        """Show nothing: the session has a line for it."""

    def close(self) -> None:
        """Remove the moving lines."""
        self._inner.close()


class SessionLines:
    """Prints a line for each run, and writes it to the session's log.

    If it is quiet, it prints only failures and notes; if it is silent, nothing.
    """

    def __init__(self, log: Path, *, quiet: bool, silent: bool = False) -> None:
        self._err = Outlet(sys.stderr)
        self._quiet = quiet
        self._silent = silent
        self._moving = not (quiet or silent) and ui.is_capable(sys.stderr)
        try:
            self._stream = log.open("a", encoding="utf-8")
        except OSError as error:
            raise MachineError(f"cannot write {log}: {error.strerror}") from None
        self._log = Outlet(self._stream)

    def close(self) -> None:
        """Close the session's log."""
        with suppress(OSError):  # a full disk; the journal is the truth
            self._stream.close()

    def turn(self, turn: Turn, progress: Progress) -> View:
        """Show a run that starts."""
        if not self._moving:
            return SilentView()
        return OneRun(ui.choose(), heading(turn, progress))

    def ended(self, turn: Turn, end: Ended, progress: Progress) -> None:
        """Print how a run ended."""
        text = f"{place(progress)} {titled(turn)}: {outcome(end)}"
        self._say(text, shown=not self._quiet or end.status == "failed")

    def note(self, text: str) -> None:
        """Print a note."""
        self._say(text, shown=True)

    def _say(self, text: str, *, shown: bool) -> None:
        self._log.line(text)
        if shown and not self._silent:
            self._err.line(text)


def place(progress: Progress) -> str:
    """Return the run's number of all."""
    return f"{progress.number}/{progress.total}"


def titled(turn: Turn) -> str:
    """Return which run it is."""
    again = f", pass {turn.round}" if turn.round > 1 else ""
    return clean(f"{turn.cell.title}{again}")


def heading(turn: Turn, progress: Progress) -> str:
    """Return where a session is: what runs, the time left, failures, and what comes next."""
    words = [f"{place(progress)} {titled(turn)}"]
    if progress.left:
        words.append(f"{quantity(progress.left, SECONDS)} left")
    if progress.failed:
        words.append(f"{progress.failed} failed")
    if progress.coming is not None:
        words.append(f"next {titled(progress.coming)}")
    return " | ".join(words)


def outcome(end: Ended) -> str:
    """Return how a run ended, in words."""
    match end.status:
        case "ok":
            told = end.throughput
            figure = quantity(told, SAMPLES_PER_SECOND) if told is not None else "measured"
            return f"{figure}, {quantity(end.seconds, SECONDS)}"
        case "failed":
            return f"failed ({end.kind}): {end.message}"
        case "skipped":
            return f"skipped: {end.message}"
