"""Words and numbers of DLBS's four tables, for a terminal, Markdown and web pages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from orchestrator.results import scaling
from orchestrator.results.pivot import TITLES, Pivot
from orchestrator.results.scaling import Shown
from orchestrator.units import DIMENSIONLESS, PERCENT, counted, quantity

_MISSING = "-"
# Runs of one benchmark that differ by more than this were hardly measured under equal conditions.
_LARGEST_SPREAD = 1.1
_COUNTS = ("devices", "batch", "global_batch")


@dataclass(frozen=True, kw_only=True)
class TextTable:
    """One of the tables; `right` are the columns with numbers."""

    heading: str
    titles: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    right: tuple[int, ...]


def common(found: Pivot) -> str:
    """Say what all rows have in common, except the model; "" if nothing."""
    same = _common(found)
    return ", ".join(f"{title(key)} {value}" for key, value in same.items())


def _common(found: Pivot) -> dict[str, str | int]:
    return {key: value for key, value in found.constant().items() if key != "model"}


def tables(found: Pivot, by: str) -> Iterator[TextTable]:
    """Yield the tables; what all rows have in common is left out."""
    same = _common(found)
    keys = [key for key in found.layout.rows if key not in same]
    titles = (*map(title, keys), *map(str, found.columns))
    right = [n for n, key in enumerate(keys) if key in _COUNTS]
    right += range(len(keys), len(titles))
    for measure in scaling.measures(found):
        yield TextTable(
            heading=_heading(found, measure, by),
            titles=titles,
            rows=tuple(map(tuple, _cells(found, measure, keys))),
            right=tuple(right),
        )


def title(key: str) -> str:
    """Return the title of a column."""
    return TITLES.get(key, key)


def _heading(found: Pivot, measure: Shown, by: str) -> str:
    first = f"{title(found.layout.column)} {found.columns[0]}"
    step = "t(first) / t" if by == "weak" else "n(first) * t(first) / (n * t)"
    words = {
        "time": "Time of a step in ms",
        "throughput": "Throughput in samples/s",
        "speedup": f"Speed-up: throughput over that with {first}",
        "neighbours": "Other GPUs of the machine that were busy",
        "efficiency": f"Efficiency, {by} scaling: {step}",
    }
    per_device = " per device" if found.layout.column == "batch" else ""
    return f"{words[measure]}, by {title(found.layout.column)}{per_device}"


def _cells(found: Pivot, measure: Shown, keys: Sequence[str]) -> Iterator[list[str]]:
    for row in scaling.table(found, measure):
        named = dict(zip(found.layout.rows, row.key, strict=True))
        cells = []
        for column, value in zip(found.columns, row.values, strict=True):
            cell = found.cell(row.key, column)
            count = f" ({cell.runs})" if cell and cell.runs > 1 and measure == "throughput" else ""
            cells.append(_MISSING if value is None else _number(measure, value) + count)
        yield [*(str(named[key]) for key in keys), *cells]


def _number(measure: Shown, value: float) -> str:
    match measure:
        case "time":
            return quantity(value * 1000, DIMENSIONLESS)
        case "efficiency":
            return quantity(value * 100, PERCENT)
        case "throughput" | "speedup" | "neighbours":
            return quantity(value, DIMENSIONLESS)


def count_note(found: Pivot) -> Iterator[str]:
    """Yield what a number in brackets is, if there is one."""
    if any(cell.runs > 1 for cell in found.cells.values()):
        yield "(n) is the number of runs, of which a cell shows the median"


def notes(found: Pivot) -> Iterator[str]:
    """Yield what a reader must know of the tables."""
    for why, count in found.left_out.items():
        yield f"{counted(count, 'run')} not in the tables: {why}"
    uneven = sum(cell.high > _LARGEST_SPREAD * cell.low for cell in found.cells.values())
    if uneven:
        yield (
            f"the runs of {counted(uneven, 'cell')} differ by more than 10 %; `benchdock compare` "
            "shows how two runs differ"
        )
    if rows := scaling.without_first(found):
        yield (
            f"{counted(rows, 'line')} without a run with {title(found.layout.column)} "
            f"{found.columns[0]}, so without a speed-up"
        )
