"""Tables and lists as `rich` draws them on a terminal. Slow to import (0.1 s)."""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from orchestrator.table import print_table
from orchestrator.ui.live import console
from orchestrator.ui.text import Outlet, clean

if TYPE_CHECKING:
    from orchestrator.doctor import Finding

# Cells that are shorter stay in one line.
_WORTH_FOLDING = 24
_GAP = "  "
_PLAIN_HEAD = box.Box("    \n    \n -- \n" + "    \n" * 5, ascii=True)
_COLOURS = {"ok": "green", "warning": "yellow", "missing": "red"}


def draw_table(
    titles: Sequence[str], rows: Sequence[Sequence[str]], *, right: Collection[int] = ()
) -> None:
    """Print rows, already made safe, under titles; long cells are folded between words.

    Where the terminal is too narrow for that, lines go on below: a column a few letters wide is
    read by nobody.
    """
    columns = list(zip(titles, *rows, strict=True))
    screen = console(Outlet(sys.stdout))
    if sum(map(_narrowest, columns)) + len(_GAP) * (len(columns) - 1) > screen.width:
        print_table(titles, rows, right=right)
        return
    drawn = Table(
        box=_PLAIN_HEAD if screen.options.ascii_only else box.SIMPLE_HEAD,
        header_style="bold",
        show_edge=False,
        padding=(0, len(_GAP) - 1, 0, 0),
    )
    for number, column in enumerate(columns):
        drawn.add_column(
            column[0],
            justify="right" if number in right else "left",
            overflow="fold",
            min_width=_narrowest(column),
        )
    for row in rows:
        drawn.add_row(*(Text(cell) for cell in row))
    screen.print(drawn)


def _narrowest(cells: Sequence[str]) -> int:
    """Return the width below which a column could not be read: short cells and words stay whole."""
    widest = max(map(cell_len, cells))
    if widest <= _WORTH_FOLDING:
        return widest
    return max(cell_len(word) for cell in cells for word in cell.split())


def draw_findings(findings: Sequence[Finding]) -> None:
    """Print what `doctor` found, and under each thing missing the command that mends it."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(style="bold", overflow="fold")
    grid.add_column(overflow="fold")
    for finding in findings:
        state = Text(finding.state, style=_COLOURS[finding.state])
        grid.add_row(state, Text(finding.name), Text(clean(finding.detail)))
        if finding.remedy:
            grid.add_row("", "", Text(f"mend: {clean(finding.remedy)}", style="cyan"))
    console(Outlet(sys.stdout)).print(grid)
