"""Puts stored runs into cells by what ran: rows by columns, as DLBS's reports do.

Everything that tells benchmarks apart is in the key of a cell, so that a number never stands for
another framework or number type.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from orchestrator.results.summary import Summary
from orchestrator.stats import median
from orchestrator.units import SAMPLES_PER_SECOND

# What tells benchmarks apart, in the order of a table's columns.
KEYS = ("model", "framework", "phase", "dtype", "device", "devices", "batch")
# The samples of all devices in one step: `batch` is per device.
GLOBAL_BATCH = "global_batch"
TITLES = {GLOBAL_BATCH: "global batch"}

NOBODY: Mapping[str, float] = {}

Scaling = Literal["weak", "strong"]
Key = tuple[str | int, ...]


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What the columns of a table are, and whether they show weak or strong scaling."""

    column: str
    rows: tuple[str, ...]
    scaling: Scaling | None = None


def _without(*names: str, add: tuple[str, ...] = ()) -> tuple[str, ...]:
    return (*(key for key in KEYS if key not in names), *add)


LAYOUTS: Mapping[str, Layout] = {
    "batch": Layout(column="batch", rows=_without("batch")),
    "weak": Layout(column="devices", rows=_without("devices"), scaling="weak"),
    "strong": Layout(
        column="devices", rows=_without("devices", "batch", add=(GLOBAL_BATCH,)), scaling="strong"
    ),
    **{
        name: Layout(column=name, rows=_without(name))
        for name in ("framework", "model", "dtype", "device")
    },
}


@dataclass(frozen=True, kw_only=True)
class Cell:
    """The runs of one benchmark: `samples` per step of all devices; the median, smallest and
    largest throughput, in samples/s. `neighbours` is how many other GPUs of the machine were busy,
    the median of the runs that know it.
    """

    runs: int
    samples: int
    throughput: float
    low: float
    high: float
    neighbours: float | None = None

    @property
    def time(self) -> float:
        """Return the seconds of a step at the median throughput."""
        return self.samples / self.throughput


@dataclass(frozen=True, kw_only=True)
class Pivot:
    """Cells by row and column, both sorted; rows and columns have at least one cell.

    `left_out` counts the runs that are in no cell by the reason.
    """

    layout: Layout
    columns: tuple[str | int, ...]
    rows: tuple[Key, ...]
    cells: Mapping[tuple[Key, str | int], Cell]
    left_out: Mapping[str, int]

    def cell(self, row: Key, column: str | int) -> Cell | None:
        """Return a cell, None if no run belongs to it."""
        return self.cells.get((row, column))

    def constant(self) -> dict[str, str | int]:
        """Return the keys that are the same in all rows, with their values."""
        first = dict(zip(self.layout.rows, self.rows[0], strict=True)) if self.rows else {}
        return {
            name: value
            for index, (name, value) in enumerate(first.items())
            if all(row[index] == value for row in self.rows)
        }


def facts(run: Summary) -> dict[str, str | int] | None:
    """Return what tells a run from others, by name; None if it is not all known."""
    found = {key: getattr(run, key) for key in KEYS}
    if any(value is None for value in found.values()):
        return None
    return found | {GLOBAL_BATCH: found["batch"] * found["devices"]}


def why_unusable(run: Summary) -> str:
    """Say why a run has no throughput that can be compared, or ""."""
    if run.status != "ok":
        return "they failed" if run.status == "failed" else "they have no result"
    told = run.throughput
    if told is None or not 0 < told.value < math.inf:
        return "they have no throughput"
    if told.unit != SAMPLES_PER_SECOND:
        return f"their throughput is not in {SAMPLES_PER_SECOND}"
    return "" if facts(run) else "their batch or devices are unknown"


def pivot(
    runs: Iterable[Summary], layout: Layout, neighbours: Mapping[str, float] = NOBODY
) -> Pivot:
    """Put runs into the cells of a table; `neighbours` are busy ones by the name of a run."""
    found: dict[tuple[Key, str | int], list[tuple[float, int]]] = {}
    busy: dict[tuple[Key, str | int], list[float]] = {}
    left_out: dict[str, int] = {}
    for run in runs:
        known = facts(run)
        if (why := why_unusable(run)) or known is None or run.throughput is None:
            left_out[why] = left_out.get(why, 0) + 1
            continue
        place = tuple(known[key] for key in layout.rows), known[layout.column]
        samples = int(known[GLOBAL_BATCH])
        found.setdefault(place, []).append((run.throughput.value, samples))
        if run.run in neighbours:
            busy.setdefault(place, []).append(neighbours[run.run])
    return Pivot(
        layout=layout,
        columns=tuple(sorted({column for _, column in found}, key=_order)),
        rows=tuple(sorted({row for row, _ in found}, key=lambda row: list(map(_order, row)))),
        cells={place: _cell(values, busy.get(place, ())) for place, values in found.items()},
        left_out=left_out,
    )


def _order(value: str | int) -> tuple[int, str]:
    return (value, "") if isinstance(value, int) else (0, value)


def _cell(values: Sequence[tuple[float, int]], neighbours: Sequence[float]) -> Cell:
    throughputs = [throughput for throughput, _ in values]
    return Cell(
        runs=len(values),
        samples=values[0][1],
        throughput=median(throughputs),
        low=min(throughputs),
        high=max(throughputs),
        neighbours=median(neighbours) if neighbours else None,
    )
