"""How long runs took so far, from the store's file of durations; no database is opened."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache, cached_property
from pathlib import Path

from orchestrator.errors import BenchdockError
from orchestrator.frameworks import catalogue, record
from orchestrator.machine import inventory
from orchestrator.plan import DataFolder, Plan
from orchestrator.run import data_folder, own_network
from orchestrator.run.decision import Decision
from orchestrator.store import durations, identity
from orchestrator.suites.decisions import SecondsOf


class History:
    """The durations of this home, read once."""

    @cached_property
    def _known(self) -> durations.Durations | None:
        from orchestrator import paths

        return durations.Durations.read() if paths.durations().exists() else None

    def seconds(self, decision: Decision) -> float | None:
        """Return how long a decided run takes, None if it never ran.

        On another machine it is what the same run took here.
        """
        if self._known is None:
            return None
        try:
            what = identity.what(decision.request, _as_planned(decision))
        except BenchdockError:  # a refused request, or a file that cannot be read
            return None
        expected = self._known.longest(what, self._place(decision))
        return expected.seconds if expected else None

    def by_counts(self, decision: Decision) -> SecondsOf | None:
        """Return what tells the durations of runs with other batches, steps and warm-up steps.

        None if nothing is known of any run, or if the network's file decides on them.
        """
        if self._known is None or decision.request.model_file is not None:
            return None
        framework, place = decision.framework, self._place(decision)
        usual = record.DEFAULTS[decision.target.device]

        @cache
        def settled(steps: int | None, warmup: int | None) -> tuple[int, int]:
            return framework.step_rules.settle(
                framework.name, steps=steps, warmup=warmup, usual=(usual.steps, usual.warmup)
            )

        @cache
        def what() -> Callable[[int, int, int], str]:
            return identity.what_by_counts(decision.request, _as_planned(decision))

        find = self._known.longest

        def seconds(batch: int | None, steps: int | None, warmup: int | None) -> float | None:
            found = find(what()(batch or usual.batch, *settled(steps, warmup)), place)
            return found.seconds if found else None

        return seconds

    def _place(self, decision: Decision) -> str:
        machine, cpu, cpus = _here()
        return identity.place(machine, gpus=decision.target.gpus, cpu=cpu, cpus=cpus)


@cache
def _here() -> tuple[str, str, str]:
    """Return what identifies this machine, its CPU, and the CPUs that may be used."""
    return (
        inventory.machine_or_host(),
        inventory.cpu_model(),
        inventory.ranges(os.sched_getaffinity(0)),
    )


def _as_planned(decision: Decision) -> Plan:
    """Return those fields of the plan that identify a series; the script is not rendered."""
    request = own_network.with_batch(decision.request)
    framework, target = decision.framework, decision.target
    batch, steps, warmup = record.settle_counts(framework, request, target.device)
    file = request.model_file
    return Plan.model_construct(
        model=request.model,
        framework=framework.name,
        program=framework.program,
        fingerprint=own_network.fingerprint(file) if file else _fingerprint(decision),
        phase=request.phase,
        dtype=request.dtype,
        batch=batch,
        device=target.device,
        device_count=target.count,
        steps=steps,
        warmup=warmup,
        data=_examined(request.data),
        runtime=decision.runtime,
        runtime_reason=decision.reason,
        argv=(),
        script="",
    )


@cache
def _examined(folder: Path | None) -> DataFolder | None:
    return data_folder.examine(folder) if folder is not None else None


def _fingerprint(decision: Decision) -> str | None:
    return catalogue.fingerprint(decision.framework, decision.request.model)
