"""Plans the probe of a CPU or of GPUs."""

from __future__ import annotations

from dataclasses import dataclass, fields

from orchestrator.paths import RunFolder
from orchestrator.plan import Plan
from orchestrator.run import planner
from orchestrator.run.context import context_of
from orchestrator.run.decision import Decision
from orchestrator.run.launcher import LauncherContext, render
from orchestrator.run.place import Place


@dataclass(frozen=True, kw_only=True)
class ProbeContext(LauncherContext):
    """The values that the probe's launcher may write; `seconds` are for each figure."""

    seconds: float


def probe_plan(decision: Decision, place: Place, folder: RunFolder, *, seconds: float) -> Plan:
    """Plan a probe of the decided devices. Raises as `planner.make_plan` does."""
    request, framework, target = decision.request, decision.framework, decision.target
    plan = planner.make_plan(request, framework, target, place, folder)
    context = context_of(request, framework, target, place, folder)
    values = {f.name: getattr(context, f.name) for f in fields(context)}
    script = render("probe", ProbeContext(**values, seconds=seconds))
    return plan.model_copy(update={"program": "probe", "script": script})
