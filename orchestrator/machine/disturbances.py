"""Disturbances of a measurement in words: throttling, and what others did on the machine."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from orchestrator.machine import clock_reasons
from orchestrator.machine.gpu_facts import GpuHealth, GpuProcess
from orchestrator.machine.host_samples import HostSample
from orchestrator.machine.tally import Tally
from orchestrator.machine.watched_gpu import Throttling, WatchedGpu
from orchestrator.units import share

# Disturbances shorter than this share of the run are not reported.
THROTTLED_ENOUGH = 0.02
STEAL_ENOUGH = 0.02
BUSY = 0.10
_MOST_SHOWN = 5


@dataclass(frozen=True, kw_only=True)
class GpuSeen:
    """The health of a GPU before and after a run, and its fastest PCIe link during it."""

    before: GpuHealth = field(default_factory=GpuHealth)
    after: GpuHealth = field(default_factory=GpuHealth)
    pcie_generation: float | None = None
    pcie_width: float | None = None


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What the monitor saw that makes a measurement doubtful; a sentence is "" without it.

    `in_use` are sentences about processes on GPUs before the run, `joined` about those that came
    later. `xids` are GPU, Xid and how often. `gpus` are by `gpu0`, `gpu1`, ...
    """

    throttling: tuple[Throttling, ...] = ()
    busy_before: str = ""
    busy_during: str = ""
    stolen: str = ""
    in_use: tuple[str, ...] = ()
    joined: tuple[str, ...] = ()
    silent: tuple[str, ...] = ()
    xids: tuple[tuple[str, int, int], ...] = ()
    gpus: Mapping[str, GpuSeen] = field(default_factory=dict)


def busy_before(sample: HostSample) -> str:
    """Return what others used of the CPU before the run; "" if it is little."""
    if sample.cpu <= BUSY:
        return ""
    return (
        f"other processes used {share(sample.cpu)} of the CPU before the run: "
        f"load {sample.load:.1f} on {os.cpu_count() or 1} cores"
    )


def busy_during(tally: Tally) -> str:
    """Return what others used of the CPU during the run; "" if it is little or unknown."""
    others = tally.mean("others_cpu")
    if others is None or others <= 100 * BUSY:
        return ""
    return f"other processes used {others:.0f} % of the CPU during the run"


def in_use(name: str, others: Sequence[GpuProcess]) -> str:
    """Return that a GPU was in use before the run; "" if it was not."""
    return f"{title(name)} was in use before the run ({_listed(others)})" if others else ""


def joined(one: WatchedGpu) -> str:
    """Return that other processes came to a GPU during the run; "" if none did."""
    others = list(one.joined.values())
    if not others:
        return ""
    return f"{title(one.name)} was used by others during the run ({_listed(others)})"


def _listed(processes: Sequence[GpuProcess]) -> str:
    return "process " + ", ".join(str(one.pid) for one in processes[:_MOST_SHOWN])


def of_host(tally: Tally) -> Iterator[str]:
    """Yield a sentence per disturbance of the host."""
    yield from filter(None, (busy_during(tally), stolen(tally)))


def of_gpus(seen: Seen) -> Iterator[str]:
    """Yield a sentence per disturbance of the GPUs: not for the normal limits of a busy one."""
    for one in seen.throttling:
        if one.share >= THROTTLED_ENOUGH and clock_reasons.kind(one.reason) == "protection":
            yield in_words(one)
    yield from seen.joined


def in_words(one: Throttling) -> str:
    """Return a sentence about throttling."""
    of = "the time" if one.counted else "the samples"
    if clock_reasons.kind(one.reason) == "setting":
        return f"{title(one.gpu)} had its clock set by {one.reason} for {share(one.share)} of {of}"
    return f"{title(one.gpu)} was throttled by {one.reason} for {100 * one.share:.3g} % of {of}"


def stolen(tally: Tally) -> str:
    """Return that other virtual machines took CPU time; "" if it is little."""
    mean = tally.mean("steal") or 0.0
    if mean <= 100 * STEAL_ENOUGH:
        return ""
    return f"other virtual machines took {mean:.0f} % of this one's CPU time"


def title(name: str) -> str:
    """Return what a GPU is called in a sentence; `name` is "gpu" and its index, or its UUID."""
    return f"GPU {name.removeprefix('gpu')}" if name.startswith("gpu") else f"GPU {name}"
