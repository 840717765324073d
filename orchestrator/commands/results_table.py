"""`benchdock results table`: stored runs in DLBS's four tables."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from orchestrator import table
from orchestrator.commands.results_chosen import chosen
from orchestrator.errors import ExitStatus, RequestError
from orchestrator.results import scaling
from orchestrator.results.pivot import LAYOUTS, TITLES, Pivot, pivot
from orchestrator.results.scaling import Measure
from orchestrator.ui.tables import print_table
from orchestrator.ui.text import clean
from orchestrator.units import DIMENSIONLESS, PERCENT, counted, quantity

_MISSING = "-"
# Runs of one benchmark that differ by more than this were hardly measured under equal conditions.
_LARGEST_SPREAD = 1.1


def execute(arguments: argparse.Namespace) -> ExitStatus:
    """Print the tables. Raises RequestError, MachineError."""
    found = pivot(chosen(arguments), LAYOUTS[arguments.by])
    if not found.rows:
        raise RequestError(
            f"none of the runs can be in a table: {'; '.join(found.left_out)}",
            hint="see `benchdock results`",
        )
    if arguments.json:
        print(
            json.dumps({"schema": 1, "by": arguments.by, "cells": list(_records(found))}, indent=2)
        )
    elif arguments.csv:
        _write_csv(found)
    else:
        _show(found, arguments.by, markdown=arguments.markdown)
    if arguments.json or arguments.csv:
        for note in _notes(found):
            print(clean(f"note: {note}"), file=sys.stderr)
    return ExitStatus.OK


def _show(found: Pivot, by: str, *, markdown: bool) -> None:
    """Print the tables for people; what all rows have in common is said once."""
    common = {key: value for key, value in found.constant().items() if key != "model"}
    if common:
        print(clean("all: " + ", ".join(f"{_title(key)} {value}" for key, value in common.items())))
    keys = [key for key in found.layout.rows if key not in common]
    titles = [*map(_title, keys), *map(str, found.columns)]
    right = [n for n, key in enumerate(keys) if key in ("devices", "batch", "global_batch")]
    right += range(len(keys), len(titles))
    for measure in scaling.measures(found):
        rows = list(_cells(found, measure, keys))
        head = _heading(found, measure, by)
        if markdown:
            safe = [[clean(cell) for cell in row] for row in rows]
            print(f"\n### {head}\n\n{table.markdown(titles, safe, right=right)}", end="")
        else:
            print(f"\n{head}")
            print_table(titles, rows, right=right)
    notes = [*_notes(found), *_count_note(found)]
    if notes:
        print()
    for note in notes:
        print(clean(f"note: {note}") + ("\n" if markdown else ""))


def _title(key: str) -> str:
    return TITLES.get(key, key)


def _heading(found: Pivot, measure: Measure, by: str) -> str:
    first = f"{_title(found.layout.column)} {found.columns[0]}"
    step = "t(first) / t" if by == "weak" else "n(first) * t(first) / (n * t)"
    words = {
        "time": "Time of a step in ms",
        "throughput": "Throughput in samples/s",
        "speedup": f"Speed-up: throughput over that with {first}",
        "efficiency": f"Efficiency, {by} scaling: {step}",
    }
    per_device = " per device" if found.layout.column == "batch" else ""
    return f"{words[measure]}, by {_title(found.layout.column)}{per_device}"


def _cells(found: Pivot, measure: Measure, keys: Sequence[str]) -> Iterator[list[str]]:
    for row in scaling.table(found, measure):
        named = dict(zip(found.layout.rows, row.key, strict=True))
        cells = []
        for column, value in zip(found.columns, row.values, strict=True):
            cell = found.cell(row.key, column)
            count = f" ({cell.runs})" if cell and cell.runs > 1 and measure == "throughput" else ""
            cells.append(_MISSING if value is None else _number(measure, value) + count)
        yield [*(str(named[key]) for key in keys), *cells]


def _number(measure: Measure, value: float) -> str:
    match measure:
        case "time":
            return quantity(value * 1000, DIMENSIONLESS)
        case "efficiency":
            return quantity(value * 100, PERCENT)
        case "throughput" | "speedup":
            return quantity(value, DIMENSIONLESS)


def _count_note(found: Pivot) -> Iterator[str]:
    if any(cell.runs > 1 for cell in found.cells.values()):
        yield "(n) is the number of runs, of which a cell shows the median"


def _notes(found: Pivot) -> Iterator[str]:
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
            f"{counted(rows, 'line')} without a run with {_title(found.layout.column)} "
            f"{found.columns[0]}, so without a speed-up"
        )


def _records(found: Pivot) -> Iterator[dict[str, Any]]:
    """Yield each cell as plain values; times in seconds, the rest as numbers without units."""
    tables = {name: list(scaling.table(found, name)) for name in scaling.measures(found)}
    for index, key in enumerate(found.rows):
        for column, name in enumerate(found.columns):
            cell = found.cell(key, name)
            if cell is None:
                continue
            values = {measure: rows[index].values[column] for measure, rows in tables.items()}
            named = dict(zip(found.layout.rows, key, strict=True))
            yield named | {found.layout.column: name, "runs": cell.runs} | values


def _write_csv(found: Pivot) -> None:
    names = [*found.layout.rows, found.layout.column, "runs", *scaling.measures(found)]
    writer = csv.DictWriter(sys.stdout, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(_records(found))
