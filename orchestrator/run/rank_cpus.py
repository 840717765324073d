"""Finds the CPUs near the GPUs of a run, for programs that start a process per GPU."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from backends import near_cpus
from orchestrator.frameworks.record import Framework
from orchestrator.machine import inventory
from orchestrator.machine.gpu_facts import GpuReport
from orchestrator.run.devices import Target

_IN_ORDER = "the ranks get CPUs in order, near their GPUs or not"


def near(
    framework: Framework, target: Target, report: GpuReport, allowed: Collection[int] | None
) -> tuple[Target, tuple[str, ...]]:
    """Return a target with the CPUs near its GPUs, or as it is and why these are not used.

    `allowed` are the CPUs that a program may use, None if that is unknown.
    """
    if len(target.gpus) < 2 or not (framework.is_our_program and framework.starts_processes({})):
        return target, ()
    named = {name: one for one in report.gpus for name in (str(one.index), one.uuid)}
    gpus = [named[name] for name in target.gpus if name in named]
    if len(gpus) < len(target.gpus):  # it lacks some: that is a refusal already
        return target, ()
    unknown = [str(one.index) for one in gpus if one.local_cpus is None]
    if unknown:
        several = "s" if len(unknown) > 1 else ""
        names = ", ".join(unknown)
        return target, (f"it is unknown which CPUs are near GPU{several} {names}: {_IN_ORDER}",)
    places = [near_cpus.numbers(one.local_cpus) for one in gpus if one.local_cpus]
    if allowed is not None:
        places = [place & frozenset(allowed) for place in places]
        if all(place == frozenset(allowed) for place in places):
            return target, ()  # in order is near
    if not near_cpus.shares(places, sorted(frozenset().union(*places))):
        return target, (f"too few of the CPUs near the GPUs may be used: {_IN_ORDER}",)
    return replace(target, near_cpus=tuple(map(inventory.ranges, places))), ()
