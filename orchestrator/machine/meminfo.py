"""Reads the text of /proc/meminfo."""

from __future__ import annotations


def parse(text: str) -> dict[str, int]:
    """Parse the text of /proc/meminfo; sizes are returned in bytes, counts unchanged."""
    found = {}
    for line in text.split("\n"):
        key, _, value = line.partition(":")
        words = value.split()
        if words and words[0].isdigit():
            found[key] = int(words[0]) * (1024 if words[1:] == ["kB"] else 1)
    return found
