"""`benchdock results chart`: stored runs as lines over batch or devices, in an SVG file."""

from __future__ import annotations

import argparse
from pathlib import Path

from orchestrator.commands.results_chosen import chosen
from orchestrator.errors import ExitStatus, MachineError, RequestError
from orchestrator.paths import write_aside
from orchestrator.results import curves
from orchestrator.ui.chart import svg
from orchestrator.ui.of_curves import chart
from orchestrator.ui.text import print_note
from orchestrator.units import counted


def execute(arguments: argparse.Namespace) -> ExitStatus:
    """Write the chart. Raises RequestError, MachineError."""
    x, y, series = arguments.x, arguments.y, arguments.series
    found = curves.cells(chosen(arguments), x, y, series)
    lines = curves.curves(found, y, series)
    if not lines:
        why = "; ".join(found.left_out)
        raise RequestError(f"none of the runs can be drawn: {why}", hint="see `benchdock results`")
    _write(svg(chart(found, lines, x, y, series)), arguments.output)
    for why, count in found.left_out.items():
        print_note(f"{counted(count, 'run')} not in the chart: {why}")
    return ExitStatus.OK


def _write(text: str, output: str) -> None:
    if output == "-":
        print(text, end="")
        return
    path = Path(output)
    if path.is_dir():
        raise RequestError(f"{path} is a folder", hint="use -o FILE")
    try:
        write_aside(path, text)
    except OSError as error:
        raise MachineError(f"cannot write {path}: {error.strerror or error}") from None
    print(f"wrote {path}")
