"""Lines of a chart from stored runs: one measure over batch or devices, a line per benchmark."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from orchestrator.errors import RequestError
from orchestrator.results import scaling
from orchestrator.results.pivot import GLOBAL_BATCH, KEYS, TITLES, Cell, Key, Layout, Pivot, pivot
from orchestrator.results.scaling import Measure
from orchestrator.results.summary import Summary

X = ("batch", "devices", GLOBAL_BATCH)
Y: tuple[Measure, ...] = ("throughput", "time", "speedup", "efficiency")
SERIES = (*KEYS, GLOBAL_BATCH)
# More lines, and nobody finds one in the legend.
MOST_CURVES = 8

XAxis = Literal["batch", "devices", "global_batch"]


@dataclass(frozen=True, kw_only=True)
class Point:
    """One benchmark: x and the median of its `runs`, with the smallest and largest if they count.

    Times are in seconds, throughputs in samples/s, the rest are ratios.
    """

    x: int
    y: float
    runs: int
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A line and the values of the series that it is of."""

    names: Key
    points: tuple[Point, ...]


def cells(runs: Iterable[Summary], x: str, y: Measure, series: Sequence[str]) -> Pivot:
    """Put runs into cells: a row is a line of the chart, a column a place on its x axis.

    Raises RequestError if the axes make no sense together, or if a line would mix benchmarks.
    """
    _check(x, y, series)
    known = {x, *series}
    rest = [key for key in KEYS if key not in known]
    if GLOBAL_BATCH in known:  # which says the batch or the devices if the other is known
        rest.remove("devices" if "batch" in known else "batch")
    strong = GLOBAL_BATCH in series
    layout = Layout(
        column=x,
        rows=(*series, *rest),
        scaling=("strong" if strong else "weak") if x == "devices" else None,
    )
    found = pivot(runs, layout)
    _refuse_mixed(found, rest, series)
    return found


def _check(x: str, y: Measure, series: Sequence[str]) -> None:
    if len(set(series)) < len(series):
        raise RequestError("--series names the same key twice", hint="name each key once")
    if x in series:
        raise RequestError(
            f"{x} cannot be the x axis and the series at once",
            hint=f"use --series with {', '.join(key for key in SERIES if key != x)}",
        )
    if {"batch", "devices", GLOBAL_BATCH} <= {x, *series}:
        raise RequestError(
            "batch, devices and global_batch say the same", hint="use only two of them"
        )
    if y == "efficiency" and x != "devices":
        raise RequestError(
            f"efficiency is over devices, not over {x}", hint="use --x devices, or --y speedup"
        )


def _refuse_mixed(found: Pivot, rest: Sequence[str], series: Sequence[str]) -> None:
    """Raise RequestError if runs differ in a key that neither axis nor series shows."""
    constant = found.constant()
    for key in rest:
        if not found.rows or key in constant:
            continue
        index = found.layout.rows.index(key)
        values = list(dict.fromkeys(str(row[index]) for row in found.rows))
        shown = ", ".join(values[:4]) + (", ..." if len(values) > 4 else "")
        only = f"--{key} {values[0]} or " if key != "devices" else ""
        raise RequestError(
            f"the runs also differ in {TITLES.get(key, key)} ({shown})",
            hint=f"use {only}--series {','.join((*series, key))}",
        )
    if len(found.rows) > MOST_CURVES:
        raise RequestError(
            f"{len(found.rows)} lines are too many for a chart, the maximum is {MOST_CURVES}",
            hint="choose fewer runs with --model, -f, --phase, --dtype or --batch",
        )


def curves(found: Pivot, y: Measure, series: Sequence[str]) -> list[Curve]:
    """Return the lines that have a point."""
    lines = []
    for row in scaling.table(found, y):
        points = [
            _point(found.cell(row.key, column), int(column), y, value)
            for column, value in zip(found.columns, row.values, strict=True)
            if value is not None
        ]
        if points:
            lines.append(Curve(names=row.key[: len(series)], points=tuple(points)))
    return lines


def _point(cell: Cell | None, x: int, y: Measure, value: float) -> Point:
    runs = cell.runs if cell else 1
    if cell is None or runs == 1 or y not in ("throughput", "time"):
        return Point(x=x, y=value, runs=runs)
    if y == "throughput":
        return Point(x=x, y=value, runs=runs, low=cell.low, high=cell.high)
    low, high = cell.samples / cell.high, cell.samples / cell.low
    return Point(x=x, y=value, runs=runs, low=low, high=high)
