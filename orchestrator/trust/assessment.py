"""Assesses a result: one function per reason, and the worst reason decides."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from orchestrator.trust import gpu_health, machine, steps
from orchestrator.trust.facts import Facts
from orchestrator.trust.verdict import Reason, Verdict

Find = Callable[[Facts], Iterator[Reason]]
OF_GPUS: tuple[Find, ...] = (
    gpu_health.power_limit,
    gpu_health.xid,
    gpu_health.memory_errors,
    gpu_health.board_state,
    gpu_health.pcie_link,
)
REASONS: tuple[Find, ...] = (
    machine.throttled,
    machine.low_clock,
    machine.gpu_silent,
    machine.gpu_idle,
    *OF_GPUS,
    machine.foreign_process,
    machine.busy_host,
    machine.cpu_stolen,
    steps.drift,
    steps.two_speeds,
    steps.few_steps,
    machine.slow_input,
    machine.memory_full,
    machine.limit_missed,
    machine.isolation,
)


def assess(facts: Facts) -> Verdict:
    """Return the verdict on a measured run."""
    finding = [find for find in REASONS if not (facts.on_cpu and find in OF_GPUS)]
    return Verdict.of([reason for find in finding for reason in find(facts)])
