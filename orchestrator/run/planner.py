"""Plans a decided run: everything that an execution needs, for the place where it will run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path

from orchestrator.frameworks import catalogue
from orchestrator.frameworks.record import Framework
from orchestrator.paths import BACKENDS, RunFolder
from orchestrator.plan import (
    MACHINE_NETWORK,
    NO_NETWORK,
    Limits,
    Mount,
    Plan,
    ProgramFolder,
    Timeouts,
)
from orchestrator.request import Request
from orchestrator.run import (
    container_user,
    data_folder,
    own_network,
    program_folder,
    program_rules,
    surroundings,
)
from orchestrator.run.context import context_of, thread_notes
from orchestrator.run.devices import Target
from orchestrator.run.launcher import LauncherContext, render
from orchestrator.run.place import CODE, DATA, MODEL, RUN, SOURCE, Place

FIRST_OUTPUT_SECONDS = 600.0
SILENCE_SECONDS = 600.0


@dataclass(frozen=True, kw_only=True)
class OwnFiles:
    """The fingerprint and the files of a network, and the contents of a program's folder."""

    fingerprint: str | None = None
    model_files: tuple[Path, ...] = ()
    source: ProgramFolder | None = None


def make_plan(
    request: Request, framework: Framework, target: Target, place: Place, folder: RunFolder
) -> Plan:
    """Decide everything that an execution needs.

    Raises RequestError for values that cannot be written to a script, DataError if the container's
    user could not read our programs.
    """
    if place.runtime != "host" and place.mount_code and framework.backend:
        container_user.check_path(BACKENDS, _user(request, place), "the programs of benchdock")
    return plan_of(
        own_network.with_batch(request),
        framework,
        target,
        place,
        folder,
        found=_read_files(request),
    )


def _read_files(request: Request) -> OwnFiles:
    """Read the files that a request names. Raises DataError."""
    own, source = request.model_file, request.source
    return OwnFiles(
        fingerprint=own_network.fingerprint(own) if own else None,
        model_files=tuple(own_network.files(own)) if own else (),
        # It may exist only on the machine that the run is planned for.
        source=program_folder.examine(source) if source is not None and source.exists() else None,
    )


def plan_of(
    request: Request,
    framework: Framework,
    target: Target,
    place: Place,
    folder: RunFolder,
    *,
    found: OwnFiles,
) -> Plan:
    """Decide as `make_plan` does, without reading files; the request has the fixed batch."""
    context = context_of(request, framework, target, place, folder)
    in_container = place.runtime != "host"
    run = RUN if in_container else str(folder.root)
    return Plan(
        model=request.model,
        framework=framework.name,
        program=framework.program,
        phase=request.phase,
        dtype=request.dtype,
        batch=context.batch,
        device=target.device,
        device_count=target.count,
        gpus=target.gpus,
        near_cpus=target.near_cpus,
        steps=context.steps,
        warmup=context.warmup,
        fingerprint=_fingerprint(request, framework, found),
        runtime=place.runtime,
        runtime_reason=place.reason,
        image=place.image,
        image_id=place.image_id,
        image_digest=place.image_digest,
        argv=("bash", f"{run}/{folder.launcher.name}"),
        prefix=context.prefix,
        environment={**place.environment, **request.env},
        mounts=_mounts(request, framework, place, folder, found) if in_container else (),
        user=_user(request, place) if in_container else None,
        network=_network(request, place),
        lacks=place.lacks,
        capabilities=_capabilities(request, place) if in_container else (),
        limits=_limits(request, framework, place, context),
        timeouts=_timeouts(request),
        options={**context.options, **request.options},
        pattern=request.pattern,
        unit=request.unit,
        estimator=request.estimator,
        source=found.source,
        data=data_folder.examine(request.data) if request.data is not None else None,
        interpreter=place.interpreter,
        script=render(framework.launcher, context),
        warnings=tuple(_warnings(request, framework, target, place, found)),
    )


def plan_program(
    request: Request,
    framework: Framework,
    target: Target,
    place: Place,
    folder: RunFolder,
    *,
    program: str,
    context: Callable[..., LauncherContext],
    **values: object,
) -> Plan:
    """Plan one of our other programs in the place of a benchmark, such as "parity".

    `program` also names its launcher, `values` are those that its `context` adds. Raises as
    `make_plan` does.
    """
    plan = make_plan(request, framework, target, place, folder)
    usual = context_of(request, framework, target, place, folder)
    told = {field.name: getattr(usual, field.name) for field in fields(usual)}
    script = render(program, context(**told, **values))
    return plan.model_copy(update={"program": program, "script": script})


def _fingerprint(request: Request, framework: Framework, found: OwnFiles) -> str | None:
    """Return what identifies the network: the user's file, or the zoo's model."""
    if request.model_file is not None:
        return found.fingerprint
    return catalogue.fingerprint(framework, request.model)


def _limits(
    request: Request, framework: Framework, place: Place, context: LauncherContext
) -> Limits:
    needed = place.needs.shm_size
    if request.data is not None and place.runtime != "host":
        shared = data_folder.shared_memory(framework, context, place.cpus)
        needed = max(needed or 0, shared) or None
    return Limits(
        memory=request.memory,
        pids=request.pids,
        shm_size=request.shm_size or needed,
        ulimits=place.needs.ulimits,
    )


def _timeouts(request: Request) -> Timeouts:
    return Timeouts(
        first_output=request.first_output_timeout or FIRST_OUTPUT_SECONDS,
        silence=request.silence_timeout or SILENCE_SECONDS,
        total=request.timeout,
    )


def _warnings(
    request: Request, framework: Framework, target: Target, place: Place, found: OwnFiles
) -> Iterator[str]:
    yield from place.warnings
    yield from program_rules.notes(framework, request)
    yield from surroundings.notes(request)
    yield from thread_notes(framework, request, target.count, target.used_cpus(place.cpus))
    if found.source is not None:
        yield from program_folder.notes(found.source)


def _user(request: Request, place: Place) -> str:
    return container_user.caller() if place.as_caller else container_user.choose(request)


def _network(request: Request, place: Place) -> str:
    """Return the network of the program: that of this machine if no other can be given."""
    if "network" in place.lacks:
        return MACHINE_NETWORK
    return request.network or NO_NETWORK


def _capabilities(request: Request, place: Place) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*place.needs.capabilities, *surroundings.capabilities(request))))


def _mounts(
    request: Request, framework: Framework, place: Place, folder: RunFolder, found: OwnFiles
) -> tuple[Mount, ...]:
    # One by one: only the host may write and see the rest of the run folder.
    mounts = [
        Mount(source=folder.launcher, target=f"{RUN}/{folder.launcher.name}"),
        Mount(source=folder.log, target=f"{RUN}/{folder.log.name}", read_only=False),
        Mount(source=folder.outputs, target=f"{RUN}/{folder.outputs.name}", read_only=False),
    ]
    if request.data is not None:
        mounts.append(Mount(source=request.data.absolute(), target=DATA))
    if request.source is not None:
        mounts.append(Mount(source=request.source.absolute(), target=SOURCE))
    mounts += [Mount(source=file, target=f"{MODEL}/{file.name}") for file in found.model_files]
    if place.mount_code and framework.backend:
        mounts.append(Mount(source=BACKENDS, target=f"{CODE}/backends"))
    return tuple(mounts)
