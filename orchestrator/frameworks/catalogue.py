"""What can run where: frameworks, phases, number types, images and gaps.

Pure data and pure functions; nothing here looks at the machine.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING

from orchestrator.errors import RequestError, unknown
from orchestrator.frameworks import (
    caffe_programs,
    inference_programs,
    mxnet_programs,
    other_programs,
    ours,
    pytorch_programs,
    tensorflow_programs,
)
from orchestrator.frameworks.record import SHORT_NAMES, Framework

if TYPE_CHECKING:
    from backends.zoo.graph import Graph
    from orchestrator.request import Device, Dtype, Phase, Request


FRAMEWORKS: Mapping[str, Framework] = {
    framework.name: framework
    for family in (
        ours.ENTRIES,
        tensorflow_programs.ENTRIES,
        pytorch_programs.ENTRIES,
        caffe_programs.ENTRIES,
        mxnet_programs.ENTRIES,
        inference_programs.ENTRIES,
        other_programs.ENTRIES,
    )
    for framework in family
}
OURS = tuple(framework for framework in FRAMEWORKS.values() if framework.ours)
# A model's name becomes part of a folder name.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,80}", re.ASCII)


def framework(name: str) -> Framework:
    """Look up a framework by id or alias. Raises RequestError with the nearest name."""
    for framework in FRAMEWORKS.values():
        if name == framework.name or name in framework.aliases:
            return framework
    known = [
        word for framework in FRAMEWORKS.values() for word in (framework.name, *framework.aliases)
    ]
    meant = SHORT_NAMES.get(name.lower())
    raise unknown("framework", name, known, listing="benchdock frameworks", meant=meant)


def without_alias(name: str) -> str:
    """Return the id for an alias; return any other name unchanged, even an unknown one."""
    return next(
        (framework.name for framework in FRAMEWORKS.values() if name in framework.aliases), name
    )


def all_networks() -> tuple[str, ...]:
    """Return the names of the zoo's networks, then those that only vendors' programs have."""
    from backends import zoo

    named = (name for framework in FRAMEWORKS.values() for name in framework.networks or ())
    return tuple(dict.fromkeys((*zoo.names(), *named)))


def draw(name: str) -> Graph:
    """Build a model of the zoo. Raises RequestError with the nearest name."""
    from backends import zoo

    _check_drawn(name)
    return zoo.draw(name)


def default_phase(name: str) -> Phase:
    """Return the default phase of a framework: training if it can train."""
    trains = any(phase == "training" for _, phase in framework(name).dtypes)
    return "training" if trains else "inference"


def _check_drawn(name: str) -> None:
    from backends import zoo

    if name not in zoo.names():
        raise unknown("model", name, zoo.names(), listing="benchdock models")


def network(framework: Framework, model: str) -> str:
    """Return the program's name for a model. Raises RequestError with the nearest name."""
    if framework.any_network:
        return checked_name(model)
    if framework.networks is None:
        _check_drawn(model)
        return model
    if model not in framework.networks:
        listing = f"benchdock frameworks {framework.name}"
        raise unknown(f"model of {framework.name}", model, framework.networks, listing=listing)
    return framework.networks[model]


def checked_name(model: str) -> str:
    """Return the name if it is valid. Raises RequestError otherwise."""
    if not _NAME.fullmatch(model):
        raise RequestError(
            f"{model!r} is not a valid model name", hint="use letters, digits and _.+-"
        )
    return model


def has(framework: Framework, model: str) -> bool:
    """Whether a framework can run a model of that name."""
    try:
        network(framework, model)
    except RequestError:
        return False
    return True


def of_zoo(framework: Framework, model: str) -> Graph | None:
    """Return a framework's network of the zoo; None for a network of a vendor's program."""
    return None if of_vendor(framework) else draw(model)


def of_vendor(framework: Framework) -> bool:
    """Whether a framework's networks are those of a vendor's program, not of the zoo."""
    return framework.networks is not None or framework.any_network


def fingerprint(framework: Framework, model: str) -> str | None:
    """Return the fingerprint of a network of the zoo; None for a network of a vendor's program."""
    return None if of_vendor(framework) else _fingerprint(model)


@cache
def _fingerprint(model: str) -> str:
    """Return a fingerprint of the zoo; a plan of many runs asks for each very often."""
    found: str = draw(model).fingerprint
    return found


def frameworks_for(model: str) -> list[str]:
    """Return the names of our frameworks that support a model."""
    return [framework.name for framework in OURS if model not in framework.gaps]


def check(framework: Framework, request: Request, device: Device) -> None:
    """Refuse an unsupported model, phase or dtype, and say what is supported."""
    if request.model_file is None:
        network(framework, request.model)
    if request.model_file is None and request.model in framework.gaps:
        raise RequestError(
            f"{framework.name} does not support {request.model}: {framework.gaps[request.model]}",
            hint=_who_can(request, device),
        )
    phases = [phase for (where, phase) in framework.dtypes if where == device]
    if request.phase not in phases:
        elsewhere = sorted({f"{phase} on the {where.upper()}" for where, phase in framework.dtypes})
        can = f"{' and '.join(phases)} there" if phases else " and ".join(elsewhere)
        if device == "gpu" and request.phase == "training" and framework.on_several_gpus:
            can += f"; {framework.on_several_gpus} trains the same networks on GPUs"
        raise RequestError(
            f"{framework.name} does not support {request.phase} on the {device.upper()}",
            hint=f"it supports {can}",
        )
    _check_dtype(framework, request, device)


def _check_dtype(framework: Framework, request: Request, device: Device) -> None:
    """Refuse a number type that the framework, or this network of it, does not support."""
    known = framework.dtypes[device, request.phase]
    reasons = {dtype: _unfit(framework, request, dtype) for dtype in known}
    dtypes = [dtype for dtype in known if not reasons[dtype]]
    if request.dtype in dtypes:
        return
    why = _unfit(framework, request, request.dtype)
    what = (
        f"{framework.name} does not support {request.phase} of {request.model} in {request.dtype}: "
        f"{why[0]}"
        if why
        else f"{framework.name} does not support {request.phase} in {request.dtype} on the "
        f"{device.upper()}"
    )
    other = f"`benchdock frameworks {framework.name}` lists what it supports"
    raise RequestError(what, hint=f"use one of {', '.join(dtypes)}" if dtypes else other)


def _unfit(framework: Framework, request: Request, dtype: Dtype) -> list[str]:
    """Return why a framework does not support this network in a number type, [] if it does."""
    of_file = request.model_file is not None
    return [
        unfit.why
        for unfit in framework.unfit
        if unfit.forbids(request.model, request.phase, dtype, of_file=of_file)
    ]


def _who_can(request: Request, device: Device) -> str:
    """Name the frameworks that support exactly this request, else those that have the network."""
    drawn = frameworks_for(request.model)
    just = [
        name
        for name in drawn
        if request.dtype in FRAMEWORKS[name].dtypes.get((device, request.phase), ())
    ]
    if just:
        return f"{', '.join(just)} can run it"
    return f"{', '.join(drawn) or 'no framework'} can run it with another phase, dtype or device"
