"""Disturbances of a measurement in words: throttling, and what others did on the machine."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from orchestrator.machine.gpu_facts import GpuProcess
from orchestrator.machine.host_samples import HostSample
from orchestrator.machine.tally import Tally
from orchestrator.units import share

# Disturbances shorter than this share of the run are not reported.
THROTTLED_ENOUGH = 0.02
STEAL_ENOUGH = 0.02
BUSY_BEFORE = 0.10
_MOST_SHOWN = 5


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
    for name in sorted(tally.throttled):
        yield from _throttling(name, tally)
    steal = tally.spreads.get("steal")
    mean = steal.total / steal.count if steal is not None else 0.0
    if mean > 100 * STEAL_ENOUGH:
        yield f"other virtual machines took {mean:.0f} % of this one's CPU time"


def title(name: str) -> str:
    """Return what a GPU is called in a sentence; `name` is "gpu" and its index, or its UUID."""
    return f"GPU {name.removeprefix('gpu')}" if name.startswith("gpu") else f"GPU {name}"


def _throttling(name: str, tally: Tally) -> Iterator[str]:
    looks = tally.looks[name]
    for reason, count in sorted(tally.throttled[name].items(), key=lambda pair: -pair[1]):
        if count / looks >= THROTTLED_ENOUGH:
            yield (
                f"{title(name)} was throttled by {reason} for {100 * count / looks:.0f} % "
                "of the samples"
            )
