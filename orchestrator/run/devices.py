"""Chooses the devices of a run from the GPUs of a machine."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from orchestrator.errors import MachineError, RequestError
from orchestrator.machine.gpu_facts import capabilities
from orchestrator.request import Device, Request
from orchestrator.units import counted

if TYPE_CHECKING:
    from orchestrator.machine.gpu_facts import Gpu, GpuReport


@dataclass(frozen=True, kw_only=True)
class Target:
    """The devices of a run: `gpus` is what the engine gets, empty on the CPU."""

    device: Device
    gpus: tuple[str, ...] = ()

    @cached_property
    def count(self) -> int:
        """Number of devices that work in parallel."""
        return len(self.gpus) or 1


CPU = Target(device="cpu")


def choose(request: Request, report: GpuReport) -> Target:
    """Choose the CPU or GPUs.

    Raises MachineError if a GPU was requested and there is none, saying what is missing, and
    RequestError for an index that does not exist.
    """
    if request.gpus == "none" or (request.leaves_device_open and not report.gpus):
        return CPU
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


def requested(request: Request) -> Target:
    """Return the GPUs that a request names, on a machine that has none."""
    several = range(request.devices or 1)
    indices = request.gpus if isinstance(request.gpus, tuple) else several
    return Target(device="gpu", gpus=tuple(map(str, indices)))


def unused_gpus(request: Request, report: GpuReport) -> tuple[str, ...]:
    """Warn that a run is on the CPU because no GPU works, although nobody asked for the CPU."""
    broken = report.state in ("not_loaded", "mismatch", "failed")
    if not request.leaves_device_open or report.gpus:
        return ()
    if not (broken or report.on_bus):
        return ()
    return (f"on the CPU, because no GPU can be used: {report.reason} (see `benchdock doctor`)",)


def _first(count: int, report: GpuReport) -> tuple[Gpu, ...]:
    """Return the first GPUs. Raises RequestError if there are fewer."""
    here = len(report.gpus)
    if count > here:
        raise RequestError(
            f"--devices {count} is too many: this machine has {counted(here, 'GPU')}",
            hint=f"use --devices {here}",
        )
    return report.gpus[:count]


def chosen(target: Target, report: GpuReport) -> list[tuple[str, str]]:
    """Return name and compute capability of the GPUs of a run, "" if unknown."""
    named = set(target.gpus)
    return capabilities(gpu for gpu in report.gpus if {gpu.uuid, str(gpu.index)} & named)


def _gpu_at(index: int | str, report: GpuReport) -> Gpu:
    for gpu in report.gpus:
        if index in (gpu.index, gpu.uuid):
            return gpu
    there = ", ".join(str(gpu.index) for gpu in report.gpus)
    raise RequestError(f"this machine has no GPU {index}", hint=f"it has {there}")
