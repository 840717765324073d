"""The facts about a machine that belong in a result, and how they are read."""

import os
import platform
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Self

from orchestrator.facts import KNOWN, Count, Fact, Facts, Flag, Number, Numbers, Text, Texts
from orchestrator.machine import inventory
from orchestrator.version import VERSION

if TYPE_CHECKING:
    from orchestrator.machine.gpu_facts import GpuReport

_MACHINE = ("machine",)
_HARDWARE = ("machine", "GPU", "CPU")


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where the facts are read: a file system, and a report on the GPUs."""

    root: Path = inventory.ROOT
    gpus: "GpuReport | None" = None


class SliceFacts(Facts):
    """A part of a partitioned GPU, as `gpu_facts.MigSlice` records it."""

    index: Annotated[Count, Fact("its number on the GPU")] = None
    uuid: Annotated[Text, Fact("its id")] = None
    name: Annotated[Text, Fact("its name")] = None
    memory_total: Annotated[Count, Fact("its memory", unit="bytes")] = None


class GpuFacts(Facts):
    """One GPU, as `gpu_facts.Gpu` records it."""

    index: Annotated[Count, Fact("number of the GPU")] = None
    uuid: Annotated[Text, Fact("id of the GPU")] = None
    name: Annotated[
        Text, Fact("name of the GPU", "GPU", "hardware", follows=("device", "device count"))
    ] = None
    memory_total: Annotated[Count, Fact("memory", unit="bytes")] = None
    compute_capability: Annotated[Text, Fact("compute capability")] = None
    bus_id: Annotated[Text, Fact("PCI address")] = None
    local_cpus: Annotated[Text, Fact("CPUs of its NUMA node")] = None
    power_limit: Annotated[
        Number, Fact("power limit", "GPU power limit", "hardware", "W", ("GPU",))
    ] = None
    sm_clock_max: Annotated[
        Count, Fact("highest clock", "GPU top clock", "hardware", "MHz", ("GPU",))
    ] = None
    ecc: Annotated[Flag, Fact("error correction", "ECC", "hardware", follows=("GPU",))] = None
    mig: Annotated[
        Flag, Fact("whether the GPU is partitioned", "MIG", "hardware", follows=("GPU",))
    ] = None
    slices: Annotated[
        tuple[Annotated[SliceFacts | None, KNOWN], ...] | None, KNOWN, Fact("its parts")
    ] = None


class DriverFacts(Facts):
    """The GPUs and their driver."""

    state: Annotated[Text, Fact("`ok`, or why there are no GPUs")] = None
    driver: Annotated[
        Text, Fact("version of NVIDIA's driver", "GPU driver", "system", follows=_MACHINE)
    ] = None
    cuda: Annotated[
        Text,
        Fact(
            "newest CUDA that it supports",
            "CUDA of the driver",
            "system",
            follows=("machine", "GPU driver"),
        ),
    ] = None
    gpus: Annotated[
        tuple[Annotated[GpuFacts | None, KNOWN], ...] | None, KNOWN, Fact("the GPUs")
    ] = None


class CpuFacts(Facts):
    """The CPU."""

    model: Annotated[
        Text,
        Fact(
            "name of the CPU",
            "CPU",
            "hardware",
            follows=_MACHINE,
            read=lambda s: inventory.cpu_model(s.root),
        ),
    ] = None
    logical: Annotated[
        Count, Fact("how many CPUs the machine has", read=lambda _: os.cpu_count())
    ] = None
    usable: Annotated[
        Count,
        Fact("how many benchdock may use", read=lambda _: inventory.usable_cpus()),
    ] = None
    affinity: Annotated[
        Text,
        Fact(
            "numbers of those CPUs",
            "usable CPUs",
            "hardware",
            follows=_MACHINE,
            read=lambda _: inventory.ranges(os.sched_getaffinity(0)),
        ),
    ] = None
    instruction_sets: Annotated[
        Texts,
        Fact(
            "those that decide how fast the CPU computes networks",
            "instruction sets",
            "hardware",
            follows=_HARDWARE,
            read=lambda s: inventory.instruction_sets(s.root),
        ),
    ] = None
    smt: Annotated[
        Flag,
        Fact(
            "simultaneous multithreading",
            "SMT",
            "hardware",
            follows=_HARDWARE,
            read=lambda s: inventory.smt(s.root),
        ),
    ] = None
    governors: Annotated[
        Texts,
        Fact(
            "frequency governors; empty in most virtual machines",
            "CPU governor",
            "system",
            follows=_MACHINE,
            read=lambda s: inventory.governors(s.root),
        ),
    ] = None
    turbo: Annotated[
        Flag,
        Fact(
            "whether it may exceed its nominal clock",
            "CPU turbo",
            "system",
            follows=_MACHINE,
            read=lambda s: inventory.turbo(s.root),
        ),
    ] = None


def _gpus(source: Source) -> DriverFacts | None:
    if source.gpus is None:
        return None
    gpus = tuple(GpuFacts.made_of(asdict(one)) for one in source.gpus.gpus)
    told = {name: getattr(source.gpus, name) for name in ("state", "driver", "cuda")}
    return DriverFacts.made_of({**told, "gpus": gpus})


class MachineFacts(Facts):
    """The machine; None if the system does not report a value. The order is the ranking."""

    hostname: Annotated[
        Text, Fact("name of the machine", "machine", "hardware", read=lambda _: platform.node())
    ] = None
    machine: Annotated[
        Text,
        Fact(
            "id of this installation of the system, a hash",
            read=lambda s: inventory.machine_key(s.root),
        ),
    ] = None
    gpu: Annotated[DriverFacts | None, KNOWN, Fact("the GPUs", read=_gpus)] = None
    benchdock: Annotated[
        Text, Fact("version of benchdock", "benchdock", "system", read=lambda _: VERSION)
    ] = None
    commit: Annotated[
        Text,
        Fact(
            "its commit",
            "benchdock commit",
            "system",
            follows=("benchdock",),
            read=lambda _: inventory.own_commit(),
        ),
    ] = None
    dirty: Annotated[
        Flag,
        Fact(
            "whether its files differ from that commit",
            "uncommitted changes",
            "system",
            read=lambda _: inventory.own_dirty(),
        ),
    ] = None
    cpu: Annotated[CpuFacts | None, KNOWN, Fact("the CPU", read=CpuFacts.read)] = None
    memory_total: Annotated[
        Count,
        Fact(
            "memory of the machine",
            "memory",
            "hardware",
            "bytes",
            _HARDWARE,
            read=lambda s: inventory.memory(s.root).get("MemTotal"),
        ),
    ] = None
    memory_available: Annotated[
        Count,
        Fact(
            "free memory before the run",
            unit="bytes",
            read=lambda s: inventory.memory(s.root).get("MemAvailable"),
        ),
    ] = None
    load: Annotated[
        Numbers,
        Fact("load averages of 1, 5 and 15 minutes", read=lambda s: inventory.load(s.root)),
    ] = None
    virtualised: Annotated[
        Text,
        Fact(
            "what this system runs inside, as far as it shows",
            "virtualised",
            "hardware",
            follows=_HARDWARE,
            read=lambda s: inventory.virtualised(s.root),
        ),
    ] = None
    kernel: Annotated[
        Text,
        Fact(
            "release of the kernel",
            "kernel",
            "system",
            follows=_MACHINE,
            read=lambda _: platform.release(),
        ),
    ] = None
    os: Annotated[
        Text,
        Fact(
            "name of the distribution",
            "operating system",
            "system",
            follows=_MACHINE,
            read=lambda s: inventory.os_name(s.root),
        ),
    ] = None
    python: Annotated[
        Text,
        Fact(
            "Python that runs benchdock",
            "Python of the host",
            "system",
            follows=_MACHINE,
            read=lambda _: platform.python_version(),
        ),
    ] = None
    architecture: Annotated[
        Text, Fact("instruction set, such as x86_64", read=lambda _: platform.machine())
    ] = None

    @classmethod
    def of_this_machine(
        cls, gpus: "GpuReport | None" = None, *, root: Path = inventory.ROOT
    ) -> Self:
        """Read the facts of this machine.

        `gpus` is `gpu.report()`, called by the caller because it may take seconds on a sleeping
        driver. `root` is another file system in tests.
        """
        return cls.read(Source(root=root, gpus=gpus))

    @property
    def gpus(self) -> tuple[GpuFacts, ...]:
        """Return the machine's GPUs, as far as they are recorded."""
        listed = self.gpu.gpus if self.gpu else None
        return tuple(one for one in listed or () if one is not None)

    def doubts(self) -> tuple[str, ...]:
        """Return sentences about facts that make a CPU measurement doubtful."""
        found = []
        cpu = self.cpu or CpuFacts()
        slow = [name for name in cpu.governors or () if name in inventory.SLOW_GOVERNORS]
        if slow and cpu.turbo is not True:
            found.append(f"the CPU frequency governor is {slow[0]}: the clock may stay low")
        if cpu.logical is not None and cpu.usable is not None and cpu.usable < cpu.logical:
            found.append(f"benchdock may use {cpu.usable} of {cpu.logical} CPUs (affinity)")
        return tuple(found)
