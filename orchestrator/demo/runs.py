"""Run folders of the simulated machine, as if each of its runs had been a real one."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import NamedTuple

from orchestrator.demo.world import BATCHES, FRAMEWORKS, MODELS, PHASES
from orchestrator.machine.tally import UNITS
from orchestrator.metric import Metric
from orchestrator.nights.record import Night, NightRun, NightSeries
from orchestrator.paths import RunFolder, runs
from orchestrator.plan import Plan
from orchestrator.request import Phase, Request
from orchestrator.result import Environment, Failure, Result, StepSamples
from orchestrator.run.deriving import ACHIEVED, CEILING, ENERGY, PER_WATT, SHARE
from orchestrator.stats import mean, median, percentile
from orchestrator.trust.verdict import Verdict
from orchestrator.units import BYTES, FLOPS, PERCENT, SAMPLES_PER_SECOND, SECONDS
from orchestrator.version import VERSION

GPU = "Simulated GPU"
_GPUS = 8
_MOST_STEPS, _WARMUP = 500, 5
_TIMED_SECONDS = 43.0
_STEP_NOISE, _SLOW_STEPS = 0.015, 0.03
_IDLE, _HOT, _THROTTLE = 38.0, 82.0, 80.0
_MEMORY = 80 * 2**30
# What is explored: batches in inference, devices in training.
_EXPLORED = ("resnet50", "vgg16")
_BATCHES = (1, 2, 4, 8, 16, 32, 64, 128)
_DEVICES = (1, 2, 4, 8)
_HALF = 9.0  # the batch with half of the top throughput
_LOST_PER_DOUBLING = 0.06
EXPLORED = "explored"
_POWER, _CEILING_FLOPS, _BEST_SHARE = 320.0, 60e12, 0.42


@dataclass(frozen=True, kw_only=True)
class Made:
    """A run to be filed; `throughput` is None if it failed. Times in seconds since 1970."""

    name: str
    model: str
    framework: str
    phase: Phase
    batch: int
    devices: int
    throughput: float | None
    started: float
    seconds: float
    session: str
    number: int
    driver: str
    message: str = ""


def of_night(night: Night) -> Iterator[Made]:
    """Yield the runs of a night."""
    for series in night.series:
        for number, run in enumerate(series.runs, start=1):
            yield _made(night, series, run, number)


def _made(night: Night, series: NightSeries, run: NightRun, number: int) -> Made:
    return Made(
        name=run.result,
        model=series.model,
        framework=series.framework,
        phase="inference" if series.phase == "inference" else "training",
        batch=BATCHES[series.phase],
        devices=1,
        throughput=run.throughput,
        started=run.started,
        seconds=run.seconds,
        session=night.session,
        number=number,
        driver=night.facts["driver"],
        message=run.message,
    )


def explored(night: Night) -> Iterator[Made]:
    """Yield runs over batches and over devices, from the afternoon before a night."""
    clock = night.started - 4 * 3600
    for model in _EXPLORED:
        for framework, (share, _) in FRAMEWORKS.items():
            top = MODELS[model] * share
            for batch in _BATCHES:
                value = top * PHASES["inference"] * _filled(batch) / _filled(BATCHES["inference"])
                clock += 60
                yield _exploring(night, clock, Cell(model, framework, "inference", batch), value)
            for devices in _DEVICES:
                lost = _LOST_PER_DOUBLING * (2 - share) * math.log2(devices)
                value = top * devices * (1 - lost)
                clock += 60
                cell = Cell(model, framework, "training", BATCHES["training"], devices)
                yield _exploring(night, clock, cell, value)


def _filled(batch: int) -> float:
    """Return the share of the top throughput that a batch reaches."""
    return batch / (batch + _HALF)


class Cell(NamedTuple):
    """What is explored."""

    model: str
    framework: str
    phase: Phase
    batch: int
    devices: int = 1


def _exploring(night: Night, clock: float, cell: Cell, value: float) -> Made:
    stamp = f"{datetime.fromtimestamp(clock, UTC):%Y%m%dT%H%M%S}"
    return Made(
        name=f"{stamp}-{cell.framework}-{cell.model}-b{cell.batch}d{cell.devices}",
        **cell._asdict(),
        throughput=value * math.exp(Random(stamp).gauss(0, 0.006)),
        started=clock,
        seconds=50,
        session=f"{EXPLORED}-{night.night}",
        number=1,
        driver=night.facts["driver"],
    )


def file(made: Made) -> None:
    """Write a run's folder. Raises OSError."""
    folder = RunFolder(runs() / made.name)
    folder.make()
    random = Random(made.name)
    request = Request(
        model=made.model,
        framework=made.framework,
        phase=made.phase,
        batch=made.batch,
        devices=made.devices,
        steps=_steps(made),
        warmup=_WARMUP,
    )
    samples = list(_samples(made, random))
    seconds = _step_seconds(made, random)
    result = _result(made, request, seconds, samples)
    session = {"name": made.session, "suite": "demo", "pass": made.number}
    _write(folder.request, request.model_dump_json(by_alias=True))
    _write(folder.session, json.dumps(session))
    _write(folder.log, "\n".join(_log(made, seconds)) + "\n")
    head = {"schema": 1, "started": made.started, "units": UNITS}
    _write(folder.monitor, "\n".join(json.dumps(line) for line in (head, *samples)) + "\n")
    _write(folder.result, result.model_dump_json(by_alias=True))


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _step_seconds(made: Made, random: Random) -> tuple[float, ...]:
    if made.throughput is None:
        return ()
    step = made.batch * made.devices / made.throughput
    count = _steps(made)
    found = [step * math.exp(random.gauss(0, _STEP_NOISE)) for _ in range(count)]
    found = [one * (1.4 if random.random() < _SLOW_STEPS else 1) for one in found]
    scale = step / mean(found)
    return tuple(round(one * scale, 7) for one in found)


def _steps(made: Made) -> int:
    """Return how many steps fill the timed part, but not too many for a file."""
    if made.throughput is None:
        return _MOST_STEPS
    step = made.batch * made.devices / made.throughput
    return min(_MOST_STEPS, max(1, int(_TIMED_SECONDS / step)))


def _samples(made: Made, random: Random) -> Iterator[dict[str, object]]:
    """Yield what a monitor would have seen, once a second."""
    for second in range(1, int(made.seconds)):
        warm = 1 - math.exp(-second / 15)
        stage = "starting" if second < 8 else "warmup" if second < 12 else "timing"
        busy = 0.97 if stage == "timing" else 0.2
        heat = _IDLE + (_HOT - _IDLE) * warm * (0.8 + 0.2 * random.random())
        yield {
            "t": float(second),
            "stage": stage,
            "load": round(2 + random.random(), 2),
            "cpu": round(0.1 + 0.05 * random.random(), 3),
            "memory_available": 200 * 2**30,
            "gpu0": {
                "utilisation": round(busy + 0.03 * random.random(), 3),
                "memory_used": 30 * 2**30,
                "power": round(90 + 280 * busy * (0.95 + 0.05 * random.random()), 1),
                "temperature": round(heat),
                "sm_clock": 1980 if heat < _THROTTLE else 1905,
                "throttle": [] if heat < _THROTTLE else ["thermal"],
            },
        }


def _result(
    made: Made, request: Request, seconds: tuple[float, ...], samples: list[dict[str, object]]
) -> Result:
    plan = Plan(
        model=made.model,
        framework=made.framework,
        program=made.framework,
        phase=made.phase,
        dtype="float32",
        batch=made.batch,
        device="gpu",
        device_count=made.devices,
        gpus=tuple(f"GPU-{number}" for number in range(made.devices)),
        steps=_steps(made),
        warmup=_WARMUP,
        runtime="docker",
        runtime_reason="the demo simulates it",
        image=f"benchdock/{made.framework}-gpu",
        argv=("simulated",),
        script="# nothing was run: this is the demo\n",
    )
    failed = made.throughput is None
    return Result(
        benchdock=VERSION,
        run=made.name,
        status="failed" if failed else "ok",
        failure=Failure(kind="out_of_memory", message=made.message, evidence=made.message)
        if failed
        else None,
        request=request,
        plan=plan,
        metrics=_metrics(made, seconds),
        derived=_derived(made),
        steps=(StepSamples(first=_WARMUP, seconds=seconds, samples=made.batch * made.devices),)
        if seconds
        else (),
        verdict=None if failed else Verdict.of(()),
        notes=("simulated by `benchdock demo nights`: nothing was measured",),
        environment=_environment(made),
        monitor=_summary(samples),
        exit_code=1 if failed else 0,
        started=datetime.fromtimestamp(made.started, UTC),
        finished=datetime.fromtimestamp(made.started + made.seconds, UTC),
    )


def _metrics(made: Made, seconds: tuple[float, ...]) -> dict[str, Metric]:
    if made.throughput is None:
        return {}
    ordered = sorted(seconds)
    return {
        "throughput": Metric(value=made.throughput, unit=SAMPLES_PER_SECOND),
        "step_time_median": Metric(value=median(ordered), unit=SECONDS),
        "step_time_p99": Metric(value=percentile(ordered, 99), unit=SECONDS),
        "peak_memory": Metric(value=float((4 + made.batch // 8) * 2**30), unit=BYTES),
    }


def _derived(made: Made) -> dict[str, Metric]:
    """Return what `run.deriving` would: the share of the ceiling is that of the framework."""
    if made.throughput is None:
        return {}
    power = _POWER * made.devices
    share = _BEST_SHARE * FRAMEWORKS[made.framework][0]
    ceiling = _CEILING_FLOPS * made.devices
    return {
        ENERGY: Metric(value=power / made.throughput, unit="J"),
        PER_WATT: Metric(value=made.throughput / power, unit="samples/s/W"),
        ACHIEVED: Metric(value=share * ceiling, unit=FLOPS),
        CEILING: Metric(value=ceiling, unit=FLOPS),
        SHARE: Metric(value=100 * share, unit=PERCENT),
    }


def _environment(made: Made) -> Environment:
    gpu = {"name": GPU, "memory_total": _MEMORY, "power_limit": 400.0, "sm_clock_max": 1980}
    gpus = [{**gpu, "index": n, "uuid": f"GPU-{n}"} for n in range(_GPUS)]
    return Environment.model_validate(
        {
            "hostname": "simulated-machine",
            "machine": "0" * 32,
            "gpu": {"state": "ok", "driver": made.driver, "gpus": gpus},
            "cpu": {"model": "Simulated CPU", "logical": 64, "usable": 64},
            "kernel": "6.1.0-37-amd64",
        }
    )


def _summary(samples: list[dict[str, object]]) -> dict[str, Metric]:
    """Return what the monitor's summary says of the first GPU."""
    seen = [told["gpu0"] for told in samples if told["stage"] == "timing"]
    gpus = [one for one in seen if isinstance(one, dict)]
    if not gpus:
        return {}
    found = {}
    for name in ("temperature", "power", "sm_clock"):
        values = [float(one[name]) for one in gpus]
        for word, value in (("min", min(values)), ("mean", mean(values)), ("max", max(values))):
            found[f"gpu0.{name}.{word}"] = Metric(value=value, unit=UNITS[name])
    hot = sum(bool(one["throttle"]) for one in gpus) / len(gpus)
    if hot:
        found["gpu0.throttled.thermal"] = Metric(value=100 * hot, unit="%")
    return found


def _log(made: Made, seconds: tuple[float, ...]) -> Iterator[str]:
    yield "simulated by `benchdock demo nights`: no program ran"
    yield f"{made.framework} {made.model} {made.phase}, batch {made.batch}"
    for number, one in list(enumerate(seconds, start=1))[:: max(1, len(seconds) // 6)]:
        yield f"step {number}: {one * 1000:.3f} ms"
    if made.throughput is None:
        yield f"error: {made.message}: 3.2 GiB requested, 1.1 GiB free"
    else:
        yield f"throughput: {made.throughput:.2f} {SAMPLES_PER_SECOND}"
