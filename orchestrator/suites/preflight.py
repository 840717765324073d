"""Checks everything that can be known before the first run of a session."""

from __future__ import annotations

import shutil
from pathlib import Path

from orchestrator.errors import MachineError
from orchestrator.suites.planning import RUN_BYTES, SuitePlan
from orchestrator.units import BYTES, quantity

# Beside the images that are missing.
SPARE = 5 * 2**30
# An image is downloaded, unpacked and kept: 2.5 times its size while that goes on.
WHILE_PULLING = 2.5


def check(plan: SuitePlan, home: Path) -> None:
    """Raise MachineError if a session cannot end well: nothing to run, or too little disk."""
    if not plan.rows:
        why = plan.refused[0].decided.why_not if plan.refused else "it has no runs"
        raise MachineError(
            f"nothing of {plan.loaded.suite.name} can run on this machine: {why}",
            hint="run `benchdock plan SUITE` to see all reasons",
        )
    limit = plan.loaded.suite.budget.disk
    if limit is not None and plan.disk > limit:
        raise MachineError(
            f"the suite needs about {quantity(plan.disk, BYTES)} of disk, and its budget is "
            f"{quantity(limit, BYTES)}",
            hint="raise budget.disk",
        )
    needed = int(RUN_BYTES * plan.runs + _largest(plan))
    free = shutil.disk_usage(_existing(home)).free
    if free < needed:
        raise MachineError(
            f"the suite needs about {quantity(needed, BYTES)} in {home}, but only "
            f"{quantity(free, BYTES)} are free",
            hint="free some space or set BENCHDOCK_HOME",
        )


def _largest(plan: SuitePlan) -> float:
    """Return the bytes that the largest missing image takes while it is pulled."""
    sizes = [need.size or 0 for need in plan.needs() if not need.here]
    return WHILE_PULLING * max(sizes) + SPARE if sizes else 0


def _existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.parents) if path.exists())
