"""What a runtime could not give the container of a plan, in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from orchestrator.plan import Lack, Plan
from orchestrator.runtimes.by_command.platforms import PLATFORMS
from orchestrator.units import BYTES, quantity

_SHARED: Final[Mapping[Lack, str]] = {
    "network": "its network",
    "capabilities": "its capabilities",
    "shm_size": "/dev/shm",
}


def notes(plan: Plan) -> Iterator[str]:
    """Yield everything that was not given and may matter for this plan."""
    title = _title(plan)
    if "network" in plan.lacks:
        yield f"{title} gives a container no network of its own: the program had this machine's"
    if "capabilities" in plan.lacks:
        wanted = f" ({', '.join(plan.capabilities)} may be missing)" if plan.capabilities else ""
        yield f"{title} does not take capabilities from a container{wanted}"
    if "shm_size" in plan.lacks:
        size = plan.limits.shm_size
        instead = f", not {quantity(size, BYTES)}" if size else ""
        yield f"{title} does not set the size of /dev/shm: it was this machine's{instead}"
    if "ulimits" in plan.lacks and plan.limits.ulimits:
        names = ", ".join(one.name for one in plan.limits.ulimits)
        yield f"{title} does not set ulimits: {names} were those of the caller"
    yield from missed(plan)


def missed(plan: Plan) -> Iterator[str]:
    """Yield the limits that were requested and not applied."""
    title, limits = _title(plan), plan.limits
    if "memory" in plan.lacks and limits.memory is not None:
        asked = quantity(limits.memory, BYTES)
        yield f"{title} cannot limit memory here: --memory ({asked}) was not applied"
    if "pids" in plan.lacks and limits.pids is not None:
        yield f"{title} cannot limit processes here: --pids ({limits.pids}) was not applied"


def shared(plan: Plan) -> str:
    """Say what is less isolated than in an engine's container, "" if nothing is."""
    found = [words for name, words in _SHARED.items() if name in plan.lacks]
    if not found:
        return ""
    return f"{_title(plan)} isolates a container less than an engine does: {', '.join(found)}"


def _title(plan: Plan) -> str:
    return PLATFORMS[plan.runtime].title
