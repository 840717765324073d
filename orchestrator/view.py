"""What a run tells a person while it goes on. The implementations are in `orchestrator.ui`."""

from __future__ import annotations

from typing import Protocol

from orchestrator.parsers.contract import Progress
from orchestrator.result import Result


class View(Protocol):
    """Shows a run. No method raises because of the terminal, and none waits for it."""

    def stage(self, text: str) -> None:
        """Say what begins now, such as "starting the container"."""

    def progress(self, progress: Progress) -> None:
        """Take the newest progress; cheap enough to be called at every look at the log."""

    def output(self, block: bytes) -> None:
        """Take a piece of the program's own output, verbatim."""

    def note(self, text: str) -> None:
        """Say something that must stay to be read."""

    def result(self, result: Result) -> None:
        """Show what came of the run."""

    def close(self) -> None:
        """Give the terminal back as it was; may be called twice."""
