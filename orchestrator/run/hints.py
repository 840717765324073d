"""What a program's parser is told about the run, from its plan alone."""

from __future__ import annotations

from orchestrator.parsers.contract import ParseHints
from orchestrator.plan import Plan

_XLA = {"on": True, "off": False}


def hints_of(plan: Plan) -> ParseHints:
    """Return what the plan knows and the program's log may not say."""
    return ParseHints(
        batch=plan.batch,
        devices=plan.device_count,
        phase=plan.phase,
        dtype=plan.dtype,
        device=plan.device,
        xla=_XLA.get(plan.options.get("xla", "")),
        pattern=plan.pattern,
        unit=plan.unit,
        estimator=plan.estimator,
    )
