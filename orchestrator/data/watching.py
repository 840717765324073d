"""How long-running work says how far it is."""

from __future__ import annotations

from typing import Protocol


class Watcher(Protocol):
    """What is told how work goes on."""

    def begin(self, what: str, total: int) -> None:
        """Start to count up to `total`."""

    def advance(self) -> None:
        """Count one."""

    def note(self, text: str) -> None:
        """Say a fact that is not part of the progress."""
