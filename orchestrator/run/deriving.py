"""Derives from a result what it means on this machine: achieved FLOP/s, and energy per sample."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator import ceilings
from orchestrator.frameworks import catalogue
from orchestrator.metric import Metric
from orchestrator.plan import Plan
from orchestrator.result import Result
from orchestrator.units import FLOPS, PERCENT

# A training step computes the forward pass, and in the backward pass the gradients of inputs and of
# weights, each as much again. This is how model FLOP/s are usually counted.
_PASSES = {"inference": 1, "training": 3}
ENERGY, ABOVE_IDLE, PER_WATT = (
    "energy_per_sample",
    "energy_per_sample_above_idle",
    "throughput_per_watt",
)
ACHIEVED, CEILING, SHARE = "achieved_flops", "ceiling_flops", "share_of_ceiling"
SHARE_BY_CPU_TIME = "share_of_ceiling_by_cpu_time"


def derived(result: Result) -> Result:
    """Return a result of one of our programs with the figures that can be derived."""
    plan = result.plan
    if result.failure is not None or plan is None or plan.program != "benchdock":
        return result
    found = dict(_compute(result, plan)) | dict(_energy(result, plan))
    return result.model_copy(update={"derived": found})


def _compute(result: Result, plan: Plan) -> Iterator[tuple[str, Metric]]:
    throughput, flop = result.metrics.get("throughput"), flop_per_sample(plan)
    if throughput is None or flop is None:
        return
    achieved = throughput.value * flop
    yield ACHIEVED, Metric(value=achieved, unit=FLOPS)
    ceiling = _ceiling(result, plan)
    if ceiling:
        yield CEILING, Metric(value=ceiling, unit=FLOPS)
        yield SHARE, Metric(value=100 * achieved / ceiling, unit=PERCENT)
        yield from _share_by_cpu_time(result, plan, ceiling, flop)


def _share_by_cpu_time(
    result: Result, plan: Plan, ceiling: float, flop: int
) -> Iterator[tuple[str, Metric]]:
    """Yield the share that does not depend on what else the CPUs do: of the probe's rate per
    second of CPU time, which the program's threads used.
    """
    used, threads = result.metrics.get("cpu_time"), _threads(result, plan)
    if plan.device != "cpu" or used is None or used.value <= 0 or not threads:
        return
    per_step = flop * plan.global_batch
    share = 100 * per_step / used.value / (ceiling / threads)
    yield SHARE_BY_CPU_TIME, Metric(value=share, unit=PERCENT)


def flop_per_sample(plan: Plan) -> int | None:
    """Return the floating-point operations of a sample; None for a network of the user's.

    A multiplication with its addition counts as two.
    """
    framework = catalogue.FRAMEWORKS.get(plan.framework)
    if framework is None or plan.fingerprint is None:
        return None
    if not catalogue.has(framework, plan.model):  # a file of the user's, under a name of its own
        return None
    graph = catalogue.of_zoo(framework, plan.model)
    if graph is None or graph.fingerprint != plan.fingerprint:
        return None
    macs: int = graph.macs
    return 2 * macs * _PASSES[plan.phase]


def _ceiling(result: Result, plan: Plan) -> float | None:
    """Return the sum of the devices' ceilings; None if one is unknown."""
    if plan.device == "cpu":
        found = ceilings.known(ceilings.CPU)
        if found is None:
            return None
        return ceilings.multiplying_on_cpu(found, plan.dtype, _threads(result, plan))
    total = 0.0
    for uuid in plan.gpus:
        one = ceilings.known(uuid)
        most = ceilings.multiplying(one, plan.dtype, len(plan.gpus)) if one else None
        if most is None:
            return None
        total += most
    return total


def _threads(result: Result, plan: Plan) -> int | None:
    """Return the threads of all ranks on the CPU; None if the program does not say."""
    each = result.program.threads
    return each and each * plan.device_count


def _energy(result: Result, plan: Plan) -> Iterator[tuple[str, Metric]]:
    """Yield energy per sample and throughput per watt of the timed window.

    On GPUs it is the energy of the GPUs, on a CPU that of the CPU packages, never of the machine.
    """
    window, samples = result.monitor.get("window"), _samples(result)
    throughput = result.metrics.get("throughput")
    if window is None or window.value <= 0 or not samples or throughput is None:
        return
    used, idle = _joules(result, plan, window.value)
    if used is None:
        return
    yield ENERGY, Metric(value=used / samples, unit="J")
    if idle is not None:
        yield ABOVE_IDLE, Metric(value=max(0.0, used - idle) / samples, unit="J")
    yield PER_WATT, Metric(value=throughput.value / (used / window.value), unit="samples/s/W")


def _samples(result: Result) -> int:
    return sum(len(block.seconds) * block.samples for block in result.steps)


def _joules(result: Result, plan: Plan, seconds: float) -> tuple[float | None, float | None]:
    """Return the energy of the devices in the window, and what they would take at rest."""
    monitor = result.monitor
    if plan.device == "cpu":
        power = monitor.get("cpu_power.mean")
        return (power.value * seconds if power else None), None
    used, idle = 0.0, 0.0
    resting = True
    for uuid in plan.gpus:
        index = next((one.index for one in result.environment.gpus if one.uuid == uuid), None)
        # A part of a GPU (MIG) has no energy of its own.
        name = f"gpu{index}"
        energy = monitor.get(f"{name}.energy") or monitor.get(f"{name}.energy_estimated")
        if index is None or energy is None:
            return None, None
        used += energy.value
        rest = monitor.get(f"{name}.power_idle")
        idle += rest.value * seconds if rest else 0.0
        resting = resting and rest is not None
    return used, idle if resting else None
