"""Aligned plain tables, and tables in Markdown. Fast to import: `benchdock models` is instant."""

from __future__ import annotations

from collections.abc import Collection, Sequence


def print_table(
    titles: Sequence[str], rows: Sequence[Sequence[str]], *, right: Collection[int] = ()
) -> None:
    """Print rows under titles; `right` are the columns aligned to the right."""
    lines = [titles, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(titles))]
    for line in lines:
        cells = [
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        print("  ".join(cells).rstrip())


def markdown(
    titles: Sequence[str], rows: Sequence[Sequence[str]], *, right: Collection[int] = ()
) -> str:
    """Return a table in Markdown; `right` are the columns aligned to the right."""
    rule = ["---:" if column in right else "---" for column in range(len(titles))]
    return "".join(f"{markdown_line(cells)}\n" for cells in (titles, rule, *rows))


def markdown_line(cells: Sequence[str]) -> str:
    """Return one line of a table in Markdown."""
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
