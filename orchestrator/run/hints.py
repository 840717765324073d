"""What a program's parser knows about the run, from its plan only."""

from __future__ import annotations

from orchestrator.frameworks import catalogue
from orchestrator.parsers.contract import ParseHints
from orchestrator.plan import NO_NETWORK, Plan

_XLA = {"on": True, "off": False}


def hints_of(plan: Plan) -> ParseHints:
    """Return what the plan says; the program's log may leave it out but must not contradict it."""
    framework = catalogue.FRAMEWORKS.get(plan.framework)
    # The name of a network in a file of the program's folder is unknown.
    named = "prototxt" not in plan.options or not plan.options["prototxt"]
    return ParseHints(
        planned=True,
        isolated=plan.in_container and plan.network == NO_NETWORK,
        model=plan.model if named else None,
        network=(framework.networks or {}).get(plan.model) if framework else None,
        fingerprint=plan.fingerprint,
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
