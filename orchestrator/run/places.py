"""Finds the place where a program runs: a container of a ready image, or this host."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, cast

from orchestrator.images import image_table, store
from orchestrator.images.contract import BuildEvent, OnEvent
from orchestrator.images.image_table import Image
from orchestrator.images.store import ReadyImage
from orchestrator.paths import PROJECT
from orchestrator.plan import Ulimit
from orchestrator.run.decision import Decision
from orchestrator.run.place import Needs, Place
from orchestrator.runtimes.contract import Runtime
from orchestrator.runtimes.docker.reaper import reap
from orchestrator.view import View

if TYPE_CHECKING:
    from orchestrator.runtimes.docker.client import Engine
    from orchestrator.runtimes.docker.images import ImageInfo


class FindPlace(Protocol):
    """Prepares the place of a decided run; `ready_place` is one."""

    def __call__(self, decision: Decision, view: View) -> tuple[Place, Runtime]:
        """Return the place and its runtime. Raises EngineError, ImageError or MachineError."""


def ready_place(decision: Decision, view: View) -> tuple[Place, Runtime]:
    """Return a place that is ready to run in, and its runtime.

    Builds, pulls or installs what is missing. Raises EngineError, ImageError or MachineError.
    """
    events = _teller(view)
    if decision.engine is not None:
        engine = live(decision)
        _tell_reaped(reap(engine), view)
        return _container(decision, engine, events), engine
    if decision.program is not None:
        from orchestrator.run import program_place
        from orchestrator.runtimes.by_command.runtime import CommandLineRuntime

        _tell_reaped((*_reap_processes(), *program_place.reaped(decision.program)), view)
        place = program_place.ready(decision, _needs, events)
        return place, CommandLineRuntime(decision.program)
    # Imported only for the host: a run in a container would wait for it in vain.
    from orchestrator.runtimes.host.runtime import HostRuntime

    _tell_reaped(_reap_processes(), view)
    view.note(f"runtime host: {decision.reason}")
    return _host_place(decision, events), HostRuntime()


def _reap_processes() -> tuple[str, ...]:
    from orchestrator.runtimes.host.running import reap_host

    return reap_host()


def live(decision: Decision) -> Engine:
    """Return the engine of this machine, for which the decision was made."""
    return cast("Engine", decision.engine)


def _tell_reaped(names: Iterable[str], view: View) -> None:
    for name in names:
        view.note(f"removed leftovers of a killed benchdock: {name}")


def _teller(view: View) -> OnEvent:
    def tell(event: BuildEvent) -> None:
        if event.kind == "stage":
            view.stage(event.text)
        elif event.kind == "warning":
            view.note(f"warning: {event.text}")
        else:
            view.output(event.text.encode() + b"\n")

    return tell


def _host_place(decision: Decision, events: OnEvent) -> Place:
    image = decision.image
    if image is None:
        return _bare_host(decision)
    from orchestrator.images import environments

    events(BuildEvent("stage", f"preparing the environment of {image.id} on this host"))
    ready = environments.ensure(
        image, image_table.load(), lambda line: events(BuildEvent("line", line))
    )
    return _on_host(decision, str(ready.python))


def _on_host(decision: Decision, python: str, warnings: tuple[str, ...] = ()) -> Place:
    return Place(
        runtime="host",
        reason=decision.reason,
        python=python,
        interpreter=decision.python,
        code=PROJECT,
        cpus=decision.cpus,
        warnings=warnings,
    )


def _bare_host(decision: Decision) -> Place:
    """Return this host as it is: the user's Python or command brings its environment."""
    named = decision.python.path if decision.python else decision.request.python
    return _on_host(decision, str(named or "python3"))


def _container(decision: Decision, engine: Engine, events: OnEvent) -> Place:
    table, request = image_table.load(), decision.request
    policy = store.Policy.AUTO
    if request.image is not None:
        ready = store.resolve(request.image, table, engine, policy, events)
    else:
        assert decision.image is not None  # or the decision would have been refused
        ready = store.ensure(decision.image, table, engine, policy, events)
    return place_in(ready, decision)


def place_in(ready: ReadyImage, decision: Decision) -> Place:
    """Return a container of an image as the place to run in, with what the image needs."""
    return Place(
        runtime=decision.runtime,
        reason=decision.reason,
        python="python3",
        image=ready.reference,
        image_id=ready.id,
        image_digest=ready.digest,
        mount_code=ready.mount_backends,
        cpus=decision.cpus,
        warnings=ready.warnings,
        needs=_needs(ready.image),
    )


def _needs(image: Image | None) -> Needs:
    if image is None:
        return Needs()
    return Needs(
        capabilities=image.capabilities,
        shm_size=image.shm_size,
        ulimits=tuple(
            Ulimit(name=name, soft=value, hard=value) for name, value in image.ulimits.items()
        ),
    )


def planned_place(decision: Decision) -> Place:
    """Return the place that a run would have, without building, pulling or starting anything."""
    if decision.program is not None:
        from orchestrator.run import program_place

        return program_place.planned(decision, _needs)
    if decision.engine is None:
        image = decision.image
        return _bare_host(decision) if image is None else _planned_host(decision, image)
    image, reference = _named_image(decision)
    place = _planned_container(decision, image, reference)
    if decision.elsewhere:
        return replace(place, warnings=_elsewhere(decision))
    return _as_here(place, image, reference, live(decision))


def _as_here(place: Place, image: Image | None, reference: str, engine: Engine) -> Place:
    """Return the place with the image as the engine has it, and warnings if it has not."""
    state = store.state(image, image_table.load(), engine) if image else None
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
        place,
        image_id=found.id if found else None,
        image_digest=found.digest if found else None,
        warnings=tuple(warnings),
    )


def _elsewhere(decision: Decision) -> tuple[str, ...]:
    """Warn about another machine's engine; which images that machine has is unknown."""
    able = decision.engine is not None and getattr(decision.engine, "gpu_support", True)
    if decision.target.device == "cpu" or able:
        return ()
    return (
        "the engine of that machine cannot give containers access to GPUs (run `benchdock "
        "doctor` there)",
    )


def _named_image(decision: Decision) -> tuple[Image | None, str]:
    """Return the image of our table that the request means, if any, and the engine's name of it."""
    table, named = image_table.load(), decision.request.image
    if named is None:
        assert decision.image is not None  # or the decision would have been refused
        return decision.image, store.name_of(decision.image, table)
    known = table.image_of_tag(named)
    if known is None or store.is_other_build(named, known, table):
        return known, named
    return known, store.name_of(known, table)


def _planned_container(decision: Decision, image: Image | None, reference: str) -> Place:
    return Place(
        runtime=decision.runtime,
        reason=decision.reason,
        python="python3",
        image=reference,
        mount_code=image is None or image.source == "vendor",
        cpus=decision.cpus,
        needs=_needs(image),
    )


def _planned_host(decision: Decision, image: Image) -> Place:
    from orchestrator.images import environments

    environments.check(image)
    table = image_table.load()
    ready = environments.existing(image, table)
    folder = environments.folder(image, table)
    python = ready.python if ready else folder / "bin" / "python"
    warnings = () if ready else (f"{folder} would be created first",)
    return _on_host(decision, str(python), warnings)
