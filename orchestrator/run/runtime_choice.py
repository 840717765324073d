"""Decides whether a request runs in a container or on the host, and in which image of our table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.errors import EngineError, RequestError
from orchestrator.frameworks.record import Framework
from orchestrator.images import image_table
from orchestrator.images.image_table import Image
from orchestrator.request import Request, RuntimeChoice
from orchestrator.run.devices import Target
from orchestrator.run.fitting import Site

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.machine.description import EngineFacts
    from orchestrator.run.facts import DecisionFacts
    from orchestrator.runtimes.docker.client import Engine

_ASKED = "asked for"


def engine(request: Request, facts: DecisionFacts) -> tuple[Engine | EngineFacts | None, str]:
    """Return the engine, or None for the host, and the reason.

    Raises EngineError if the user asked for a container and no engine answers, and RequestError if
    there is no engine for an image or a limit, or a container for a Python of this machine.
    """
    if request.python is not None:
        engine, reason = None, _of_python(request.python, request.runtime)
    else:
        engine, reason = _choose(request.runtime, facts)
    if engine is None:
        _check_host_can(request, reason)
    return engine, reason


def _of_python(python: Path, choice: RuntimeChoice) -> str:
    """Return why the run is on the host: a container does not see a Python of this machine."""
    if choice is RuntimeChoice.DOCKER:
        raise RequestError(
            f"--python {python} is used on the host, and --runtime docker runs in a container",
            hint="remove one of them",
        )
    return "--python was given"


def _choose(choice: RuntimeChoice, facts: DecisionFacts) -> tuple[Engine | EngineFacts | None, str]:
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
    or_engine = ", or start an engine (see `benchdock doctor`)"
    instead = or_engine if request.python is None else " or --python"
    if request.image is not None:
        raise RequestError(
            f"--image {request.image} needs a container engine, but this run is on the host "
            f"({reason})",
            hint=f"remove --image{instead}",
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
                hint=f"remove {option}{instead}",
            )


def image(request: Request, framework: Framework, target: Target, site: Site) -> Image | None:
    """Return the image, on the host the one whose packages are installed there.

    None if the request names an image or a Python, or for a command that runs on the host as it is.
    Raises RequestError if there is none for the device.
    """
    named = request.image is not None or request.python is not None
    if named or (site.on_host and framework.any_network):
        return None
    if target.device not in framework.images:
        raise RequestError(
            f"{framework.name} has no image for the {target.device.upper()}", hint="use --image"
        )
    table = image_table.load()
    found = table.image(framework.images[target.device])
    return table.for_host(found) if site.on_host else found


def check_image(image: Image | None, site: Site) -> None:
    """Raise ImageError for an image that a host cannot replace without an engine."""
    if image is not None and site.on_host and not site.elsewhere:
        from orchestrator.images import environments

        environments.check(image)
