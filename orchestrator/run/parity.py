"""Proves that frameworks compute the same networks: runs their parity programs, gathers cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.framework import Framework
from orchestrator.parsers.parity import Cell
from orchestrator.paths import RunFolder, write_aside
from orchestrator.request import Request, RuntimeChoice
from orchestrator.run.places import connect, ready_place
from orchestrator.run.planner import Target, parity_plan
from orchestrator.run.runner import StageClock, execute
from orchestrator.view import View

STEP = "P3"
LEVELS = ("P1", "P2", STEP)


@dataclass(frozen=True, kw_only=True)
class Proof:
    """What was compared; `signal_number` is set where the user ended it before all was."""

    cells: tuple[Cell, ...]
    signal_number: int | None = None


def prove(
    row: Framework,
    models: Sequence[str],
    levels: Sequence[str],
    runtime: RuntimeChoice,
    view: View,
) -> Proof:
    """Compare one framework with the referee at each model and level.

    A comparison that was asked for and that the program did not make is a cell that does not
    hold, unless the user ended it. Raises EngineError, ImageError or MachineError where the program
    cannot be started.
    """
    folder = RunFolder.create("parity", row.name)
    clock = StageClock(view)
    target = Target(device="cpu")
    request = Request(model=models[0], framework=row.name, gpus="none", runtime=runtime)
    engine, reason = connect(request)
    place, where = ready_place(request, row, target, engine, reason, view)
    plan = parity_plan(request, row, place, folder, levels=tuple(levels), models=tuple(models))
    write_aside(folder.launcher, plan.script)
    outcome = execute(plan, where, folder, view, clock)
    cells = [Cell.model_validate(cell) for cell in outcome.measurement.begin["cells"]]
    if outcome.signal_number is not None:
        return Proof(cells=tuple(cells), signal_number=outcome.signal_number)
    made = {(cell.model, cell.level) for cell in cells}
    told = outcome.failure.message if outcome.failure else "the program did not compare it"
    for model in models:
        for level in levels:
            if (model, level) not in made:
                cells.append(_missing(row.name, model, level, f"{told}; see {folder.log}"))
    return Proof(cells=tuple(cells))


def _missing(framework: str, model: str, level: str, why: str) -> Cell:
    return Cell(
        framework=framework, model=model, level=level, fingerprint="", holds=False, detail=why
    )
