"""Proves that frameworks compute the same networks, by running their parity programs."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.errors import RequestError
from orchestrator.frameworks.record import Framework
from orchestrator.parity.comparisons import Setting, Work
from orchestrator.parity.plan import parity_plan
from orchestrator.parsers.parity import ParityCell
from orchestrator.request import Request
from orchestrator.run.decision import Decision, decide
from orchestrator.run.facts import ThisMachine
from orchestrator.run.filing import new_folder, write_launcher
from orchestrator.run.places import ready_place
from orchestrator.run.runner import StageClock, execute
from orchestrator.view import View


@dataclass(frozen=True, kw_only=True)
class Proof:
    """The comparisons made; `signal_number` is set if the user ended it early."""

    cells: tuple[ParityCell, ...]
    signal_number: int | None = None


def prove(work: Work, setting: Setting, view: View) -> Proof:
    """Compare one framework with the referee for each model and level.

    A requested comparison that the program did not make is a cell that does not hold, unless the
    user ended the program. Raises EngineError, ImageError or MachineError if the program cannot be
    started.
    """
    framework = work.framework
    request = setting.request(work.models[0], framework, setting.levels[work.levels[0]])
    decision = _decided(request)
    folder = new_folder("parity", framework.name)
    clock = StageClock(view)
    place, where = ready_place(decision, view)
    plan = parity_plan(
        request, decision.framework, decision.target, place, folder,
        levels=work.levels, models=work.models,
    )  # fmt: skip
    write_launcher(folder, plan)
    outcome = execute(plan, where, folder, view, clock)
    cells = [ParityCell.model_validate(cell) for cell in outcome.measurement.begin.cells or ()]
    if outcome.signal_number is not None:
        return Proof(cells=tuple(cells), signal_number=outcome.signal_number)
    made = {(cell.model, cell.level) for cell in cells}
    told = outcome.failure.message if outcome.failure else "the program did not compare it"
    for model in work.models:
        for level in work.levels:
            if (model, level) not in made:
                why = f"{told}; see {folder.log}"
                cells.append(_missing(framework, setting, model, level, why))
    return Proof(cells=tuple(cells))


def _decided(request: Request) -> Decision:
    """Decide on the device. Raises MachineError without a GPU, RequestError for several."""
    decision = decide(request, ThisMachine()).accepted()
    if len(decision.target.gpus) > 1:
        raise RequestError(
            f"parity runs on one GPU, not on {len(decision.target.gpus)}",
            hint="name one GPU, such as --gpus 0",
        )
    return decision


def _missing(
    framework: Framework, setting: Setting, model: str, level: str, why: str
) -> ParityCell:
    return ParityCell(
        framework=framework.name,
        model=model,
        level=level,
        dtype=setting.dtype,
        device=setting.device,
        fingerprint="",
        holds=False,
        detail=why,
    )
