"""Finds the place where a program runs: a container of a ready image, or this host."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from orchestrator.errors import EngineError, RequestError
from orchestrator.frameworks.record import Framework
from orchestrator.images import image_table, store
from orchestrator.images.builder import Event, OnEvent
from orchestrator.images.image_table import ImageRow
from orchestrator.images.store import ReadyImage
from orchestrator.paths import PROJECT
from orchestrator.plan import Ulimit
from orchestrator.request import Request, RuntimeChoice
from orchestrator.run.planner import Needs, Place, Target
from orchestrator.runtimes.contract import Runtime
from orchestrator.runtimes.docker.reaper import reap
from orchestrator.view import View

if TYPE_CHECKING:
    from orchestrator.machine.description import EngineFacts, Machine
    from orchestrator.runtimes.docker.client import Engine
    from orchestrator.runtimes.docker.images import ImageInfo


_ASKED = "asked for"


class FindPlace(Protocol):
    """Chooses where a request runs and prepares that place; `ready_place` is one."""

    def __call__(
        self,
        request: Request,
        row: Framework,
        target: Target,
        engine: Engine | None,
        reason: str,
        view: View,
    ) -> tuple[Place, Runtime]:
        """Return the place and its runtime. Raises EngineError, ImageError or MachineError."""


def connect(request: Request) -> tuple[Engine | None, str]:
    """Return the engine, or None for the host, and the reason.

    Raises EngineError if the user asked for a container and no engine answers, and RequestError if
    there is no engine for an image or a limit.
    """
    engine, reason = _choose(request.runtime)
    _check_host_can(request, reason, in_container=engine is not None)
    return engine, reason


def _check_host_can(request: Request, reason: str, *, in_container: bool) -> None:
    """Refuse an image, and everything else that needs an engine, for a run on the host."""
    if in_container:
        return
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


def _choose(choice: RuntimeChoice) -> tuple[Engine | None, str]:
    if choice is RuntimeChoice.HOST:
        return None, _ASKED
    from orchestrator.runtimes.docker.client import Engine

    try:
        engine = Engine.connect()
    except EngineError as error:
        if choice is RuntimeChoice.DOCKER:
            hint = f"{error.hint}, or use --runtime host"
            raise EngineError(error.what, hint=hint) from None
        return None, error.what
    return engine, _why(choice, engine)


def _why(choice: RuntimeChoice, engine: Engine | EngineFacts) -> str:
    why = _ASKED if choice is RuntimeChoice.DOCKER else "an engine answers"
    return f"{why}: {engine.name} {engine.version}"


def check_image(request: Request, row: Framework, target: Target, engine: Engine | None) -> None:
    """Check that there is something to run in; `engine` comes from `connect`.

    Raises RequestError if nothing says what that is, and ImageError for an image that this host
    cannot replace without an engine.
    """
    if request.image is not None or (engine is None and row.any_network):
        return
    if engine is None:
        _check_host(_host_row(row, target))
    else:
        _image_row(row, target)


def _check_host(image: ImageRow) -> None:
    from orchestrator.images import environments

    environments.check(image)


def ready_place(
    request: Request,
    row: Framework,
    target: Target,
    engine: Engine | None,
    reason: str,
    view: View,
) -> tuple[Place, Runtime]:
    """Return a place that is ready to run in, and its runtime.

    `engine` and `reason` come from `connect`. Builds, pulls or installs what is missing. Raises
    EngineError, ImageError or MachineError.
    """
    events = _teller(view)
    if engine is not None:
        _tell_reaped(reap(engine), view)
        return _container(request, row, target, engine, reason, events), engine
    # Imported only for the host: a run in a container would wait for it in vain.
    from orchestrator.runtimes.host.records import reap_host
    from orchestrator.runtimes.host.runtime import HostRuntime

    _tell_reaped(reap_host(), view)
    view.note(f"runtime host: {reason}")
    return _host_place(row, target, reason, events), HostRuntime()


def _tell_reaped(names: Iterable[str], view: View) -> None:
    for name in names:
        view.note(f"removed leftovers of a killed benchdock: {name}")


def _teller(view: View) -> OnEvent:
    def tell(event: Event) -> None:
        if event.kind == "stage":
            view.stage(event.text)
        elif event.kind == "warning":
            view.note(f"warning: {event.text}")
        else:
            view.output(event.text.encode() + b"\n")

    return tell


def _image_row(row: Framework, target: Target) -> ImageRow:
    if target.device not in row.images:
        raise RequestError(
            f"{row.name} has no image for the {target.device.upper()}", hint="use --image"
        )
    return image_table.load().row(row.images[target.device])


def _host_row(row: Framework, target: Target) -> ImageRow:
    return image_table.load().for_host(_image_row(row, target))


def _host(image: ImageRow, reason: str, events: OnEvent) -> Place:
    from orchestrator.images import environments

    events(Event("stage", f"preparing the environment of {image.id} on this host"))
    ready = environments.ensure(image, image_table.load(), lambda line: events(Event("line", line)))
    return Place(runtime="host", reason=reason, python=str(ready.python), code=PROJECT)


def _host_place(row: Framework, target: Target, reason: str, events: OnEvent) -> Place:
    if row.any_network:
        return _bare_host(reason)
    return _host(_host_row(row, target), reason, events)


def _bare_host(reason: str) -> Place:
    """Return this host as it is: the user's command brings its environment."""
    return Place(runtime="host", reason=reason, python="python3", code=PROJECT)


def _container(
    request: Request,
    row: Framework,
    target: Target,
    engine: Engine,
    reason: str,
    events: OnEvent,
) -> Place:
    table = image_table.load()
    policy = store.Policy.AUTO
    if request.image is not None:
        ready = store.resolve(request.image, table, engine, policy, events)
    else:
        ready = store.ensure(_image_row(row, target), table, engine, policy, events)
    return place_in(ready, reason)


def place_in(ready: ReadyImage, reason: str) -> Place:
    """Return a container of an image as the place to run in, with what the image needs."""
    return Place(
        runtime="docker",
        reason=reason,
        python="python3",
        image=ready.reference,
        image_id=ready.id,
        image_digest=ready.digest,
        mount_code=ready.mount_backends,
        warnings=ready.warnings,
        needs=_needs(ready.row),
    )


def _needs(image: ImageRow | None) -> Needs:
    if image is None:
        return Needs()
    return Needs(
        capabilities=image.capabilities,
        shm_size=image.shm_size,
        ulimits=tuple(
            Ulimit(name=name, soft=value, hard=value) for name, value in image.ulimits.items()
        ),
    )


def planned_place(
    request: Request, row: Framework, target: Target, engine: Engine | None, reason: str
) -> Place:
    """Return the place that a run would have, without building, pulling or starting anything.

    `engine` and `reason` come from `connect`.
    """
    if engine is None:
        if row.any_network:
            return _bare_host(reason)
        return _planned_host(_host_row(row, target), reason)
    table = image_table.load()
    image, reference = _named_image(request, row, target)
    state = store.state(image, table, engine) if image else None
    if image and state and state.name != reference:
        found: ImageInfo | None = store.other_build(reference, image, engine)
    else:
        found = state.found if state else engine.image(reference)
    warnings = [] if found else [f"the image {reference} is not here yet; a run would get it"]
    if state and state.reason:
        stale = state.kind == "stale"
        here = "only another build of it is here" if stale else f"{reference} cannot be built"
        warnings.append(f"{here}: {state.reason}")
    if state and state.doubt:
        warnings.append(state.doubt)
    return replace(
        _planned_container(image, reference, reason),
        image_id=found.id if found else None,
        image_digest=found.digest if found else None,
        warnings=tuple(warnings),
    )


def _named_image(request: Request, row: Framework, target: Target) -> tuple[ImageRow | None, str]:
    """Return the table row of the request's image, if it has one, and the engine's name of the
    image.
    """
    table = image_table.load()
    if request.image is None:
        image = _image_row(row, target)
        return image, store.name_of(image, table)
    named = table.row_of_tag(request.image)
    if named is None or store.is_other_build(request.image, named, table):
        return named, request.image
    return named, store.name_of(named, table)


def connect_described(request: Request, machine: Machine) -> tuple[EngineFacts | None, str]:
    """Return what `connect` would return on a described machine."""
    engine, reason = _described_engine(request.runtime, machine)
    _check_host_can(request, reason, in_container=engine is not None)
    return engine, reason


def described_place(
    request: Request,
    row: Framework,
    target: Target,
    machine: Machine,
    engine: EngineFacts | None,
    reason: str,
) -> Place:
    """Return the place that a run would have on a described machine.

    `engine` and `reason` come from `connect_described`. Which images that machine has is unknown.
    """
    cpus = machine.cpu.usable
    if engine is None:
        host = _bare_host(reason) if row.any_network else None
        return replace(host or _planned_host(_host_row(row, target), reason), cpus=cpus)
    image, reference = _named_image(request, row, target)
    lacks = target.device == "gpu" and not engine.gpu_support
    warning = (
        "the engine of that machine cannot give containers access to GPUs (run `benchdock "
        "doctor` there)"
    )
    return replace(
        _planned_container(image, reference, reason),
        cpus=cpus,
        warnings=(warning,) if lacks else (),
    )


def _described_engine(choice: RuntimeChoice, machine: Machine) -> tuple[EngineFacts | None, str]:
    if choice is RuntimeChoice.HOST:
        return None, _ASKED
    if machine.engine is not None:
        return machine.engine, _why(choice, machine.engine)
    why = machine.no_engine or "that machine has no container engine"
    if choice is RuntimeChoice.DOCKER:
        raise EngineError(why, hint="use --runtime host")
    return None, why


def _planned_container(image: ImageRow | None, reference: str, reason: str) -> Place:
    return Place(
        runtime="docker",
        reason=reason,
        python="python3",
        image=reference,
        mount_code=image is None or image.source == "vendor",
        needs=_needs(image),
    )


def _planned_host(image: ImageRow, reason: str) -> Place:
    from orchestrator.images import environments

    environments.check(image)
    table = image_table.load()
    ready = environments.existing(image, table)
    folder = environments.folder(image, table)
    python = ready.python if ready else folder / "bin" / "python"
    warnings = () if ready else (f"{folder} would be created first",)
    return Place(runtime="host", reason=reason, python=str(python), code=PROJECT, warnings=warnings)
