"""`benchdock parity`: prove that every framework computes the same networks."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from orchestrator import ui
from orchestrator.errors import ExitStatus, Interrupted
from orchestrator.parity import comparisons
from orchestrator.parity import proof as parity
from orchestrator.parity.comparisons import Setting, Work
from orchestrator.parsers.parity import ParityCell
from orchestrator.request import RuntimeChoice
from orchestrator.signals import interruptible
from orchestrator.ui.tables import print_table
from orchestrator.ui.text import Outlet

# Number of comparisons that a line names before it counts the rest.
NAMED = 3

# What each level compares, for the heading of the figures. Shapes are only equal or not.
FIGURES = {"P2": "logits", "P3": "a training step", "P4": "ranks"}


def execute(arguments: argparse.Namespace) -> ExitStatus:
    """Run the comparisons; return 0 only if every one holds. Raises RequestError."""
    setting = Setting(
        dtype=arguments.dtype,
        gpus=arguments.gpus,
        runtime=RuntimeChoice(arguments.runtime),
        image=arguments.image,
        options=arguments.option,
        env=arguments.env,
        prefix=arguments.prefix,
        python=Path(arguments.python) if arguments.python is not None else None,
        ranks=arguments.ranks,
    )
    if arguments.data:
        from orchestrator.commands import parity_data

        return parity_data.execute(arguments, setting)
    work = comparisons.choose(
        comparisons.WantedParity(
            frameworks=tuple(dict.fromkeys(arguments.framework)),
            models=tuple(dict.fromkeys(arguments.models)),
            levels=tuple(sorted(set(arguments.level))),
            setting=setting,
        )
    )
    cells, interrupted = _prove(work, setting)
    if arguments.json:
        document = {"schema": 1, "cells": [cell.model_dump(mode="json") for cell in cells]}
        print(json.dumps(document, indent=2))
    else:
        _show(cells, work, setting)
    if interrupted is not None:
        Outlet(sys.stderr).line(f"benchdock: {interrupted}")
        return interrupted.exit_status
    held = bool(cells) and all(cell.holds for cell in cells)
    return ExitStatus.OK if held else ExitStatus.BENCHMARK_FAILED


def _prove(work: Sequence[Work], setting: Setting) -> tuple[list[ParityCell], Interrupted | None]:
    """Compare one framework after the other until the user interrupts."""
    view = ui.choose(result_on_stdout=False)
    cells: list[ParityCell] = []
    try:
        with interruptible():
            for one in work:
                proof = parity.prove(one, setting, view)
                cells += proof.cells
                if proof.signal_number is not None:
                    return cells, Interrupted(proof.signal_number)
    finally:
        view.close()
    return cells, None


def _show(cells: Sequence[ParityCell], work: Sequence[Work], setting: Setting) -> None:
    """Print the deviations of each model and framework, then the failed comparisons."""
    frameworks = [one.framework.name for one in work]
    table = []
    for model in dict.fromkeys(model for one in work for model in one.models):
        row = [model]
        for framework in frameworks:
            row.append(_figures([c for c in cells if (c.model, c.framework) == (model, framework)]))
        table.append(row)
    print_table(("model", *frameworks), table)
    shown = {cell.level: cell.tolerance for cell in cells if cell.tolerance is not None}
    told = [f"{FIGURES[level]} {shown[level]:.2g}" for level in FIGURES if level in shown]
    if told:
        print(
            f"\ndeviations in {setting.dtype} on the {setting.device.upper()}; "
            f"allowed: {', '.join(told)}"
        )
    for cell in cells:
        if _fails(cell):
            print(f"\n{cell.framework} {cell.model} {cell.level} does not hold: {cell.detail}")
    for line in _not_made(cells):
        print(f"\n{line}")
    print(f"\n{sum(cell.holds for cell in cells)} of {len(cells)} comparisons hold")


def _fails(cell: ParityCell) -> bool:
    """Whether a comparison was made and does not hold."""
    return not cell.holds and cell.deviation is not None


def _not_made(cells: Sequence[ParityCell]) -> Iterator[str]:
    """Yield one line per reason why comparisons were not made; many share a reason."""
    by_reason: dict[tuple[str, str], list[str]] = {}
    for cell in cells:
        if cell.deviation is None:
            names = by_reason.setdefault((cell.framework, cell.detail), [])
            names.append(f"{cell.model} {cell.level}")
    for (framework, why), names in by_reason.items():
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        yield f"{framework} was not compared in {', '.join(names[:NAMED])}{more}: {why}"


def _figures(cells: Sequence[ParityCell]) -> str:
    if not cells:
        return "-"
    by_level = {cell.level: cell for cell in cells}
    found = [by_level[level].deviation for level in FIGURES if level in by_level]
    words = ["?" if deviation is None else f"{deviation:.1e}" for deviation in found] or ["shapes"]
    for what, levels in (
        ("FAILS", [cell.level for cell in cells if _fails(cell)]),
        ("NOT MADE", [cell.level for cell in cells if cell.deviation is None]),
    ):
        words += [what, *levels] if levels else []
    return " ".join(words)
