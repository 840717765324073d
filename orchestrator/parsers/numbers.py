"""Lines of a log, and the numbers matched in them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from orchestrator.parsers.lines import printable

# C++ switches to scientific notation by itself; three-digit exponents and "1.#INF" come from
# Windows. What looks like a decimal comma or a version is not a number: better none than a guess.
NUMBER = (
    r"(?:[-+]?(?:(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d{1,3})?|nan|inf)"
    r"(?![\d.eEx_#]|,\d))"
)
# A number as printf writes it with a fixed number of decimals: with fewer it was cut off.
ONE_DECIMAL, TWO_DECIMALS, SIX_DECIMALS = (
    rf"(?:-?\d+\.\d{{{places}}}(?!\d)|-?nan|-?inf)" for places in (1, 2, 6)
)
# As Python writes a float.
DECIMAL = r"(?:-?\d+(?:\.\d+(?:e[-+]?\d{1,3})?|e[-+]?\d{1,3})(?![\d.eEx_#]|,\d)|-?nan|-?inf)"
COUNT = r"(?:\d{1,15}(?!\d|\.\d))"
SHOWN = 300


@dataclass(frozen=True, slots=True)
class Line:
    """A line without colours, rank prefix and trailing space; `number` counts from 1.

    `ended` is False for a last line without line end: a number at its end may be cut off. `follows`
    is True if there are only blank lines between it and the line that was taken before.
    """

    number: int
    text: str
    ended: bool = True
    follows: bool = False

    def evidence(self) -> list[int | str]:
        """Return line number and text, safe to show on a terminal."""
        return [self.number, printable(self.text[:SHOWN].encode("utf-8", "replace"))]


class Found:
    """A rule's match in a line."""

    def __init__(self, match: re.Match[str], line: Line) -> None:
        self.line = line
        self._match = match

    def has(self, group: str | int) -> bool:
        """Whether an optional group took part in the match."""
        return self._match[group] is not None

    def named(self, group: str) -> bool:
        """Whether the pattern has a group of that name."""
        return group in self._match.re.groupindex

    def text(self, group: str | int = 1) -> str:
        """Return a group's text, "" if it took no part."""
        return self._match[group] or ""

    def number(self, group: str | int = 1) -> float | None:
        """Return a group as a number (maybe nan or inf); None if absent, cut off or not one."""
        if self.cut(group):
            return None
        return as_number(self.text(group))

    def value(self, group: str | int = 1) -> float:
        """Return a group matched by NUMBER inside a pattern: it cannot be cut off."""
        return float(self.text(group))

    def count(self, group: str | int = 1) -> int:
        """Return a group matched by COUNT."""
        return int(self.text(group))

    def cut(self, group: str | int = 1) -> bool:
        """Whether the log ends within or right after a group, so that it may continue."""
        return not self.line.ended and self._match.end(group) == len(self.line.text)


_NUMBER = re.compile(NUMBER)


def as_number(text: str) -> float | None:
    """Return a whole text as a number; None if it is not one."""
    return float(text) if _NUMBER.fullmatch(text) else None
