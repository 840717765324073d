"""Records of GPUs; nothing here needs NVIDIA's library.

pydantic reads some of them from machine files, and refuses unknown keys as in any record that a
person may write.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

_STRICT = {"extra": "forbid"}
GpuState = Literal["ok", "no_gpu", "no_library", "not_loaded", "mismatch", "failed"]


@dataclass(frozen=True, kw_only=True)
class MigSlice:
    """A part of a partitioned GPU (MIG), with its number on that GPU; memory in bytes."""

    __pydantic_config__: ClassVar[Mapping[str, str]] = _STRICT

    index: int
    uuid: str
    name: str = ""
    memory_total: int | None = None


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """One GPU; None if the board does not report a value. Bytes, watts, MHz.

    `local_cpus` are those of its NUMA node, as the kernel writes them: 0-9,20-29.
    """

    __pydantic_config__: ClassVar[Mapping[str, str]] = _STRICT

    index: int
    uuid: str
    name: str
    memory_total: int | None = None
    compute_capability: str | None = None
    bus_id: str | None = None
    local_cpus: str | None = None
    power_limit: float | None = None
    sm_clock_max: int | None = None
    ecc: bool | None = None
    mig: bool = False
    slices: tuple[MigSlice, ...] = ()


@dataclass(frozen=True, kw_only=True)
class GpuReport:
    """The GPUs, or why there are none and what fixes it.

    `silent` are sentences about GPUs that the driver counts but that do not answer. `on_bus` says
    that the PCI bus has an NVIDIA GPU although no driver answers.
    """

    __pydantic_config__: ClassVar[Mapping[str, str]] = _STRICT

    state: GpuState
    reason: str
    hint: str = ""
    gpus: tuple[Gpu, ...] = ()
    driver: str | None = None
    cuda: str | None = None
    on_bus: bool = False
    silent: tuple[str, ...] = ()


def capabilities(gpus: Iterable[Gpu]) -> list[tuple[str, str]]:
    """Return name and compute capability of each GPU, "" if unknown."""
    return [(one.name, one.compute_capability or "") for one in gpus]


def gpus_in_words(gpus: Sequence[Gpu]) -> str:
    """Count GPUs by name: "8 x Tesla V100-SXM2-32GB"."""
    counts = Counter(one.name for one in gpus)
    return ", ".join(f"{count} x {name}" for name, count in counts.items()) or "no GPU"


@dataclass(frozen=True, kw_only=True)
class GpuProcess:
    """A process that uses a GPU; `memory` in bytes, None if the driver hides it."""

    pid: int
    memory: int | None


@dataclass(frozen=True, kw_only=True)
class GpuPulse:
    """What changes fast: watts, MHz, joules since the driver was loaded, and the clock's reasons.

    `counted` are the seconds since then of the reasons that the driver counts.
    """

    power: float | None = None
    sm_clock: int | None = None
    energy: float | None = None
    reasons: tuple[str, ...] | None = None
    counted: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class GpuSample:
    """What changes slowly: shares of 1, bytes, degrees Celsius, MHz, the PCIe link.

    `processes` is None if the driver does not list them.
    """

    utilisation: float | None = None
    memory_used: int | None = None
    temperature: int | None = None
    memory_clock: int | None = None
    pcie_generation: int | None = None
    pcie_width: int | None = None
    processes: tuple[GpuProcess, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class GpuHealth:
    """What a run should not change: limits (W), counts of errors, and states of the board.

    `recovery` is NVML's GPU recovery action, 0 for none; `fabric` its fabric state, 3 for completed
    and 0 for a board without NVSwitch.
    """

    power_limit: float | None = None
    power_limit_default: float | None = None
    pcie_generation_max: int | None = None
    pcie_width_max: int | None = None
    pcie_replays: int | None = None
    ecc_corrected: int | None = None
    ecc_uncorrected: int | None = None
    remapped_rows: int | None = None
    remap_pending: bool | None = None
    remap_failed: bool | None = None
    pages_pending: bool | None = None
    recovery: int | None = None
    fabric: int | None = None
    fabric_degraded: bool | None = None


class GpuGoneError(Exception):
    """The GPU no longer answers (fell off the bus, driver unloaded); the text says how."""
