"""Finds the place of a run in a container that a program starts by command line."""

from __future__ import annotations

import hashlib
import os
import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from orchestrator.errors import ImageError, MachineError
from orchestrator.images import digests, image_table, store
from orchestrator.images.contract import BuildEvent, OnEvent
from orchestrator.images.image_table import Image
from orchestrator.paths import home, write_aside
from orchestrator.plan import Plan
from orchestrator.run.decision import Decision
from orchestrator.run.place import Needs, Place
from orchestrator.runtimes.by_command import finding, references
from orchestrator.runtimes.by_command.containers import Podman
from orchestrator.runtimes.by_command.platforms import (
    APPTAINER,
    PLATFORMS,
    PODMAN,
    SRUN,
    ContainerProgram,
)
from orchestrator.runtimes.by_command.rendering import rendered
from orchestrator.runtimes.docker.images import ImageInfo
from orchestrator.runtimes.docker.reaper import reap

NeedsOf = Callable[[Image | None], Needs]


def ready(decision: Decision, needs_of: NeedsOf, events: OnEvent) -> Place:
    """Return the place with an image that is here.

    Raises ImageError, EngineError, MachineError, and RequestError for a name of an image that the
    platform does not read.
    """
    program = _of(decision)
    if program.platform is SRUN and not program.node:
        raise MachineError(
            "--runtime srun works on a node of an allocation, and this is not one",
            hint="run `srun --nodes=1 --ntasks=1 --exclusive benchdock run ...`, or `sbatch` it",
        )
    image, name = _named(decision)
    if program.platform is PODMAN:
        return _in_podman(decision, program, needs_of, events)
    if not references.is_file(name):
        return _place(decision, program, name, needs_of(image))
    file = Path(name)
    if not file.exists():
        raise ImageError(
            f"the image file {file} is not on this machine",
            hint="copy it here, or use the name of an image in a registry",
        )
    events(BuildEvent("stage", f"identifying {file.name}"))
    return replace(_place(decision, program, name, needs_of(image)), image_id=_digest(file))


def planned(decision: Decision, needs_of: NeedsOf) -> Place:
    """Return the place that a run would have, without pulling or starting anything."""
    program = _of(decision)
    image, name = _named(decision)
    place = _place(decision, program, name, needs_of(image))
    if not program.path:
        return place
    if program.platform is PODMAN:
        try:
            found = _found(image, name, Podman(program))
        except ImageError as error:
            return replace(place, warnings=(str(error),))
        if found is None:
            return replace(place, warnings=(f"the image {name} is not here; a run would pull it",))
        return _with(place, found)
    if references.is_file(name) and not Path(name).exists():
        return replace(place, warnings=(f"the image file {name} is not here",))
    return place


def reaped(program: ContainerProgram) -> tuple[str, ...]:
    """Remove the containers of killed benchdocks, where they have labels. Raises EngineError."""
    return reap(Podman(program)) if program.platform is PODMAN else ()


def command_of(plan: Plan) -> str:
    """Return the command that starts a plan as one would type it.

    Of another machine's program, or one that is missing, the usual properties are taken. Raises
    MachineError for what the platform cannot express.
    """
    try:
        program = finding.look(plan.runtime)
    except MachineError:
        program = ContainerProgram(platform=PLATFORMS[plan.runtime])
    found = rendered(plan, program)
    before = (f"{name}={shlex.quote(text)}" for name, text in found.environment.items())
    return " ".join((*before, shlex.join(found.argv)))


def _of(decision: Decision) -> ContainerProgram:
    assert decision.program is not None
    return decision.program


def _named(decision: Decision) -> tuple[Image | None, str]:
    """Return the image of our table that is meant, if any, and the name that the plan gets.

    Raises RequestError for a name that the platform does not read, ImageError for one of our images
    that must be a file there.
    """
    program, table, asked = _of(decision), image_table.load(), decision.request.image
    known = decision.image if asked is None else table.image_of_tag(asked)
    if known is not None and known.source == "build" and program.platform is not PODMAN:
        raise ImageError(
            f"{program.platform.title} has no images of its own, so {known.id} must be a file",
            hint=_how_to_make(known, program),
        )
    if known is not None and not (asked and store.is_other_build(asked, known, table)):
        return known, store.name_of(known, table)
    assert asked is not None  # or the decision would have been refused
    name = references.written(asked, program.platform.name)
    return known, name if references.is_file(asked) else asked


def _how_to_make(image: Image, program: ContainerProgram) -> str:
    form = "oci" if program.platform is APPTAINER else "sqsh"
    commands = [f"benchdock images export {image.id} --format {form}"]
    if program.platform is APPTAINER:
        commands.append(f"apptainer build {image.id}.sif oci-archive:{image.id}.tar")
    typed = " and ".join(f"`{one}`" for one in commands)
    suffix = "sif" if program.platform is APPTAINER else "sqsh"
    return f"run {typed}, and use --image {image.id}.{suffix}"


def _place(decision: Decision, program: ContainerProgram, name: str, needs: Needs) -> Place:
    return Place(
        runtime=program.platform.name,
        reason=decision.reason,
        python="python3",
        image=name,
        # Of a file or a name it is not known whether our code is in it.
        mount_code=True,
        cpus=decision.cpus,
        lacks=program.ordered_lacks,
        as_caller=program.platform.as_caller,
        needs=needs,
    )


def _in_podman(
    decision: Decision, program: ContainerProgram, needs_of: NeedsOf, events: OnEvent
) -> Place:
    image, name = _named(decision)
    podman = Podman(program)
    found = _found(image, name, podman)
    if found is None:
        events(BuildEvent("stage", f"pulling {name}"))
        found = podman.pull(name, lambda line: events(BuildEvent("line", line)))
    return _with(_place(decision, program, name, needs_of(image)), found)


def _found(image: Image | None, name: str, podman: Podman) -> ImageInfo | None:
    """Return an image of podman's store, None if a registry may have it.

    Raises ImageError for one of our images that is not here, or not with today's programs.
    """
    found = podman.image(name)
    if found is None and image is not None:
        # One that was loaded from a file may have only its readable name.
        found = podman.image(image.tag)
    ours = image is not None and image.source == "build"
    if found is None and ours:
        assert image is not None
        raise ImageError(f"podman has no image {name}", hint=_how_to_load(image))
    if found is not None and digests.BACKENDS in found.labels:
        reason = digests.why_code_stale(found.labels)
        if reason:
            hint = _how_to_load(image) if image is not None else "load today's build of it"
            raise ImageError(f"podman's {found.reference} is out of date: {reason}", hint=hint)
    return found


def _with(place: Place, found: ImageInfo) -> Place:
    ours = digests.BACKENDS in found.labels
    return replace(place, image_id=found.id, image_digest=found.digest, mount_code=not ours)


def _how_to_load(image: Image) -> str:
    table = image_table.load()
    name = store.name_of(image, table)
    return (
        f"run `benchdock images build {image.id}` with Docker, then `docker save {name} | podman "
        "load`"
    )


def _digest(file: Path) -> str:
    """Return the SHA-256 of an image file, which is read once as long as it does not change.

    Raises ImageError if it cannot be read.
    """
    try:
        seen = file.stat()
        key = f"{file.resolve()} {seen.st_size} {seen.st_mtime_ns} {seen.st_ino}"
        name = hashlib.sha256(os.fsencode(key)).hexdigest()
        kept = home() / "image-files" / name
        if kept.exists():
            return kept.read_text("ascii").strip()
        with file.open("rb") as stream:
            found = f"sha256:{hashlib.file_digest(stream, 'sha256').hexdigest()}"
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_aside(kept, f"{found}\n")
    except OSError as error:
        raise ImageError(f"cannot read the image file {file}: {error.strerror}") from None
    return found
