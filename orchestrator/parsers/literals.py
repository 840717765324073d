"""Finds text that every match of a regular expression contains, to skip other lines fast."""

from __future__ import annotations

import re

# One item of a pattern and its repetition; groups are found by their parentheses.
_ITEM = re.compile(
    r"(?P<plain>[^\\\[\](){}.^$*+?|])|(?P<escaped>\\[^\w\s])|\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|[.^$]",
    re.DOTALL,
)
_REPEAT = re.compile(r"[*?+]|\{\d*(?:,\d*)?\}")


def longest_literal(pattern: str) -> str:
    """Return the longest plain text at the start of a pattern's parts, "" if none is certain.

    Only text before the first group counts: what follows may be optional in many ways.
    """
    if "|" in pattern or "(?" in pattern.replace("(?P<", "(").replace("(?:", "("):
        return ""
    runs, place = [""], 0
    while (item := _ITEM.match(pattern, place)) is not None:
        place = item.end()
        repeat = _REPEAT.match(pattern, place)
        text = item["plain"] or (item["escaped"] or "")[1:]
        if text and repeat is None:
            runs[-1] += text
        else:
            runs.append("")
        place = repeat.end() if repeat else place
    return max(runs, key=len)
