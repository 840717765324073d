"""Chooses the devices of a run from the GPUs of a machine."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from backends.near_cpus import numbers
from backends.near_cpus import shares as near_shares
from orchestrator.errors import MachineError, RequestError
from orchestrator.machine.gpu_facts import capabilities
from orchestrator.request import Device, Request
from orchestrator.units import counted

if TYPE_CHECKING:
    from orchestrator.machine.gpu_facts import Gpu, GpuReport


@dataclass(frozen=True, kw_only=True)
class Target:
    """The devices of a run: `gpus` is what the engine gets, empty on the CPU.

    `ranks` is how many share the CPUs. `near_cpus` are the CPUs near each GPU, such as "0-9,20-29",
    if its process gets its share of them.
    """

    device: Device
    gpus: tuple[str, ...] = ()
    ranks: int = 1
    near_cpus: tuple[str, ...] = ()

    @cached_property
    def count(self) -> int:
        """Number of devices, or of ranks on the CPU, that work in parallel."""
        return len(self.gpus) or self.ranks

    def used_cpus(self, cpus: int) -> int:
        """Return how many of the CPUs the devices' processes use, all of them together."""
        if not self.near_cpus:
            return cpus
        places = [numbers(text) for text in self.near_cpus]
        shares = near_shares(places, sorted(frozenset().union(*places)))
        return min(cpus, sum(map(len, shares)))


CPU = Target(device="cpu")


def choose(request: Request, report: GpuReport) -> Target:
    """Choose the CPU or GPUs.

    Raises MachineError if a GPU was requested and there is none, saying what is missing, and
    RequestError for an index that does not exist.
    """
    if request.is_for_cpu:
        return Target(device="cpu", ranks=request.ranks or 1)
    if request.leaves_device_open and not report.gpus:
        return CPU
    if not report.gpus:
        raise MachineError(
            f"no GPU can be used: {missing(report)}", hint="use --gpus none for the CPU"
        )
    if isinstance(request.gpus, tuple):
        chosen = tuple(_named(one, report) for one in request.gpus)
        if len(set(chosen)) < len(chosen):
            named = ",".join(map(str, request.gpus))
            raise RequestError(f"--gpus {named} names one GPU twice", hint="name it once")
    else:
        found = _usable(report)
        chosen = found if request.gpus == "all" else _first(request.devices or 1, found)
    if len(chosen) > 1 and any(one.startswith("MIG-") for one in chosen):
        raise RequestError(
            "a program can use only one part of a partitioned GPU (MIG)",
            hint="name one, or whole GPUs only",
        )
    return Target(device="gpu", gpus=chosen)


def missing(report: GpuReport) -> str:
    """Say exactly what a machine without a usable GPU lacks."""
    if report.state != "no_library":
        return report.reason
    if report.on_bus:
        return f"{report.reason}, although the PCI bus has an NVIDIA GPU"
    return f"{report.reason}, and the PCI bus has no NVIDIA GPU"


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


def silent_gpus(request: Request, report: GpuReport) -> tuple[str, ...]:
    """Warn that GPUs which do not answer are left out of a choice that would include them."""
    if not report.gpus or isinstance(request.gpus, tuple):
        return ()
    return tuple(f"{text}; it is left out (see `benchdock doctor`)" for text in report.silent)


def _usable(report: GpuReport) -> tuple[str, ...]:
    """Return the ids of the whole GPUs; without any, that of the first part of one.

    Raises MachineError if there is neither.

    CUDA does not see a partitioned GPU as a whole, and only one part in each process.
    """
    whole = tuple(_id(gpu) for gpu in report.gpus if not gpu.mig)
    parts = tuple(part.uuid for gpu in report.gpus for part in gpu.slices)
    if not whole and not parts:
        raise MachineError(
            "no GPU can be used: all are partitioned (MIG) and have no parts",
            hint="use --gpus none for the CPU, or turn MIG off (`benchdock doctor` says how)",
        )
    return whole or parts[:1]


def _first(count: int, found: tuple[str, ...]) -> tuple[str, ...]:
    """Return the first GPUs. Raises RequestError if there are fewer."""
    if count > len(found):
        raise RequestError(
            f"--devices {count} is too many: this machine has {counted(len(found), 'GPU')}",
            hint=f"use --devices {len(found)}",
        )
    return found[:count]


def chosen(target: Target, report: GpuReport) -> list[tuple[str, str]]:
    """Return name and compute capability of the GPUs of a run, "" if unknown."""
    named = set(target.gpus)
    return capabilities(
        gpu
        for gpu in report.gpus
        if {gpu.uuid, str(gpu.index), *(part.uuid for part in gpu.slices)} & named
    )


def _id(gpu: Gpu) -> str:
    return gpu.uuid or str(gpu.index)


def _named(wanted: int | str, report: GpuReport) -> str:
    """Return the id of a GPU, or of a part of one. Raises RequestError."""
    for gpu in report.gpus:
        for part in gpu.slices:
            if wanted in (part.uuid, f"{gpu.index}:{part.index}"):
                return part.uuid
        if wanted in (gpu.index, gpu.uuid):
            if gpu.mig:
                raise _partitioned(gpu)
            return _id(gpu)
    names = [str(gpu.index) for gpu in report.gpus if not gpu.mig]
    names += [f"{gpu.index}:{part.index}" for gpu in report.gpus for part in gpu.slices]
    lost = f" ({'; '.join(report.silent)})" if report.silent else ""
    hint = f"it has {', '.join(names)}"
    raise RequestError(f"this machine has no GPU {wanted}{lost}", hint=hint)


def _partitioned(gpu: Gpu) -> RequestError:
    parts = ", ".join(f"{gpu.index}:{part.index}" for part in gpu.slices)
    return RequestError(
        f"GPU {gpu.index} is partitioned (MIG), so CUDA cannot use it as a whole",
        hint=f"name a part of it: {parts}" if parts else "turn MIG off: it has no parts",
    )
