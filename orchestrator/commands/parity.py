"""`benchdock parity`: the proof that every framework computes the same networks."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from orchestrator import catalogue, ui
from orchestrator.catalogue import OURS
from orchestrator.errors import ExitStatus, Interrupted, RequestError
from orchestrator.framework import Framework
from orchestrator.parsers.parity import Cell
from orchestrator.request import RuntimeChoice
from orchestrator.run import parity
from orchestrator.signals import interruptible
from orchestrator.ui.tables import print_table

# What a level compares, for the heading of its figures; shapes are equal or not.
FIGURES = {"P2": "logits", parity.STEP: "a training step"}


def execute(arguments: argparse.Namespace) -> ExitStatus:
    """Compare what was asked for; 0 only where every comparison holds. Raises RequestError."""
    from backends import zoo

    models = list(dict.fromkeys(arguments.models)) or zoo.names()
    for model in models:
        catalogue.draw(model)
    here = [row for row in OURS if "cpu" in row.images]
    rows = [_own(name) for name in dict.fromkeys(arguments.framework)] or here
    levels = sorted(set(arguments.level)) or parity.LEVELS
    work = [
        (
            row,
            _able(row, models, named=bool(arguments.framework and arguments.models)),
            _fitting(row, levels, named=bool(arguments.framework and arguments.level)),
        )
        for row in rows
    ]
    cells, interrupted = _prove(work, RuntimeChoice(arguments.runtime))
    if arguments.json:
        document = {"schema": 1, "cells": [cell.model_dump(mode="json") for cell in cells]}
        print(json.dumps(document, indent=2))
    else:
        _show(cells, [row.name for row in rows], models)
    if interrupted is not None:
        print(f"benchdock: {interrupted}", file=sys.stderr)
        return interrupted.exit_status
    held = bool(cells) and all(cell.holds for cell in cells)
    return ExitStatus.OK if held else ExitStatus.BENCHMARK_FAILED


def _prove(
    work: Sequence[tuple[Framework, list[str], list[str]]], runtime: RuntimeChoice
) -> tuple[list[Cell], Interrupted | None]:
    """Compare one framework after the other, until the user ends it."""
    view = ui.choose(result_on_stdout=False)
    cells: list[Cell] = []
    try:
        with interruptible():
            for row, models, levels in work:
                if not (models and levels):
                    continue
                proof = parity.prove(row, models, levels, runtime, view)
                cells += proof.cells
                if proof.signal_number is not None:
                    return cells, Interrupted(proof.signal_number)
    finally:
        view.close()
    return cells, None


def _own(name: str) -> Framework:
    """Look a framework up whose networks are ours. Raises RequestError."""
    row = catalogue.framework(name)
    hint = f"use one of {', '.join(own.name for own in OURS if 'cpu' in own.images)}"
    if not row.ours:
        raise RequestError(
            f"{name} runs a vendor's networks, which are compared with nothing", hint=hint
        )
    if "cpu" not in row.images:
        raise RequestError(f"{name} has no image for the CPU, where parity is proven", hint=hint)
    return row


def _fitting(row: Framework, levels: Sequence[str], *, named: bool) -> list[str]:
    """Return the levels that a framework has: without training there is no step to compare."""
    trains = ("cpu", "training") in row.dtypes
    if named and not trains and parity.STEP in levels:
        raise RequestError(
            f"{row.name} does inference only and has no {parity.STEP}", hint="use P1 and P2"
        )
    return [level for level in levels if trains or level != parity.STEP]


def _able(row: Framework, models: Sequence[str], *, named: bool) -> list[str]:
    """Return the models without declared gap; a gap that was asked for by name is refused."""
    for model in models:
        if named and model in row.gaps:
            raise RequestError(f"{row.name} cannot draw {model}: {row.gaps[model]}")
    return [model for model in models if model not in row.gaps]


def _show(cells: Sequence[Cell], frameworks: Sequence[str], models: Sequence[str]) -> None:
    """Print the deviations of each model and framework, then what does not hold."""
    table = []
    for model in models:
        row = [model]
        for framework in frameworks:
            row.append(_figures([c for c in cells if (c.model, c.framework) == (model, framework)]))
        table.append(row)
    print_table(("model", *frameworks), table)
    shown = {cell.level: cell.tolerance for cell in cells if cell.tolerance is not None}
    told = [f"{FIGURES[level]} at most {shown[level]:.0e}" for level in FIGURES if level in shown]
    if told:
        print(f"\ndeviations: {', '.join(told)}")
    broken = [cell for cell in cells if not cell.holds]
    for cell in broken:
        print(f"\n{cell.framework} {cell.model} {cell.level} does not hold: {cell.detail}")
    print(f"\n{len(cells) - len(broken)} of {len(cells)} comparisons hold")


def _figures(cells: Sequence[Cell]) -> str:
    if not cells:
        return "-"
    by_level = {cell.level: cell for cell in cells}
    found = [by_level[level].deviation for level in FIGURES if level in by_level]
    figures = ["none" if deviation is None else f"{deviation:.1e}" for deviation in found]
    broken = [cell.level for cell in cells if not cell.holds]
    text = " ".join(figures or ["shapes"])
    return f"{text} FAILS {' '.join(broken)}" if broken else text
