"""Finds the line of a log that a text came from."""

from __future__ import annotations

import re
from collections.abc import Iterable

from orchestrator.parsers.lines import printable, without_colours

_LONGEST = 300
# Characters of a line that may have had another form: tabs, control characters and invalid UTF-8.
_CHANGED = re.compile("  +|\N{REPLACEMENT CHARACTER}+")


def last_line_with(text: str, blocks: Iterable[bytes]) -> tuple[int, str] | None:
    """Return number and text of the last line that contains a text as `printable` shows it."""
    needle = max(_CHANGED.split(text), key=len).encode()
    if not needle:
        return None
    number, before, found = 1, b"", None
    for block in blocks:
        *lines, rest = (before + block).rpartition(b"\n")
        whole = b"".join(lines)
        found = _last(needle, whole, number) or found
        number += whole.count(b"\n")
        before = rest
    return _last(needle, before, number) or found


def _last(needle: bytes, text: bytes, number: int) -> tuple[int, str] | None:
    place = text.rfind(needle)
    if place < 0:
        return None
    begin = text.rfind(b"\n", 0, place) + 1
    end = text.find(b"\n", place)
    line = text[begin : end if end >= 0 else len(text)][: 4 * _LONGEST]
    shown = printable(without_colours(line).rstrip())[:_LONGEST]
    return number + text.count(b"\n", 0, place), shown
