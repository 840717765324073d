"""Runs the probe and keeps what it found."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from orchestrator import ceilings
from orchestrator.ceilings import CPU, Ceiling, DeviceCeilings
from orchestrator.machine import inventory
from orchestrator.machine.monitor import Monitor
from orchestrator.metric import Metric
from orchestrator.plan import Plan
from orchestrator.request import GpuChoice, Request, RuntimeChoice
from orchestrator.result import Failure
from orchestrator.run.decision import Decision, decide
from orchestrator.run.facts import ThisMachine
from orchestrator.run.filing import new_folder, write_launcher
from orchestrator.run.places import ready_place
from orchestrator.run.runner import StageClock, execute
from orchestrator.stats import median
from orchestrator.units import share
from orchestrator.version import VERSION
from orchestrator.view import View

# The image of this framework runs the probe: on a GPU it has PyTorch, on a CPU any Python will do.
FRAMEWORK = "pytorch"
# Any network: nothing is built of it.
MODEL = "deep_mnist"
# The CPUs were busy with something else if the loop got less of the time than this.
QUIET = 0.9
# GPUs of one healthy machine differ by up to 5 %.
SLOW = 0.95


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What to probe, and where; None chooses as `benchdock run` does."""

    gpus: GpuChoice | None = None
    image: str | None = None
    runtime: RuntimeChoice = RuntimeChoice.AUTO
    python: Path | None = None
    threads: int | None = None
    seconds: float = 3.0


@dataclass(frozen=True, kw_only=True)
class Probed:
    """What a probe found, or why it failed; `signal_number` is set if the user ended it."""

    devices: tuple[DeviceCeilings, ...] = ()
    failure: Failure | None = None
    notes: tuple[str, ...] = ()
    signal_number: int | None = None
    log: Path


def probe(wanted: Wanted, view: View) -> Probed:
    """Probe the devices and keep the figures.

    Raises RequestError, EngineError, ImageError or MachineError if the program cannot be started.
    """
    decision = _decided(wanted)
    folder, clock = new_folder("probe", FRAMEWORK), StageClock(view)
    place, runtime = ready_place(decision, view)
    from orchestrator.probing.plan import probe_plan

    plan = probe_plan(decision, place, folder, seconds=wanted.seconds)
    write_launcher(folder, plan)
    with Monitor(folder.monitor, gpus=plan.gpus) as monitor:
        outcome = execute(
            plan,
            runtime,
            folder,
            view,
            clock,
            on_progress=lambda now: monitor.stage(now.stage, now.window),
        )
    if outcome.failure is not None:
        return Probed(failure=outcome.failure, signal_number=outcome.signal_number, log=folder.log)
    cells = outcome.measurement.begin.ceilings or ()
    found = tuple(Ceiling.model_validate(cell) for cell in cells)
    devices = tuple(_devices(plan, decision, found, monitor.summary()))
    for one in devices:
        ceilings.keep(one)
    return Probed(devices=devices, notes=tuple(_notes(devices)), log=folder.log)


def _decided(wanted: Wanted) -> Decision:
    request = Request(
        model=MODEL,
        framework=FRAMEWORK,
        phase="inference",
        gpus=wanted.gpus,
        image=wanted.image,
        runtime=wanted.runtime,
        python=wanted.python,
        threads=wanted.threads,
    )
    facts = ThisMachine()
    if request.gpus is None and facts.gpu.gpus:
        request = request.model_copy(update={"gpus": "all"})
    decision = decide(request, facts).accepted()
    on_host = decision.on_host and decision.target.device == "cpu"
    # The loop needs only a Python, not the packages of a framework.
    return replace(decision, image=None) if on_host else decision


def _devices(
    plan: Plan, decision: Decision, found: tuple[Ceiling, ...], monitor: Mapping[str, Metric]
) -> Iterator[DeviceCeilings]:
    now, host = datetime.now(UTC), platform.node()
    if plan.device == "cpu":
        name = inventory.cpu_model()
        yield DeviceCeilings(
            benchdock=VERSION, made=now, hostname=host, device=CPU, name=name, ceilings=found
        )
        return
    by_uuid = {one.uuid: one for one in decision.gpu.gpus}
    for index, uuid in enumerate(plan.gpus):
        gpu = by_uuid.get(uuid)
        power = monitor.get(f"gpu{gpu.index}.power.mean") if gpu else None
        speed = monitor.get(f"gpu{gpu.index}.sm_clock.mean") if gpu else None
        yield DeviceCeilings(
            benchdock=VERSION,
            made=now,
            hostname=host,
            device=uuid,
            name=f"GPU {gpu.index}, {gpu.name}" if gpu else uuid,
            power=power.value if power else None,
            sm_clock=speed.value if speed else None,
            ceilings=tuple(one for one in found if one.index == index),
        )


def _notes(devices: tuple[DeviceCeilings, ...]) -> Iterator[str]:
    """Say what is doubtful, and which GPU is the slowest when all work."""
    for one in devices:
        shares = [c.wall / c.median for c in one.ceilings if c.wall is not None]
        if shares and min(shares) < QUIET:
            yield (
                f"the CPUs were busy: the probe had them for {share(min(shares))} of the time. Its "
                "figures are by CPU time; run it again when the machine is quiet"
            )
    yield from slowest(devices)


def slowest(devices: tuple[DeviceCeilings, ...]) -> Iterator[str]:
    """Name the slowest of several GPUs that worked at once, by the first kind of product."""
    together = [
        (one, c)
        for one in devices
        for c in one.ceilings
        if c.what == "multiply" and c.devices == len(devices) > 1
    ]
    if not together:
        return
    dtype = together[-1][1].dtype
    rates = {one.name: c.median for one, c in together if c.dtype == dtype}
    last, usual = min(rates, key=lambda name: rates[name]), median(list(rates.values()))
    part = rates[last] / usual
    judged = "more than healthy GPUs differ" if part < SLOW else "as healthy GPUs may differ"
    yield f"slowest of all at once: {last}, {100 * (1 - part):.1f} % below the median ({judged})"
