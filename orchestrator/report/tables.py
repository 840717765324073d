"""A table of text, as the templates show it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows under titles; `right` are the columns with numbers, `tight` is as wide as its text.

    A table that is not `captioned` is under a title with the same words.
    """

    caption: str
    titles: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    right: tuple[int, ...] = ()
    tight: bool = True
    captioned: bool = True
