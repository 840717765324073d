"""Plans the parity program of a framework."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.frameworks.record import Framework
from orchestrator.paths import RunFolder
from orchestrator.plan import Plan
from orchestrator.request import Request
from orchestrator.run import planner
from orchestrator.run.devices import Target
from orchestrator.run.launcher import LauncherContext
from orchestrator.run.place import Place


@dataclass(frozen=True, kw_only=True)
class ParityContext(LauncherContext):
    """The values that the parity launcher may write; `processes` compare together."""

    backend: str
    processes: int = 1
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
    """Plan the comparisons of models at levels. Raises as `planner.plan_program` does."""
    return planner.plan_program(
        request, framework, target, place, folder,
        program="parity", context=ParityContext,
        processes=target.count if framework.starts_processes({}) else 1,
        backend=framework.backend, levels=tuple(levels), models=tuple(models),
    )  # fmt: skip
