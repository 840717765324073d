"""Puts the verdict on a result together from its records and what the monitor saw."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from orchestrator.machine.disturbances import Seen
from orchestrator.machine.facts import GpuFacts
from orchestrator.machine.monitor import Monitor
from orchestrator.result import Result
from orchestrator.run import usual_clock
from orchestrator.trust.assessment import assess
from orchestrator.trust.facts import Clock, Facts, Filled
from orchestrator.trust.verdict import Trust


def judged(result: Result, monitor: Monitor | None) -> Result:
    """Return a result with its verdict; a run that failed has none."""
    if result.failure is not None:
        return result
    seen = monitor.seen() if monitor is not None else Seen()
    return result.model_copy(update={"verdict": assess(facts(result, seen))})


def missed(results: Sequence[Result], required: Trust) -> str:
    """Return which results of one request are worse than required and why, "" if none is."""
    worse = [
        (result, result.verdict)
        for result in results
        if result.verdict is not None and not result.verdict.reaches(required)
    ]
    if not worse:
        return ""
    result, verdict = worse[0]
    if len(results) == 1:
        return f"--require {required} is not met: the result is {verdict.in_words()}"
    return (
        f"--require {required} is not met by {len(worse)} of {len(results)} runs: "
        f"{result.run} is {verdict.in_words()}"
    )


def facts(result: Result, seen: Seen) -> Facts:
    """Return what a verdict on a measured run is based on."""
    gpus = {f"gpu{one.index}": one for one in _used(result) if one.index is not None}
    return Facts(
        on_cpu=result.plan is None or result.plan.device == "cpu",
        reads_data=result.request is not None and result.request.data is not None,
        seconds=tuple(itertools.chain.from_iterable(block.seconds for block in result.steps)),
        seen=seen,
        gpus={name: one.name or "" for name, one in gpus.items()},
        fed=dict(_fed(result, gpus)),
        clocks=tuple(_clocks(result, gpus)),
        memory=tuple(_memory(result, gpus)),
        **_lacking(result),
    )


def _lacking(result: Result) -> dict[str, Any]:
    """Return what the runtime could not give the container."""
    if result.plan is None or not result.plan.lacks:
        return {}
    from orchestrator.runtimes.by_command import lacking  # only then

    return {"missed": tuple(lacking.missed(result.plan)), "shared": lacking.shared(result.plan)}


def _clocks(result: Result, gpus: Mapping[str, GpuFacts]) -> Iterator[Clock]:
    """Yield the clocks of which the usual one is known."""
    now, usual = usual_clock.clocks(result), usual_clock.usual_clocks(result)
    for name, gpu in gpus.items():
        if gpu.uuid in now and usual.get(gpu.uuid):
            yield Clock(gpu=name, now=now[gpu.uuid], usual=usual[gpu.uuid])


def _used(result: Result) -> Iterator[GpuFacts]:
    """Yield the GPUs of the run."""
    uuids = result.plan.gpus if result.plan else ()
    return (one for one in result.environment.gpus if one.uuid in uuids)


def _fed(result: Result, gpus: Mapping[str, GpuFacts]) -> Iterator[tuple[str, float]]:
    """Yield the utilisation of GPUs that trained on real data."""
    request = result.request
    if request is None or request.phase != "training" or request.data is None:
        return
    for name in gpus:
        busy = result.monitor.get(f"{name}.utilisation.mean")
        if busy is not None:
            yield name, busy.value / 100


def _memory(result: Result, gpus: Mapping[str, GpuFacts]) -> Iterator[Filled]:
    """Yield the memories of which both size and use are known.

    On a GPU, the use is what the program itself reports: what the driver counts includes what
    allocators only reserve.
    """
    peak = result.metrics.get("peak_memory")
    totals = [one.memory_total for one in gpus.values() if one.memory_total]
    if peak is not None and totals:
        yield Filled(what="the memory of the GPU", used=peak.value, total=min(totals))
    plan = result.plan
    limit = plan.limits.memory if plan is not None and "memory" not in plan.lacks else None
    if peak is not None and limit and not gpus:
        yield Filled(what="the memory limit", used=peak.value, total=limit)
    total, free = result.environment.memory_total, result.monitor.get("memory_available.min")
    if total and free is not None:
        yield Filled(what="the memory of this machine", used=total - free.value, total=total)
