"""Chooses the comparisons with the referee before anything starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from orchestrator.errors import RequestError
from orchestrator.frameworks import catalogue
from orchestrator.frameworks.catalogue import OURS
from orchestrator.frameworks.record import Framework
from orchestrator.request import Device, Dtype, Phase, Request, RuntimeChoice
from orchestrator.run import feeding, program_rules

# What each level does; a framework may not support it in some number type.
LEVELS: Mapping[str, Phase] = {"P1": "inference", "P2": "inference", "P3": "training"}
# Compares several ranks with one.
OF_RANKS: Mapping[str, Phase] = {"P4": "training"}

GpuChoice = Literal["all", "none"] | tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Setting:
    """The setting of all comparisons, whatever the framework."""

    dtype: Dtype = "float32"
    gpus: GpuChoice = "none"
    runtime: RuntimeChoice = RuntimeChoice.AUTO
    image: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    prefix: str | None = None
    python: Path | None = None
    ranks: int | None = None

    @property
    def levels(self) -> Mapping[str, Phase]:
        """Return the levels that can be compared: with several ranks or without."""
        return OF_RANKS if (self.ranks or 1) > 1 else LEVELS

    @property
    def device(self) -> Device:
        """Return the device to compare on."""
        return "cpu" if self.gpus == "none" else "gpu"

    def request(
        self, model: str, framework: Framework, phase: Phase, data: Path | None = None
    ) -> Request:
        """Return the request whose place and environment a comparison has."""
        return Request(
            model=model,
            framework=framework.name,
            phase=phase,
            data=data,
            dtype=self.dtype,
            gpus=self.gpus,
            ranks=self.ranks,
            image=self.image,
            runtime=self.runtime,
            env=dict(self.env),
            prefix=self.prefix,
            python=self.python,
            options=dict(self.options),
        )


@dataclass(frozen=True, kw_only=True)
class WantedParity:
    """What the user wants to compare; an empty tuple means everything."""

    frameworks: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    levels: tuple[str, ...] = ()
    setting: Setting


@dataclass(frozen=True, kw_only=True)
class Work:
    """The comparisons of one framework."""

    framework: Framework
    models: tuple[str, ...]
    levels: tuple[str, ...]


def choose(wanted: WantedParity) -> list[Work]:
    """Return what to compare in each framework.

    Raises RequestError if something requested by name is not possible.
    """
    from backends import zoo

    for model in wanted.models:
        catalogue.draw(model)
    of_one = {"image": "--image", "python": "--python", "options": "--option"}
    for name, option in of_one.items() if len(wanted.frameworks) != 1 else ():
        if getattr(wanted.setting, name):
            raise RequestError(f"{option} needs exactly one framework", hint="add -f FRAMEWORK")
    models = wanted.models or tuple(zoo.names())
    _check_levels(wanted)
    levels = wanted.levels or tuple(wanted.setting.levels)
    if wanted.frameworks:
        frameworks = [_named(name, wanted) for name in wanted.frameworks]
    else:
        frameworks = _all(wanted)
    work = [
        Work(
            framework=framework,
            models=_able(framework, models, wanted),
            levels=_fitting(framework, levels, wanted),
        )
        for framework in frameworks
    ]
    for framework in frameworks:
        program_rules.check_options(framework, wanted.setting.options)
        feeding.refuse(wanted.setting.options)
    return [one for one in work if one.models and one.levels]


def _check_levels(wanted: WantedParity) -> None:
    """Refuse a level that compares several ranks, or one that does not. Raises RequestError."""
    known = wanted.setting.levels
    if known is OF_RANKS and wanted.setting.gpus != "none":
        raise RequestError("--ranks compares on the CPU", hint="remove --gpus or --ranks")
    for level in wanted.levels:
        if level in known:
            continue
        if known is OF_RANKS:
            raise RequestError(f"{level} compares one rank", hint="remove --ranks, or use P4")
        raise RequestError(f"{level} compares several ranks", hint="add --ranks 2")


def _all(wanted: WantedParity) -> list[Framework]:
    """Return the frameworks that support this type on this device."""
    on_device = [
        framework
        for framework in OURS
        if framework.is_our_program
        and wanted.setting.device in framework.images
        and (framework.ranks or wanted.setting.levels is LEVELS)
    ]
    frameworks = [
        framework
        for framework in on_device
        if wanted.setting.dtype in _dtypes(framework, wanted.setting.device)
    ]
    if not frameworks:
        there = {
            dtype for framework in on_device for dtype in _dtypes(framework, wanted.setting.device)
        }
        raise RequestError(
            f"no framework supports {wanted.setting.dtype} on the {wanted.setting.device.upper()}",
            hint=f"use one of {_listed(there)}",
        )
    return frameworks


def _named(name: str, wanted: WantedParity) -> Framework:
    """Look up a framework that has our networks and supports this type."""
    framework, device = catalogue.framework(name), wanted.setting.device
    if not framework.is_our_program:
        raise RequestError(
            f"{name} runs a vendor's program, which prints no logits to compare",
            hint=_possible(wanted),
        )
    if wanted.setting.levels is OF_RANKS and not framework.ranks:
        raise RequestError(f"{name} has no --ranks", hint=_possible(wanted))
    known = _dtypes(framework, device)
    chosen = wanted.setting.image is not None or wanted.setting.python is not None
    if not known or (device not in framework.images and not chosen):
        raise RequestError(f"{name} has no image for the {device.upper()}", hint=_possible(wanted))
    if wanted.setting.dtype not in known:
        raise RequestError(
            f"{name} does not support {wanted.setting.dtype} on the {device.upper()}",
            hint=f"use one of {_listed(known)}",
        )
    return framework


def _possible(wanted: WantedParity) -> str:
    return f"use one of {', '.join(framework.name for framework in _all(wanted))}"


def _listed(dtypes: set[Dtype]) -> str:
    return ", ".join(dtype for dtype in get_args(Dtype) if dtype in dtypes)


def _dtypes(framework: Framework, device: Device) -> set[Dtype]:
    """Return the number types that a framework supports on a device in any phase."""
    return {
        dtype
        for (where, _), dtypes in framework.dtypes.items()
        if where == device
        for dtype in dtypes
    }


def _fitting(framework: Framework, levels: Sequence[str], wanted: WantedParity) -> tuple[str, ...]:
    """Return the levels that a framework supports: without training there is no step to compare."""

    def fits(level: str) -> bool:
        return wanted.setting.dtype in framework.dtypes.get(
            (wanted.setting.device, known[level]), ()
        )

    known = wanted.setting.levels

    if wanted.frameworks and wanted.levels:
        for level in levels:
            if not fits(level):
                raise RequestError(
                    f"{framework.name} does not support {known[level]} in {wanted.setting.dtype} "
                    f"on the {wanted.setting.device.upper()}, so it has no {level}",
                    hint=f"use {' and '.join(one for one in known if fits(one))}",
                )
    return tuple(level for level in levels if fits(level))


def _able(framework: Framework, models: Sequence[str], wanted: WantedParity) -> tuple[str, ...]:
    """Return the models without a declared gap; refuse a gap that was requested by name."""
    if wanted.frameworks and wanted.models:
        for model in models:
            if model in framework.gaps:
                raise RequestError(
                    f"{framework.name} does not support {model}: {framework.gaps[model]}"
                )
    return tuple(model for model in models if model not in framework.gaps)
