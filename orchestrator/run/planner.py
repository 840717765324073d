"""Plans a request for this machine, in steps that can each refuse it.

`resolve` needs no machine, `choose_device` needs the GPU report, `make_plan` needs both and the
place (container or host) where the script will run.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, Literal

from orchestrator.errors import DataError, MachineError, RequestError
from orchestrator.frameworks import catalogue
from orchestrator.frameworks.record import Framework
from orchestrator.images.reference import parse_reference
from orchestrator.machine import inventory
from orchestrator.machine.gpu_facts import GpuReport
from orchestrator.paths import BACKENDS, RunFolder
from orchestrator.plan import NO_NETWORK, Limits, Mount, Plan, Timeouts, Ulimit
from orchestrator.request import Device, Request
from orchestrator.run import (
    container_user,
    demands,
    own_files,
    own_network,
    program_folder,
    surroundings,
    threads,
    variants,
)
from orchestrator.run.launcher import LauncherContext, render
from orchestrator.run.own_files import OwnFiles
from orchestrator.units import counted

if TYPE_CHECKING:
    from orchestrator.machine.gpu_facts import Gpu

# Paths inside a container; the images put the in-image code at CODE themselves.
RUN = "/benchdock/run"
DATA = "/benchdock/data"
SOURCE = "/benchdock/source"
MODEL = "/benchdock/model"
CODE = "/opt/benchdock"

FIRST_OUTPUT_SECONDS = 600.0
SILENCE_SECONDS = 600.0


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What an image needs beyond the safe defaults; sizes in bytes."""

    capabilities: tuple[str, ...] = ()
    shm_size: int | None = None
    ulimits: tuple[Ulimit, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a script runs: which files it sees under which names, and in what image.

    `cpus` is the number of CPUs that a program may use there.
    """

    runtime: Literal["docker", "host"]
    reason: str
    python: str
    image: str | None = None
    image_id: str | None = None
    image_digest: str | None = None
    code: str | Path = CODE
    mount_code: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)
    needs: Needs = Needs()
    cpus: int = field(default_factory=inventory.usable_cpus)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Target:
    """The devices of a run: `gpus` is what the engine gets, empty on the CPU."""

    device: Device
    gpus: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """Number of devices that work in parallel."""
        return len(self.gpus) or 1


def gpu_report(request: Request) -> GpuReport:
    """Look for the GPUs of this machine unless the request needs none."""
    if request.gpus == "none":
        return GpuReport(state="no_gpu", reason="none was requested")
    from orchestrator.machine import gpu

    found = gpu.report()
    return found if found.gpus else replace(found, on_bus=inventory.has_nvidia_device())


def choose_device(request: Request, report: GpuReport) -> Target:
    """Choose the CPU or GPUs.

    Raises MachineError if a GPU was requested and there is none, saying what is missing, and
    RequestError for an index that does not exist.
    """
    if request.gpus == "none" or (request.leaves_device_open and not report.gpus):
        return Target(device="cpu")
    if not report.gpus:
        raise MachineError(
            f"no GPU can be used: {report.reason}", hint="use --gpus none for the CPU"
        )
    if request.gpus == "all":
        chosen = report.gpus
    elif request.gpus is None:
        chosen = _first(request.devices or 1, report)
    else:
        chosen = tuple(_gpu_at(index, report) for index in request.gpus)
        if len(set(chosen)) < len(chosen):
            named = ",".join(map(str, request.gpus))
            raise RequestError(f"--gpus {named} names one GPU twice", hint="name it once")
    return Target(device="gpu", gpus=tuple(gpu.uuid or str(gpu.index) for gpu in chosen))


def unused_gpus(request: Request, report: GpuReport) -> tuple[str, ...]:
    """Warn that a run is on the CPU because no GPU works, although nobody asked for the CPU."""
    broken = report.state in ("not_loaded", "mismatch", "failed")
    if not request.leaves_device_open or report.gpus:
        return ()
    if not (broken or report.on_bus):
        return ()
    return (f"on the CPU, because no GPU can be used: {report.reason} (see `benchdock doctor`)",)


def planned_device(request: Request, report: GpuReport) -> tuple[Target, tuple[str, ...]]:
    """Choose devices for a dry run: what this machine lacks is a warning, not an error."""
    try:
        return choose_device(request, report), ()
    except MachineError as error:
        several = range(request.devices or 1)
        indices = request.gpus if isinstance(request.gpus, tuple) else several
        return Target(device="gpu", gpus=tuple(map(str, indices))), (str(error),)


def _first(count: int, report: GpuReport) -> tuple[Gpu, ...]:
    """Return the first GPUs. Raises RequestError if there are fewer."""
    if count > len(report.gpus):
        raise RequestError(
            f"--devices {count} is too many: this machine has {counted(len(report.gpus), 'GPU')}",
            hint=f"use --devices {len(report.gpus)}",
        )
    return report.gpus[:count]


def _gpu_at(index: int | str, report: GpuReport) -> Gpu:
    for gpu in report.gpus:
        if index in (gpu.index, gpu.uuid):
            return gpu
    there = ", ".join(str(gpu.index) for gpu in report.gpus)
    raise RequestError(f"this machine has no GPU {index}", hint=f"it has {there}")


def resolve(
    request: Request,
    target: Target,
    *,
    elsewhere: bool = False,
    images: Mapping[Device, str] | None = None,
) -> Framework:
    """Check a request against the catalogue and its dataset.

    If the plan is for a machine `elsewhere`, its folders need not exist here. `images` replace
    those of the framework. How many devices it can use is checked later, when one is known to work
    (`fitting.fit`). Raises RequestError, DataError.
    """
    if request.image is not None:
        parse_reference(request.image)
    surroundings.check(request)
    row = catalogue.framework(request.framework)
    if images is not None:
        row = replace(row, images=images)
    row = variants.settle(row, request, target.device)
    catalogue.check(row, request, target.device)
    own_network.check(row, request, catalogue.FRAMEWORKS.values())
    catalogue.check_counts(row, own_network.with_batch(request), target.device)
    demands.check(row, request, target.device, elsewhere=elsewhere)
    if request.data is not None and not (elsewhere and not request.data.exists()):
        check_dataset(request.data)
    return row


def resolve_chosen(
    request: Request, target: Target, report: GpuReport, *, elsewhere: bool = False
) -> Framework:
    """Check a request as `resolve` does, on the device chosen by `choose_device`.

    Raises MachineError if the request needs a GPU and none works.
    """
    try:
        return resolve(request, target, elsewhere=elsewhere)
    except RequestError as error:
        silent = unused_gpus(request, report)
        if not silent or is_able(request, "cpu") or not is_able(request, "gpu"):
            raise
        raise MachineError(
            f"{error.what}, and no GPU can be used: {report.reason}",
            hint="run `benchdock doctor` to see how to fix the GPU, or add --gpus 0 --dry-run to "
            "plan without one",
        ) from None


def is_able(request: Request, device: Device) -> bool:
    """Whether the framework supports the model, phase and number type on a device."""
    try:
        row = variants.settle(catalogue.framework(request.framework), request, device)
        catalogue.check(row, request, device)
    except RequestError:
        return False
    return True


def check_dataset(folder: Path) -> None:
    """Raise DataError unless the folder can be read and is not empty."""
    if folder.resolve() == Path("/"):
        raise DataError("a dataset cannot be the whole file system", hint="use --data FOLDER")
    try:
        with os.scandir(folder) as entries:
            empty = next(entries, None) is None
    except FileNotFoundError:
        raise DataError(f"the dataset {folder} does not exist", hint="use --data FOLDER") from None
    except NotADirectoryError:
        raise DataError(f"the dataset {folder} is a file", hint="use --data FOLDER") from None
    except OSError as error:
        raise DataError(f"the dataset {folder} cannot be read: {error.strerror}") from None
    if empty:
        raise DataError(f"the dataset folder {folder} is empty")


def make_plan(
    request: Request, row: Framework, target: Target, place: Place, folder: RunFolder
) -> Plan:
    """Decide everything that an execution needs.

    Raises RequestError for values that cannot be written to a script, DataError if the container's
    user could not read our programs.
    """
    if place.runtime == "docker" and place.mount_code and row.backend:
        container_user.check_path(
            BACKENDS, container_user.choose(request), "the programs of benchdock"
        )
    return plan_of(
        own_network.with_batch(request), row, target, place, folder, found=own_files.look(request)
    )


def plan_of(
    request: Request,
    row: Framework,
    target: Target,
    place: Place,
    folder: RunFolder,
    *,
    found: OwnFiles,
) -> Plan:
    """Decide as `make_plan` does, without reading files; the request has the fixed batch."""
    context = _context(request, row, target, place, folder)
    script = render(row.launcher, context)
    return _plan(request, row, target, place, folder, context, script=script, found=found)


def _plan(
    request: Request,
    row: Framework,
    target: Target,
    place: Place,
    folder: RunFolder,
    context: LauncherContext,
    *,
    script: str,
    found: OwnFiles,
) -> Plan:
    in_container = place.runtime == "docker"
    run = RUN if in_container else str(folder.root)
    return Plan(
        model=request.model,
        framework=row.name,
        program=row.program,
        phase=request.phase,
        dtype=request.dtype,
        batch=context.batch,
        device=target.device,
        device_count=target.count,
        gpus=target.gpus,
        steps=context.steps,
        warmup=context.warmup,
        fingerprint=found.fingerprint
        if request.model_file
        else catalogue.fingerprint(row, request.model),
        runtime=place.runtime,
        runtime_reason=place.reason,
        image=place.image,
        image_id=place.image_id,
        image_digest=place.image_digest,
        argv=("bash", f"{run}/{folder.launcher.name}"),
        prefix=context.prefix,
        environment={**place.environment, **request.env},
        mounts=_mounts(request, row, place, folder, found) if in_container else (),
        user=container_user.choose(request) if in_container else None,
        network=request.network or NO_NETWORK,
        capabilities=_capabilities(request, place) if in_container else (),
        limits=Limits(
            memory=request.memory,
            pids=request.pids,
            shm_size=request.shm_size or place.needs.shm_size,
            ulimits=place.needs.ulimits,
        ),
        timeouts=Timeouts(
            first_output=request.first_output_timeout or FIRST_OUTPUT_SECONDS,
            silence=request.silence_timeout or SILENCE_SECONDS,
            total=request.timeout,
        ),
        options={**demands.options_of(row, request), **request.options},
        pattern=request.pattern,
        unit=request.unit,
        estimator=request.estimator,
        source=found.source,
        script=script,
        warnings=(
            *place.warnings,
            *demands.notes(row, request),
            *surroundings.notes(request),
            *threads.notes(row, request, target.count, place.cpus),
            *program_folder.notes(found.source),
        ),
    )


@dataclass(frozen=True, kw_only=True)
class ParityContext(LauncherContext):
    """The values that the parity launcher may write."""

    backend: str
    levels: tuple[str, ...]
    models: tuple[str, ...]


def parity_plan(
    request: Request,
    row: Framework,
    target: Target,
    place: Place,
    folder: RunFolder,
    *,
    levels: tuple[str, ...],
    models: tuple[str, ...],
) -> Plan:
    """Plan a framework's parity program."""
    context = _context(request, row, target, place, folder)
    values = {f.name: getattr(context, f.name) for f in fields(context)}
    parity = ParityContext(**values, backend=row.backend, levels=levels, models=models)
    script = render("parity", parity)
    found = own_files.look(request)
    plan = _plan(request, row, target, place, folder, context, script=script, found=found)
    return plan.model_copy(update={"program": "parity"})


def _capabilities(request: Request, place: Place) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*place.needs.capabilities, *surroundings.capabilities(request))))


def _mounts(
    request: Request, row: Framework, place: Place, folder: RunFolder, found: OwnFiles
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
    if place.mount_code and row.backend:
        mounts.append(Mount(source=BACKENDS, target=f"{CODE}/backends"))
    return tuple(mounts)


def _context(
    request: Request, row: Framework, target: Target, place: Place, folder: RunFolder
) -> LauncherContext:
    batch, steps, warmup = catalogue.check_counts(row, request, target.device)
    in_container = place.runtime == "docker"
    data = _seen(request.data, DATA, in_container=in_container)
    mounted = _seen(request.source, SOURCE, in_container=in_container)
    own = request.model_file
    run = PurePath(RUN) if in_container else folder.root
    told: dict[str, Any] = {
        "model": request.model,
        "phase": request.phase,
        "dtype": request.dtype,
        "batch": batch,
        "devices": target.count,
        "steps": steps,
        "warmup": warmup,
        "data": data,
        "source": demands.source_of(row, request, mounted),
    }
    return LauncherContext(
        **told,
        run_id=folder.run_id,
        work_folder=run / folder.outputs.name,
        log=run / folder.log.name,
        python=_python(place),
        module_path=(PurePath(place.code),) if row.backend else (),
        network="" if own else catalogue.network(row, request.model),
        model_file=_seen(own, f"{MODEL}/{own.name}", in_container=in_container) if own else None,
        block=row.block,
        device=target.device,
        warmup_seconds=catalogue.DEFAULTS[target.device].warmup_seconds,
        threads=threads.per_process(row, request, target.count, place.cpus),
        seed=request.seed,
        command=demands.command_of(request, told),
        prefix=surroundings.prefix_of(request),
        environment=surroundings.exported(request),
        options=demands.options_of(row, request),
        flags=demands.flags_of(request),
    )


def _python(place: Place) -> str:
    """Return the interpreter: `python` in NVIDIA's oldest images is Python 2.7."""
    old = place.image is not None and parse_reference(place.image).has_python_2
    return "python" if old else place.python


def _seen(path: Path | None, mounted_at: str, *, in_container: bool) -> PurePath | None:
    """Return a file or folder of the host as the program sees it."""
    if path is None:
        return None
    return PurePath(mounted_at) if in_container else path.absolute()
