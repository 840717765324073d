"""The numbers that a program printed, and the lines that prove them."""

from __future__ import annotations

from orchestrator.parsers.numbers import Line

MOST_EVIDENCE = 24


class Figures:
    """Printed numbers by name, each with its line."""

    def __init__(self) -> None:
        self.printed: dict[str, float] = {}
        self._taken: dict[str, Line] = {}
        self._evidence: list[Line] = []

    def replace(self, name: str, value: float | None, line: Line) -> None:
        """Store a printed number in place of an earlier one, if the program means it so."""
        if value is not None:
            self.printed[name] = value
            self._taken[name] = line

    def prefer(self, name: str, other: str) -> None:
        """Replace one taken number, with its line, by another."""
        self.printed[name] = self.printed[other]
        self._taken[name] = self._taken[other]

    def share(self, name: str, other: str, parts: int) -> None:
        """Replace one taken number, with its line, by a part of another."""
        self.printed[name] = self.printed[other] / parts
        self._taken[name] = self._taken[other]

    def prove(self, *names: str) -> None:
        """Show the lines of these taken numbers as evidence."""
        self._evidence += [self._taken[name] for name in names if name in self._taken]

    def remember(self, name: str, line: Line) -> None:
        """Remember a line with a fact, so that `prove` can show it as evidence."""
        self._taken.setdefault(name, line)

    def prove_by(self, *lines: Line) -> None:
        """Show these lines as evidence."""
        self._evidence += lines

    def evidence(self) -> list[list[int | str]]:
        """Return numbers and texts of the first and last lines that prove a figure."""
        lines = self._evidence
        if len(lines) > MOST_EVIDENCE:
            lines = [*lines[: MOST_EVIDENCE // 2], *lines[-MOST_EVIDENCE // 2 :]]
        return [line.evidence() for line in lines]
