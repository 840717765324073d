"""Tables and lists as `rich` draws them on a terminal. Slow to import (0.1 s)."""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table
from rich.text import Text

from orchestrator.ui.live import console
from orchestrator.ui.text import Outlet, clean

if TYPE_CHECKING:
    from orchestrator.doctor import Finding

_COLOURS = {"ok": "green", "warning": "yellow", "missing": "red"}


def draw_table(
    titles: Sequence[str], rows: Sequence[Sequence[str]], *, right: Collection[int] = ()
) -> None:
    """Print rows, already made safe, under titles; long cells are folded."""
    drawn = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for column, name in enumerate(titles):
        drawn.add_column(name, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        drawn.add_row(*(Text(cell) for cell in row))
    console(Outlet(sys.stdout)).print(drawn)


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
