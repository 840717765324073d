"""Draws tables and lists with `rich` on a terminal. Slow to import (0.1 s)."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from orchestrator.table import print_table
from orchestrator.ui.live import console
from orchestrator.ui.text import Outlet, clean

if TYPE_CHECKING:
    from orchestrator.doctor.finding import Finding

# Shorter cells stay on one line.
_WORTH_FOLDING = 24
_GAP = "  "
_COLOURS = {"ok": "green", "warning": "yellow", "missing": "red"}


def draw_table(
    titles: Sequence[str], rows: Sequence[Sequence[str]], *, right: Collection[int] = ()
) -> None:
    """Print rows, already made safe, under titles; long cells are folded between words.

    If the terminal is too narrow for that, print each cell on a line: nobody can read a column that
    is a few letters wide.
    """
    columns = list(zip(titles, *rows, strict=True))
    screen = console(Outlet(sys.stdout))
    widths = _widths(columns, screen.width)
    if widths is None:
        print_table(titles, rows, right=right)
        return
    rule = "-" if screen.options.ascii_only else "\u2500"
    screen.print(Text(_line(titles, widths, right), style="bold"), soft_wrap=True)
    screen.print(_GAP.join(rule * width for width in widths), soft_wrap=True)
    for row in rows:
        folded = [_folded(cell, width, screen) for cell, width in zip(row, widths, strict=True)]
        for cells in itertools.zip_longest(*folded, fillvalue=""):
            screen.print(Text(_line(cells, widths, right)), soft_wrap=True)


def _widths(columns: Sequence[Sequence[str]], width: int) -> list[int] | None:
    """Return the columns' widths, or None if they do not fit. Short cells and words stay whole."""
    widest = [max(map(cell_len, cells)) for cells in columns]
    narrowest = [
        width if width <= _WORTH_FOLDING else _longest_word(cells)
        for cells, width in zip(columns, widest, strict=True)
    ]
    spare = width - len(_GAP) * (len(columns) - 1) - sum(narrowest)
    if spare < 0:
        return None
    wanted = sum(widest) - sum(narrowest)
    return [
        low + (high - low) * min(spare, wanted) // max(wanted, 1)
        for low, high in zip(narrowest, widest, strict=True)
    ]


def _longest_word(cells: Sequence[str]) -> int:
    return max((cell_len(word) for cell in cells for word in cell.split()), default=0)


def _folded(cell: str, width: int, screen: Console) -> list[str]:
    return [line.plain.rstrip() for line in Text(cell).wrap(screen, width, overflow="fold")]


def _line(cells: Sequence[str], widths: Sequence[int], right: Collection[int]) -> str:
    padded = []
    for column, (cell, width) in enumerate(zip(cells, widths, strict=True)):
        blank = " " * (width - cell_len(cell))
        padded.append(blank + cell if column in right else cell + blank)
    return _GAP.join(padded).rstrip()


def draw_findings(findings: Sequence[Finding]) -> None:
    """Print the findings of `doctor`, each with the command that fixes it."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(style="bold", overflow="fold")
    grid.add_column(overflow="fold")
    for finding in findings:
        state = Text(finding.state, style=_COLOURS[finding.state])
        grid.add_row(state, Text(finding.name), Text(clean(finding.detail)))
        if finding.remedy:
            grid.add_row("", "", Text(f"fix: {clean(finding.remedy)}", style="cyan"))
    console(Outlet(sys.stdout)).print(grid)
