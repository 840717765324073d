"""Decides whether a request runs in a container or on the host of a machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.errors import EngineError, RequestError
from orchestrator.request import Request, RuntimeChoice

if TYPE_CHECKING:
    from orchestrator.machine.description import EngineFacts
    from orchestrator.run.facts import Facts
    from orchestrator.runtimes.docker.client import Engine

_ASKED = "asked for"


def choose(request: Request, facts: Facts) -> tuple[Engine | EngineFacts | None, str]:
    """Return the engine, or None for the host, and the reason.

    Raises EngineError if the user asked for a container and no engine answers, and RequestError if
    there is no engine for an image or a limit.
    """
    engine, reason = _choose(request.runtime, facts)
    if engine is None:
        _check_host_can(request, reason)
    return engine, reason


def _choose(choice: RuntimeChoice, facts: Facts) -> tuple[Engine | EngineFacts | None, str]:
    if choice is RuntimeChoice.HOST:
        return None, _ASKED
    answer = facts.container_engine
    if answer.engine is not None:
        why = _ASKED if choice is RuntimeChoice.DOCKER else "an engine answers"
        return answer.engine, f"{why}: {answer.engine.name} {answer.engine.version}"
    if choice is RuntimeChoice.DOCKER:
        host = "use --runtime host"
        hint = f"{answer.hint}, or {host}" if answer.hint else host
        raise EngineError(answer.why_not, hint=hint)
    return None, answer.why_not


def _check_host_can(request: Request, reason: str) -> None:
    """Refuse an image, and everything else that needs an engine, for a run on the host."""
    if request.image is not None:
        raise RequestError(
            f"--image {request.image} needs a container engine, but this run is on the host "
            f"({reason})",
            hint="remove --image, or start an engine (see `benchdock doctor`)",
        )
    asked = {
        "--memory": request.memory is not None,
        "--pids": request.pids is not None,
        "--network": request.network is not None,
        "--as-root": request.as_root,
    }
    for option, given in asked.items():
        if given:
            raise RequestError(
                f"{option} needs a container engine, but this run is on the host ({reason})",
                hint=f"remove {option}, or start an engine (see `benchdock doctor`)",
            )
