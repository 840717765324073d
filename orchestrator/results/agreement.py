"""Checks that the request, plan, log and result of a bundle describe the same run.

Explicit statements are compared whichever version of benchdock wrote them; what a version decides
by itself (defaults, the text of a launcher) only if it is this version.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from orchestrator.frameworks import catalogue
from orchestrator.images import image_table
from orchestrator.machine import inventory
from orchestrator.plan import Interpreter, Plan
from orchestrator.program_facts import ProgramFacts
from orchestrator.request import Request, RuntimeChoice
from orchestrator.result import Measurement, Result
from orchestrator.results import scripts
from orchestrator.results.bundle import LOG, PLAN, REQUEST, RESULT
from orchestrator.results.disagreement import Disagreement
from orchestrator.run import container_user
from orchestrator.run.place import DATA, MODEL, SOURCE
from orchestrator.runtimes.host.interpreter import PROGRAMS
from orchestrator.version import VERSION

# What the reader of a log adds: a collector may have stored it since.
_OF_READING = frozenset({"prefixes", "evidence"})


def is_by_this_version(result: Result) -> bool:
    """Whether the same code wrote a result as reads it, as far as the result says.

    A clone with uncommitted changes may be any code.
    """
    told = result.environment
    same = result.benchdock == VERSION and told.commit == inventory.own_commit()
    return same and not told.dirty


def of_plan(result: Result, request: Request, plan: Plan) -> Iterator[Disagreement]:
    """Yield disagreements between request, plan, script and result."""
    yield from _of_result(result, plan)
    yield from _of_request(request, plan)
    yield from _of_devices(plan)
    yield from scripts.stated(result, request, plan)
    if is_by_this_version(result):
        yield from scripts.planned_again(result, request, plan)


def of_log(result: Result, plan: Plan, found: Measurement) -> Iterator[Disagreement]:
    """Yield disagreements between the log and the plan or the result."""
    begin, told = _plain(found.begin), _plain(result.program)
    ours, exact = plan.program == "benchdock", is_by_this_version(result)
    if ours and begin:
        yield from _of_data(result, begin)
        planned = {**scripts.arguments(plan), "framework": plan.framework}
        if (plan.fingerprint or "").startswith("file:"):
            del planned["model"]  # there it is the name of the file
        for fact, value in planned.items():
            if begin.get(fact) not in (None, value):
                yield Disagreement(fact, LOG, begin[fact], PLAN, value)
    if ours and result.status == "ok" and not begin:
        return  # which is a separate failure with a better message
    # The result of a run that was lost in the middle may lack the figures of the log.
    for name in (
        sorted({**told, **begin}.keys() - _OF_READING) if told or result.status == "ok" else ()
    ):
        # Versions differ in what they read from a log, but not in what our program wrote there.
        written = begin.get(name) is not None
        comparable = exact or (ours and (written or name in told)) or (written and name in told)
        if comparable and _text(begin.get(name)) != _text(told.get(name)):
            yield Disagreement(name, LOG, begin.get(name), RESULT, told.get(name))
    if exact and result.status == "ok":
        yield from _lost("a warning", PLAN, plan.warnings, result.warnings)
        yield from _lost("a warning", LOG, found.warnings, result.warnings)
        yield from _lost("a note", LOG, found.notes, result.notes)


def _of_data(result: Result, begin: Mapping[str, Any]) -> Iterator[Disagreement]:
    asked = result.request.data if result.request else None
    if begin.get("data") not in (None, "real" if asked else "synthetic"):
        yield Disagreement("data", LOG, begin["data"], REQUEST, asked)


def _plain(found: ProgramFacts) -> dict[str, Any]:
    """Return it as it would be in a file."""
    plain: dict[str, Any] = json.loads(json.dumps(found.model_dump(), default=str))
    return plain


def _text(value: object) -> str:
    return json.dumps(value, sort_keys=True)


def _lost(
    what: str, part: str, known: tuple[str, ...], told: tuple[str, ...]
) -> Iterator[Disagreement]:
    for text in known:
        if text not in told:
            yield Disagreement(what, part, text, RESULT, None)


def _of_result(result: Result, plan: Plan) -> Iterator[Disagreement]:
    """Yield disagreements within a result."""
    if (result.status == "failed") != (result.failure is not None):
        kind = result.failure.kind if result.failure else None
        yield Disagreement("the end", "its status", result.status, "its failure", kind)
    about = "its environment"
    version = result.environment.benchdock
    if version not in (None, result.benchdock):
        yield Disagreement("benchdock", RESULT, result.benchdock, about, version)
    there = [one.uuid for one in result.environment.gpus if one.uuid]
    for gpu in plan.gpus if there else ():
        if gpu.startswith("GPU-") and gpu not in there:
            yield Disagreement("a GPU", PLAN, gpu, about, ", ".join(there))


def _of_devices(plan: Plan) -> Iterator[Disagreement]:
    count = len(plan.gpus) if plan.device == "gpu" else 1
    if plan.device_count != count or (plan.device == "cpu" and plan.gpus):
        counted = f"{plan.device_count} x {plan.device}"
        listed = f"{len(plan.gpus)} GPUs"
        yield Disagreement("the devices", f"{PLAN} (device_count)", counted, "its gpus", listed)


def _of_request(request: Request, plan: Plan) -> Iterator[Disagreement]:
    """Yield what was requested but not planned; benchdock chooses what nobody requested."""
    for name, (asked, planned) in (_always(request, plan) | _chosen(request, plan)).items():
        if asked != planned:
            yield Disagreement(name, REQUEST, asked, PLAN, planned)
    yield from _of_gpus(request, plan)
    for key, text in request.options.items():
        if plan.options.get(key) != text:
            yield Disagreement(f"option {key}", REQUEST, text, PLAN, plan.options.get(key))
    if request.as_root and plan.user != container_user.ROOT:
        yield Disagreement("the user", REQUEST, "root", PLAN, plan.user)
    for key, text in request.env.items():
        if plan.environment.get(key) != text:
            yield Disagreement(f"variable {key}", REQUEST, text, PLAN, plan.environment.get(key))
    yield from _of_python(request.python, plan.interpreter)
    if plan.in_container:
        yield from _of_mounts(request, plan)


def _of_python(asked: Path | None, planned: Interpreter | None) -> Iterator[Disagreement]:
    """Compare the user's Python, or the folder that has it, with the one that was planned."""
    found = planned.path if planned is not None else None
    may_be = [asked] if asked is None else [asked, *(asked / name for name in PROGRAMS)]
    if not any(_is_of(one, found) for one in may_be):
        yield Disagreement("the Python", REQUEST, asked, PLAN, found)


_Pairs = dict[str, tuple[object, object]]


def _always(request: Request, plan: Plan) -> _Pairs:
    """Return what must be planned as requested, even if not requested at all."""
    names = ("model", "phase", "dtype", "pattern", "unit", "estimator")
    return {
        **{name: (getattr(request, name), getattr(plan, name)) for name in names},
        "framework": (catalogue.without_alias(request.framework), plan.framework),
        "timeout": (request.timeout, plan.timeouts.total),
        "memory": (request.memory, plan.limits.memory),
        "pids": (request.pids, plan.limits.pids),
    }


def _chosen(request: Request, plan: Plan) -> _Pairs:
    """Return what must be planned as requested, if it was requested."""
    anywhere = request.runtime is RuntimeChoice.AUTO
    pairs: _Pairs = {
        "batch": (request.batch, plan.batch),
        "first output": (request.first_output_timeout, plan.timeouts.first_output),
        "silence": (request.silence_timeout, plan.timeouts.silence),
        "shm size": (request.shm_size, plan.limits.shm_size),
        "runtime": (None if anywhere else str(request.runtime), plan.runtime),
        "image": _images(request.image, plan.image),
    }
    framework = catalogue.FRAMEWORKS.get(plan.framework)
    if framework is not None and not framework.step_rules.windows:  # which rounds them
        pairs["steps"] = (request.steps, plan.steps)
        pairs["warmup"] = (request.warmup, plan.warmup)
    return {name: pair for name, pair in pairs.items() if pair[0] is not None}


def _images(asked: str | None, planned: str | None) -> tuple[str | None, str | None]:
    """Return the requested and the planned image in comparable form.

    An id or a readable name stands for the build that was current at that time.
    """
    table = image_table.load()
    image = table.image_of_tag(asked) if asked else None
    if image is None or asked not in (image.id, image.tag, image.repository):
        return asked, planned
    return image.tag, image.tag if planned and table.image_of_tag(planned) is image else planned


def _of_gpus(request: Request, plan: Plan) -> Iterator[Disagreement]:
    asked, fits = f"--gpus {request.gpus}", plan.device == "gpu"
    if request.devices is not None:
        asked = f"--devices {request.devices}"
        fits = fits and plan.device_count == request.devices
    elif request.is_for_cpu:
        asked = f"--gpus none --ranks {request.ranks or 1}"
        fits = plan.device == "cpu" and plan.device_count == (request.ranks or 1)
    elif request.gpus is None:
        asked, fits = "one device", plan.device_count == 1
    elif isinstance(request.gpus, tuple):
        asked = f"{len(request.gpus)} GPUs"
        fits = fits and plan.device_count == len(request.gpus)
    if not fits:
        planned = f"{plan.device_count} x {plan.device}"
        yield Disagreement("the devices", REQUEST, asked, PLAN, planned)


def _of_mounts(request: Request, plan: Plan) -> Iterator[Disagreement]:
    seen = {mount.target: mount.source for mount in plan.mounts}
    own = request.model_file
    asked = {DATA: request.data, SOURCE: request.source}
    if own is not None:
        asked[f"{MODEL}/{own.name}"] = own
    for target, path in asked.items():
        if not _is_of(path, seen.get(target)):
            yield Disagreement(f"what {target} is", REQUEST, path, PLAN, seen.get(target))


def _is_of(asked: Path | None, mounted: Path | None) -> bool:
    """Whether a mount is of a path; a relative path belongs to the folder of the original run."""
    if asked is None or mounted is None or asked.is_absolute():
        return asked == mounted
    return mounted.parts[len(mounted.parts) - len(asked.parts) :] == asked.parts
