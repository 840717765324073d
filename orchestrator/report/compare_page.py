"""The page that compares: frameworks of a night, batches, devices, latency and energy."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from markupsafe import Markup

from orchestrator.report.stored import DAYS, Figures, Stored
from orchestrator.report.tables import Table
from orchestrator.results import curves, table_text
from orchestrator.results.pivot import LAYOUTS, Layout, Pivot, facts, pivot, why_unusable
from orchestrator.results.scaling import Measure
from orchestrator.results.summary import Summary
from orchestrator.results.table_text import TextTable
from orchestrator.run.deriving import SHARE
from orchestrator.ui.chart import svg
from orchestrator.ui.of_curves import chart
from orchestrator.units import BYTES, DIMENSIONLESS, PERCENT, SECONDS, quantity

_FEWEST_POINTS = 3
# A colour says how near a cell is to the best of its row, between these shares.
_FAINTEST = 0.4
_STRONGEST = 0.42  # of the colour, so that black and white text stay readable on it

_Runs = Sequence[Summary]


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A number, its share of the best in its row, and how strong its colour is."""

    text: str
    share: str
    strength: str


@dataclass(frozen=True, kw_only=True)
class Heat:
    """Networks by frameworks."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell | None, ...]], ...]


@dataclass(frozen=True, kw_only=True)
class Section:
    """Charts and DLBS's tables of one kind of exploration."""

    title: str
    said: str
    charts: tuple[Markup, ...]
    tables: tuple[Table, ...]
    notes: tuple[str, ...]


def context(stored: Stored) -> dict[str, Any]:
    """Return what the template needs."""
    usable = [run for run in stored.weeks if not why_unusable(run)]
    sections = [
        _section("Batches", "batch", "batch", "throughput", usable),
        _section("Devices, the batch per device fixed", "weak", "devices", "efficiency", usable),
        _section("Devices, the batch of all devices fixed", "strong", "devices", "speedup", usable),
    ]
    return {
        "why": stored.why,
        "days": DAYS,
        "heats": list(_heats(stored.tonight)),
        "sections": [one for one in sections if one is not None],
        "figures": _figures(stored.figures),
    }


def _heats(runs: _Runs) -> Iterator[Heat]:
    """Yield a table of networks by frameworks for each phase, type and number of devices."""

    def kind(run: Summary) -> tuple[str, ...]:
        return tuple(str(getattr(run, name)) for name in ("phase", "dtype", "device", "devices"))

    usable = sorted((run for run in runs if not why_unusable(run)), key=kind)
    for key, members in groupby(usable, key=kind):
        phase, dtype, device, devices = key
        found = pivot(members, Layout(column="framework", rows=("model", "batch")))
        where = device if devices == "1" else f"{devices} x {device}"
        yield Heat(
            caption=f"{phase.capitalize()}, {dtype}, {where}: samples/s"
            + (", and share of the best" if len(found.columns) > 1 else ""),
            columns=tuple(map(str, found.columns)),
            rows=tuple(_heat_row(found, row) for row in found.rows),
        )


def _heat_row(found: Pivot, row: tuple[str | int, ...]) -> tuple[str, tuple[Cell | None, ...]]:
    cells = [found.cell(row, column) for column in found.columns]
    best = max(cell.throughput for cell in cells if cell is not None)
    several = len(cells) > 1
    shown: list[Cell | None] = []
    for cell in cells:
        if cell is None:
            shown.append(None)
            continue
        share = cell.throughput / best
        strength = max(0.0, (share - _FAINTEST) / (1 - _FAINTEST)) * _STRONGEST
        shown.append(
            Cell(
                text=quantity(cell.throughput, DIMENSIONLESS),
                share=f"{share * 100:.0f} %" if several else "",
                strength=f"{strength * 100:.0f}%" if several else "0%",
            )
        )
    return f"{row[0]}, batch {row[1]}", tuple(shown)


def _section(title: str, by: str, x: str, y: Measure, runs: _Runs) -> Section | None:
    """Return what runs show over batches or devices; None if nothing was explored."""
    layout = LAYOUTS[by]
    explored = _explored(runs, layout)
    if not explored:
        return None
    found = pivot(explored, layout)
    return Section(
        title=title,
        said=table_text.common(found),
        charts=tuple(_charts(explored, layout, x, y)),
        tables=tuple(_table(one) for one in table_text.tables(found, by)),
        notes=(*table_text.notes(found), *table_text.count_note(found)),
    )


def _explored(runs: _Runs, layout: Layout) -> list[Summary]:
    """Return the runs of the rows that have enough columns."""
    columns: dict[tuple[str | int, ...], set[str | int]] = {}
    keyed = [(_key(run, layout), run) for run in runs]
    for (row, column), _ in keyed:
        columns.setdefault(row, set()).add(column)
    return [run for (row, _), run in keyed if len(columns[row]) >= _FEWEST_POINTS]


def _key(run: Summary, layout: Layout) -> tuple[tuple[str | int, ...], str | int]:
    known = facts(run) or {}
    return tuple(known[name] for name in layout.rows), known[layout.column]


def _charts(runs: _Runs, layout: Layout, x: str, y: Measure) -> Iterator[Markup]:
    """Yield a chart with a line per framework for each rest of the key."""
    rest = [name for name in layout.rows if name != "framework"]

    def kind(run: Summary) -> tuple[str, ...]:
        known = facts(run) or {}
        return tuple(str(known[name]) for name in rest)

    series = ("framework", "global_batch") if layout.scaling == "strong" else ("framework",)
    for _, members in groupby(sorted(runs, key=kind), key=kind):
        found = curves.cells(list(members), x, y, series)
        if lines := curves.curves(found, y, series):
            yield Markup(svg(chart(found, lines, x, y, series), styled=False))


def _table(told: TextTable) -> Table:
    return Table(
        caption=told.heading,
        titles=told.titles,
        rows=told.rows,
        right=told.right,
        captioned=False,
    )


# Title, name of the figure, and how it is written.
_COLUMNS: tuple[tuple[str, str, Callable[[float], str]], ...] = (
    ("median", "p50", lambda value: quantity(value, SECONDS)),
    ("99 %", "p99", lambda value: quantity(value, SECONDS)),
    ("energy per sample", "energy", lambda value: quantity(value, "J")),
    ("memory", "memory", lambda value: quantity(value, BYTES)),
    ("share of the ceiling", SHARE, lambda value: quantity(value, PERCENT)),
)


def _figures(told: Iterable[Figures]) -> Table | None:
    """Return latency and energy; columns that nothing is known of are left out."""
    rows = list(told)
    columns = [column for column in _COLUMNS if any(column[1] in row.values for row in rows)]
    if not columns:
        return None
    return Table(
        caption="Median and 99th percentile of the latency, else of the time of a step; medians "
        "over runs",
        titles=("what", "batch", "runs", *(title for title, _, _ in columns)),
        rows=tuple(
            (
                row.name,
                str(row.batch),
                str(row.runs),
                *(_written(row.values, name, write) for _, name, write in columns),
            )
            for row in rows
        ),
        right=tuple(range(1, 3 + len(columns))),
    )


def _written(values: Mapping[str, float], name: str, write: Callable[[float], str]) -> str:
    return write(values[name]) if name in values else ""
