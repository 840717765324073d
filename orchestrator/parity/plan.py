"""Plans the parity program of a framework."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

from orchestrator.frameworks.record import Framework
from orchestrator.paths import RunFolder
from orchestrator.plan import Plan
from orchestrator.request import Request
from orchestrator.run import planner
from orchestrator.run.context import context_of
from orchestrator.run.devices import Target
from orchestrator.run.launcher import LauncherContext, render
from orchestrator.run.place import Place


@dataclass(frozen=True, kw_only=True)
class ParityContext(LauncherContext):
    """The values that the parity launcher may write."""

    backend: str
    levels: tuple[str, ...]
    models: tuple[str, ...]


def parity_plan(
    request: Request,
    framework: Framework,
    target: Target,
    place: Place,
    folder: RunFolder,
    *,
    levels: Sequence[str],
    models: Sequence[str],
) -> Plan:
    """Plan the comparisons of models at levels. Raises as `planner.make_plan` does."""
    plan = planner.make_plan(request, framework, target, place, folder)
    context = context_of(request, framework, target, place, folder)
    values = {f.name: getattr(context, f.name) for f in fields(context)}
    parity = ParityContext(
        **values, backend=framework.backend, levels=tuple(levels), models=tuple(models)
    )
    return plan.model_copy(update={"program": "parity", "script": render("parity", parity)})
