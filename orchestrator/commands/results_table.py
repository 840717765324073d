"""`benchdock results table`: stored runs in DLBS's four tables."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Iterator
from typing import Any

from orchestrator import table
from orchestrator.commands.results_chosen import chosen
from orchestrator.errors import ExitStatus, RequestError
from orchestrator.results import neighbours, scaling, table_text
from orchestrator.results.pivot import LAYOUTS, NOBODY, Pivot, pivot
from orchestrator.ui.tables import print_table
from orchestrator.ui.text import clean, print_note


def execute(arguments: argparse.Namespace) -> ExitStatus:
    """Print the tables. Raises RequestError, MachineError."""
    layout, runs = LAYOUTS[arguments.by], list(chosen(arguments))
    found = pivot(runs, layout, neighbours.busy(runs) if layout.scaling else NOBODY)
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
        for note in table_text.notes(found):
            print_note(note)
    return ExitStatus.OK


def _show(found: Pivot, by: str, *, markdown: bool) -> None:
    """Print the tables for people; what all rows have in common is said once."""
    if common := table_text.common(found):
        print(clean(f"all: {common}"))
    for one in table_text.tables(found, by):
        if markdown:
            safe = [[clean(cell) for cell in row] for row in one.rows]
            lines = table.markdown(one.titles, safe, right=one.right)
            print(f"\n### {one.heading}\n\n{lines}", end="")
        else:
            print(f"\n{one.heading}")
            print_table(one.titles, one.rows, right=one.right)
    notes = [*table_text.notes(found), *table_text.count_note(found)]
    if notes:
        print()
    for note in notes:
        print(clean(f"note: {note}") + ("\n" if markdown else ""))


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
