"""Disturbances of a measurement in words: throttling, and what others did on the machine."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from orchestrator.machine.gpu_facts import GpuProcess
from orchestrator.machine.host_samples import HostSample
from orchestrator.machine.tally import Tally
from orchestrator.units import share

# Disturbances shorter than this share of the run are not reported.
THROTTLED_ENOUGH = 0.02
STEAL_ENOUGH = 0.02
BUSY_BEFORE = 0.10
_MOST_SHOWN = 5


@dataclass(frozen=True, kw_only=True)
class Throttling:
    """What throttled a GPU in how many of its samples; `streak` are the most in a row."""

    gpu: str
    reason: str
    samples: int
    looks: int
    streak: int

    @property
    def share(self) -> float:
        """Return the share of the samples."""
        return self.samples / self.looks

    def __str__(self) -> str:
        return (
            f"{title(self.gpu)} was throttled by {self.reason} for {100 * self.share:.0f} % "
            "of the samples"
        )


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What the monitor saw that makes a measurement doubtful; a sentence is "" without it."""

    throttling: tuple[Throttling, ...] = ()
    busy_before: str = ""
    stolen: str = ""
    in_use: tuple[str, ...] = ()
    silent: tuple[str, ...] = ()


def busy_before(sample: HostSample) -> str:
    """Return what others used of the CPU before the run; "" if it is little."""
    if sample.cpu <= BUSY_BEFORE:
        return ""
    return (
        f"other processes used {share(sample.cpu)} of the CPU before the run: "
        f"load {sample.load:.1f} on {os.cpu_count() or 1} cores"
    )


def in_use(name: str, others: Sequence[GpuProcess]) -> str:
    """Return that a GPU was in use before the run; "" if it was not."""
    if not others:
        return ""
    pids = ", ".join(str(one.pid) for one in others[:_MOST_SHOWN])
    return f"{title(name)} was in use before the run (process {pids})"


def disturbances(tally: Tally) -> Iterator[str]:
    """Yield a sentence per disturbance in the samples."""
    for one in throttling(tally):
        if one.share >= THROTTLED_ENOUGH:
            yield str(one)
    if text := stolen(tally):
        yield text


def stolen(tally: Tally) -> str:
    """Return that other virtual machines took CPU time; "" if it is little."""
    steal = tally.spreads.get("steal")
    mean = steal.total / steal.count if steal is not None else 0.0
    if mean <= 100 * STEAL_ENOUGH:
        return ""
    return f"other virtual machines took {mean:.0f} % of this one's CPU time"


def title(name: str) -> str:
    """Return what a GPU is called in a sentence; `name` is "gpu" and its index, or its UUID."""
    return f"GPU {name.removeprefix('gpu')}" if name.startswith("gpu") else f"GPU {name}"


def throttling(tally: Tally) -> Iterator[Throttling]:
    """Yield what throttled each GPU, most often first."""
    for name, reasons in sorted(tally.throttled.items()):
        for reason, count in sorted(reasons.items(), key=lambda pair: -pair[1]):
            yield Throttling(
                gpu=name,
                reason=reason,
                samples=count,
                looks=tally.looks[name],
                streak=tally.longest[name][reason],
            )
