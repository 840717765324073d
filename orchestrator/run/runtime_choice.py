"""Decides whether a request runs in a container or on the host, and in which image of our table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.errors import EngineError, RequestError
from orchestrator.frameworks.record import Framework
from orchestrator.images import image_table
from orchestrator.images.image_table import Image
from orchestrator.plan import MACHINE_NETWORK
from orchestrator.request import Request, RuntimeChoice
from orchestrator.run.devices import Target
from orchestrator.run.fitting import Site

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.machine.description import EngineFacts
    from orchestrator.run.facts import DecisionFacts
    from orchestrator.runtimes.by_command.platforms import ContainerProgram
    from orchestrator.runtimes.docker.client import Engine

_ASKED = "asked for"
_ENGINE_OR_HOST = (RuntimeChoice.AUTO, RuntimeChoice.DOCKER, RuntimeChoice.HOST)


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """Where a request runs, for the `reason`: by an engine or a program, else on the host."""

    reason: str
    engine: Engine | EngineFacts | None = None
    program: ContainerProgram | None = None

    @property
    def on_host(self) -> bool:
        """Whether the program runs on the host, not in a container."""
        return self.engine is None and self.program is None


def choose(request: Request, facts: DecisionFacts) -> Chosen:
    """Choose the engine or program that starts a container, or the host.

    Raises EngineError if the user asked for an engine and none answers, MachineError if a program
    was requested and cannot be used, and RequestError if there is no engine for an image or a
    limit, or a container for a Python of this machine.
    """
    if request.python is not None:
        chosen = Chosen(reason=_of_python(request.python, request.runtime))
    elif request.runtime in _ENGINE_OR_HOST:
        chosen = _engine_or_host(request.runtime, facts)
    else:
        chosen = _program(request, facts)
    if chosen.on_host:
        _check_host_can(request, chosen.reason)
    return chosen


def _of_python(python: Path, choice: RuntimeChoice) -> str:
    """Return why the run is on the host: a container does not see a Python of this machine."""
    if choice not in (RuntimeChoice.AUTO, RuntimeChoice.HOST):
        raise RequestError(
            f"--python {python} is used on the host, and --runtime {choice} runs in a container",
            hint="remove one of them",
        )
    return "--python was given"


def _engine_or_host(choice: RuntimeChoice, facts: DecisionFacts) -> Chosen:
    if choice is RuntimeChoice.HOST:
        return Chosen(reason=_ASKED)
    answer = facts.container_engine
    if answer.engine is not None:
        why = _ASKED if choice is RuntimeChoice.DOCKER else "an engine answers"
        told = f"{why}: {answer.engine.name} {answer.engine.version}"
        return Chosen(engine=answer.engine, reason=told)
    if choice is RuntimeChoice.DOCKER:
        host = "use --runtime host"
        hint = f"{answer.hint}, or {host}" if answer.hint else host
        raise EngineError(answer.why_not, hint=hint)
    return Chosen(reason=answer.why_not)


def _program(request: Request, facts: DecisionFacts) -> Chosen:
    """Return a program, or podman's API where that gives GPUs and there is a service."""
    program = facts.container_program(str(request.runtime))
    engine = facts.engine_of(program)
    if engine is not None:
        return Chosen(engine=engine, reason=f"{_ASKED}: {program}, by its API")
    _check_program_can(request, program)
    return Chosen(program=program, reason=f"{_ASKED}: {program}")


def _check_program_can(request: Request, program: ContainerProgram) -> None:
    """Refuse what has no meaning there; a limit that is not applied is noted in the result."""
    asked = {
        "--network": "network" in program.lacks and request.network not in (None, MACHINE_NETWORK),
        "--as-root": program.platform.as_caller and request.as_root,
    }
    for option, given in asked.items():
        if given:
            raise RequestError(
                f"{option} does not work with --runtime {request.runtime}, whose containers have "
                "this machine's network and run as the caller",
                hint=f"remove {option}, or use --runtime docker",
            )


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
