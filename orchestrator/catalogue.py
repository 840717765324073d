"""What can run where, and why not: frameworks, their phases, number types, images and gaps.

Pure data and pure functions; nothing here looks at the machine.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.errors import RequestError, unknown
from orchestrator.framework import SHORT_NAMES, Framework
from orchestrator.rows import (
    caffe_programs,
    inference_programs,
    mxnet_programs,
    other_programs,
    ours,
    pytorch_programs,
    tensorflow_programs,
)
from orchestrator.units import counted

if TYPE_CHECKING:
    from backends.zoo.graph import Graph
    from orchestrator.request import Device, Phase, Request


@dataclass(frozen=True, kw_only=True)
class Defaults:
    """What benchdock chooses where the request is silent. Warm-up ends by steps and by seconds."""

    batch: int
    steps: int
    warmup: int
    warmup_seconds: float


DEFAULTS: Mapping[Device, Defaults] = {
    "cpu": Defaults(batch=8, steps=20, warmup=3, warmup_seconds=0.0),
    "gpu": Defaults(batch=32, steps=100, warmup=20, warmup_seconds=2.0),
}

FRAMEWORKS: Mapping[str, Framework] = {
    row.name: row
    for rows in (
        ours.ROWS,
        tensorflow_programs.ROWS,
        pytorch_programs.ROWS,
        caffe_programs.ROWS,
        mxnet_programs.ROWS,
        inference_programs.ROWS,
        other_programs.ROWS,
    )
    for row in rows
}
OURS = tuple(row for row in FRAMEWORKS.values() if row.ours)
# A model's name becomes part of a folder's.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,80}", re.ASCII)


def framework(name: str) -> Framework:
    """Look a framework up by its id or an alias. Raises RequestError with the nearest name."""
    for row in FRAMEWORKS.values():
        if name == row.name or name in row.aliases:
            return row
    known = [word for row in FRAMEWORKS.values() for word in (row.name, *row.aliases)]
    meant = SHORT_NAMES.get(name.lower())
    raise unknown("framework", name, known, listing="benchdock frameworks", meant=meant)


def without_alias(name: str) -> str:
    """Return the id behind an alias; any other name, also one that nobody knows, as it is."""
    return next((row.name for row in FRAMEWORKS.values() if name in row.aliases), name)


def all_networks() -> tuple[str, ...]:
    """Name the networks of the zoo, then those that vendors' programs have besides."""
    from backends import zoo

    named = (name for row in FRAMEWORKS.values() for name in row.networks or ())
    return tuple(dict.fromkeys((*zoo.names(), *named)))


def draw(name: str) -> Graph:
    """Draw a model of the zoo. Raises RequestError with the nearest name."""
    from backends import zoo

    _check_drawn(name)
    return zoo.draw(name)


def default_phase(name: str) -> Phase:
    """Return what a framework does where nobody says: it trains, if it can."""
    trains = any(phase == "training" for _, phase in framework(name).dtypes)
    return "training" if trains else "inference"


def _check_drawn(name: str) -> None:
    from backends import zoo

    if name not in zoo.names():
        raise unknown("model", name, zoo.names(), listing="benchdock models")


def network(row: Framework, model: str) -> str:
    """Return a program's own name of a model. Raises RequestError with the nearest name."""
    if row.any_network:
        return checked_name(model)
    if row.networks is None:
        _check_drawn(model)
        return model
    if model not in row.networks:
        listing = f"benchdock frameworks {row.name}"
        raise unknown(f"model of {row.name}", model, row.networks, listing=listing)
    return row.networks[model]


def checked_name(model: str) -> str:
    """Return what is just a name. Raises RequestError for what cannot be one."""
    if not _NAME.fullmatch(model):
        raise RequestError(f"{model!r} is no name of a model", hint="use letters, digits and _.+-")
    return model


def has(row: Framework, model: str) -> bool:
    """Whether a row can run a model of that name."""
    try:
        network(row, model)
    except RequestError:
        return False
    return True


def fingerprint(row: Framework, model: str) -> str | None:
    """Return the fingerprint of a network of the zoo; None for a program's own network."""
    of_zoo = row.networks is None and not row.any_network
    return draw(model).fingerprint if of_zoo else None


def frameworks_for(model: str) -> list[str]:
    """Name the frameworks of ours that can draw a model."""
    return [row.name for row in OURS if model not in row.gaps]


def check_devices(row: Framework, count: int) -> None:
    """Refuse more than one GPU where a backend uses one."""
    if count > 1 and not row.multi_gpu:
        raise RequestError(
            f"{row.name} uses one GPU here, {count} were asked for", hint="use --gpus 0"
        )


def check(row: Framework, request: Request, device: Device) -> None:
    """Refuse a pair of model and framework, phase or dtype that cannot be, saying what can."""
    if request.model_file is None:
        network(row, request.model)
    if request.model_file is None and request.model in row.gaps:
        raise RequestError(
            f"{row.name} cannot draw {request.model}: {row.gaps[request.model]}",
            hint=_who_can(request, device),
        )
    phases = [phase for (where, phase) in row.dtypes if where == device]
    if request.phase not in phases:
        elsewhere = sorted({f"{phase} on the {where}" for where, phase in row.dtypes})
        can = f"{' and '.join(phases)} there" if phases else " and ".join(elsewhere)
        raise RequestError(
            f"{row.name} does no {request.phase} on the {device}", hint=f"it does {can}"
        )
    _check_dtype(row, request, device)


def _check_dtype(row: Framework, request: Request, device: Device) -> None:
    """Refuse a number type that the row, or this network of it, does not have."""
    known = row.dtypes[device, request.phase]
    dtypes = [
        dtype
        for dtype in known
        if not any(unfit.forbids(request.model, request.phase, dtype) for unfit in row.unfit)
    ]
    if request.dtype in dtypes:
        return
    why = [u.why for u in row.unfit if u.forbids(request.model, request.phase, request.dtype)]
    what = (
        f"{row.name} does no {request.phase} of {request.model} in {request.dtype}: {why[0]}"
        if why
        else f"{row.name} {request.phase} on the {device} has no dtype {request.dtype!r}"
    )
    other = f"`benchdock frameworks {row.name}` tells what can be"
    raise RequestError(what, hint=f"use one of {', '.join(dtypes)}" if dtypes else other)


def _who_can(request: Request, device: Device) -> str:
    """Name the frameworks that can do just what is asked, else those that have the network."""
    drawn = frameworks_for(request.model)
    just = [
        name
        for name in drawn
        if request.dtype in FRAMEWORKS[name].dtypes.get((device, request.phase), ())
    ]
    if just:
        return f"{', '.join(just)} can"
    return f"{', '.join(drawn) or 'no framework'} can, with another phase, dtype or device"


def check_counts(row: Framework, request: Request, device: Device) -> tuple[int, int, int]:
    """Return (batch, steps, warm-up steps), chosen where the request is silent.

    Raises RequestError where the warm-up would take every step that is asked for, and for counts
    that a program cannot do.
    """
    chosen = DEFAULTS[device]
    steps = request.steps if request.steps is not None else max(chosen.steps, row.least_steps)
    batch = request.batch or chosen.batch
    if steps < row.least_steps:
        raise RequestError(
            f"{row.name} prints no result for {counted(steps, 'step')}",
            hint=f"use --steps {row.least_steps}",
        )
    if row.steps is not None:
        if request.steps not in (None, row.steps):
            raise RequestError(
                f"{row.name} times {counted(row.steps, 'step')}, whatever it is told",
                hint="remove --steps",
            )
        steps = row.steps
    if steps % row.block:
        raise RequestError(
            f"{row.name} times {row.block} steps at once, {steps} are no multiple",
            hint=f"use --steps {(steps // row.block + 1) * row.block}",
        )
    if row.warmup is not None:
        if request.warmup not in (None, row.warmup):
            raise RequestError(
                f"{row.name} leaves out {counted(row.warmup, 'step')}, whatever it is told",
                hint="remove --warmup",
            )
        return batch, steps, row.warmup
    warmup = request.warmup if request.warmup is not None else min(chosen.warmup, steps - 1)
    if warmup >= steps:
        raise RequestError(
            f"a warm-up of {counted(warmup, 'step')} leaves nothing of "
            f"{counted(steps, 'timed step')} to be trusted",
            hint=f"use --warmup {max(0, min(chosen.warmup, steps - 1))} or more --steps",
        )
    if row.windows:
        warmup = max(1, warmup)
        steps = -(-steps // warmup) * warmup
    return batch, steps, warmup
