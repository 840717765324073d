"""DLBS's four tables: batch time, throughput, speed-up and efficiency.

The definitions are those of its `bench_data.py report` and `summary_builder.py`: speed-up is the
throughput over that of the first column; efficiency is t1 / tN with the batch per device fixed
(weak scaling), and t1 / (N * tN) with the global batch fixed (strong scaling), where t is the time
of a step. Unlike there, an efficiency above 100 % is shown, nothing is cut to a whole number, and
the first column may have more than one device.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from orchestrator.results.pivot import Cell, Key, Pivot

Measure = Literal["time", "throughput", "speedup", "efficiency"]
Shown = Measure | Literal["neighbours"]  # in a table


@dataclass(frozen=True, kw_only=True)
class Row:
    """One measure of one row of cells; None if no run says it."""

    key: Key
    values: tuple[float | None, ...]


def measures(pivot: Pivot) -> tuple[Shown, ...]:
    """Return the measures that a table has: efficiency is defined for scaling only.

    Neighbours are how many of the machine's other GPUs were busy, if that is known: a GPU gets more
    power and cooling while the others rest.
    """
    usual: tuple[Shown, ...] = ("time", "throughput", "speedup")
    if not pivot.layout.scaling:
        return usual
    known = any(cell.neighbours is not None for cell in pivot.cells.values())
    return (*usual, "efficiency", "neighbours") if known else (*usual, "efficiency")


def table(pivot: Pivot, measure: Shown) -> Iterator[Row]:
    """Yield the rows of one of the tables; times in seconds, speed-up and efficiency as ratios."""
    for key in pivot.rows:
        cells = [pivot.cell(key, column) for column in pivot.columns]
        yield Row(
            key=key,
            values=tuple(
                _value(pivot, measure, cells[0], cell, column)
                for cell, column in zip(cells, pivot.columns, strict=True)
            ),
        )


def _value(
    pivot: Pivot, measure: Shown, first: Cell | None, cell: Cell | None, column: str | int
) -> float | None:
    if cell is None:
        return None
    match measure:
        case "time":
            return cell.time
        case "throughput":
            return cell.throughput
        case "speedup":
            return cell.throughput / first.throughput if first else None
        case "neighbours":
            return cell.neighbours
        case "efficiency":
            return _efficiency(pivot, first, cell, column) if first else None


def _efficiency(pivot: Pivot, first: Cell, cell: Cell, column: str | int) -> float | None:
    ratio = first.time / cell.time
    if pivot.layout.scaling == "weak":
        return ratio
    if pivot.layout.scaling == "strong":
        return ratio * int(pivot.columns[0]) / int(column)
    return None


def without_first(pivot: Pivot) -> int:
    """Return the number of rows without a run in the first column, so without speed-up."""
    return sum(pivot.cell(row, pivot.columns[0]) is None for row in pivot.rows)
