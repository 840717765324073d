"""The values that a launcher script gets: a request as the program will see it in its place."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import Any

from orchestrator.frameworks import catalogue, record
from orchestrator.frameworks.record import Framework
from orchestrator.images.reference import parse_any
from orchestrator.paths import RunFolder
from orchestrator.request import Request
from orchestrator.run import program_rules, surroundings
from orchestrator.run.devices import Target
from orchestrator.run.launcher import LauncherContext
from orchestrator.run.place import DATA, MODEL, RUN, SOURCE, Place


def context_of(
    request: Request, framework: Framework, target: Target, place: Place, folder: RunFolder
) -> LauncherContext:
    """Return the values that a launcher may write; the request has the fixed batch."""
    batch, steps, warmup = record.settle_counts(framework, request, target.device)
    in_container = place.runtime != "host"
    data = _seen(request.data, DATA, in_container=in_container)
    mounted = _seen(request.source, SOURCE, in_container=in_container)
    own = request.model_file
    run = PurePath(RUN) if in_container else folder.root
    nodes = surroundings.nodes_of(request)
    told: dict[str, Any] = {
        "model": request.model,
        "phase": request.phase,
        "dtype": request.dtype,
        "batch": batch,
        "devices": target.count,
        "steps": steps,
        "warmup": warmup,
        "data": data,
        "source": program_rules.source_of(framework, request, mounted),
    }
    return LauncherContext(
        **told,
        run_id=folder.run_id,
        work_folder=run / folder.outputs.name,
        log=run / folder.log.name,
        python=_python(place),
        module_path=(PurePath(place.code),) if framework.backend or nodes > 1 else (),
        network="" if own else catalogue.network(framework, request.model),
        model_file=_seen(own, f"{MODEL}/{own.name}", in_container=in_container) if own else None,
        block=framework.step_rules.block,
        device=target.device,
        warmup_seconds=record.DEFAULTS[target.device].warmup_seconds,
        threads=threads_per_process(framework, request, target.count, target.used_cpus(place.cpus)),
        near_cpus=" ".join(target.near_cpus),
        seed=request.seed,
        measure=request.measure,
        command=program_rules.command_of(request, told),
        prefix=surroundings.prefix_of(request),
        nodes=nodes,
        environment=surroundings.exported(request),
        options=program_rules.options_of(framework, request),
        flags=program_rules.flags_of(request),
    )


def _python(place: Place) -> str:
    """Return the interpreter: `python` in NVIDIA's oldest images is Python 2.7."""
    old = place.image is not None and parse_any(place.image).has_python_2
    return "python" if old else place.python


def _seen(path: Path | None, mounted_at: str, *, in_container: bool) -> PurePath | None:
    """Return a file or folder of the host as the program sees it."""
    if path is None:
        return None
    return PurePath(mounted_at) if in_container else path.absolute()


def threads_per_process(framework: Framework, request: Request, devices: int, cpus: int) -> int:
    """Return the threads per process: what was requested, else its share of the CPUs."""
    return request.threads or max(1, cpus // _processes(framework, request, devices))


def thread_notes(framework: Framework, request: Request, devices: int, cpus: int) -> Iterator[str]:
    """Warn if there are more threads than CPUs."""
    if request.threads is None:
        return
    processes = _processes(framework, request, devices)
    if request.threads * processes > cpus:
        who = f"{processes} processes of {request.threads}" if processes > 1 else request.threads
        yield f"{who} threads share {cpus} CPUs: they wait for each other"


def _processes(framework: Framework, request: Request, devices: int) -> int:
    shared = framework.starts_processes(program_rules.options_of(framework, request))
    return devices if shared or request.ranks else 1
