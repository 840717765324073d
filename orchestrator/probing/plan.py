"""Plans the probe of a CPU or of GPUs."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.paths import RunFolder
from orchestrator.plan import Plan
from orchestrator.run import planner
from orchestrator.run.decision import Decision
from orchestrator.run.launcher import LauncherContext
from orchestrator.run.place import Place


@dataclass(frozen=True, kw_only=True)
class ProbeContext(LauncherContext):
    """The values that the probe's launcher may write; `seconds` are for each figure."""

    seconds: float


def probe_plan(decision: Decision, place: Place, folder: RunFolder, *, seconds: float) -> Plan:
    """Plan a probe of the decided devices. Raises as `planner.plan_program` does."""
    return planner.plan_program(
        decision.request, decision.framework, decision.target, place, folder,
        program="probe", context=ProbeContext, seconds=seconds,
    )  # fmt: skip
