"""Tables and lists: drawn by `rich` on a terminal, aligned plain text elsewhere.

A pipe imports nothing heavy, so `benchdock models | grep res` is instant.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from orchestrator import table
from orchestrator.ui import is_capable
from orchestrator.ui.text import clean

if TYPE_CHECKING:
    from orchestrator.doctor.finding import Finding


def print_table(
    titles: Sequence[str], rows: Sequence[Sequence[str]], *, right: Collection[int] = ()
) -> None:
    """Print rows under titles on standard output; `right` are columns aligned to the right."""
    safe = [[clean(cell) for cell in row] for row in rows]
    if not is_capable(sys.stdout):
        table.print_table(titles, safe, right=right)
        return
    from orchestrator.ui.drawn import draw_table

    draw_table(titles, safe, right=right)


def print_findings(findings: Sequence[Finding]) -> None:
    """Print the findings of `doctor`, each with the command that fixes it."""
    if is_capable(sys.stdout):
        from orchestrator.ui.drawn import draw_findings

        draw_findings(findings)
        return
    width = max((len(finding.name) for finding in findings), default=0)
    for finding in findings:
        print(f"{finding.state:<7}  {finding.name:<{width}}  {clean(finding.detail)}")
        if finding.remedy:
            print(f"{'':<7}  {'':<{width}}  fix: {clean(finding.remedy)}")
