"""What a run shows while it goes on. The implementations are in `orchestrator.ui`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from orchestrator.progress import Progress
    from orchestrator.result import Result


class View(Protocol):
    """Shows a run. No method raises because of the terminal, and none waits for it."""

    def stage(self, text: str) -> None:
        """Show what begins now, such as "starting the container"."""

    def progress(self, progress: Progress) -> None:
        """Show the newest progress; cheap enough to be called whenever the log is read."""

    def output(self, block: bytes) -> None:
        """Show a piece of the program's output, unchanged."""

    def note(self, text: str) -> None:
        """Show a note that stays visible."""

    def result(self, result: Result) -> None:
        """Show the result."""

    def close(self) -> None:
        """Restore the terminal; may be called twice."""
