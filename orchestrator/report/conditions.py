"""What the monitor saw of the machine during the runs of a night."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.nights.record import Night
from orchestrator.record_files import LARGEST, read_json
from orchestrator.report.run_folders import found
from orchestrator.report.tables import Table
from orchestrator.stats import mean

_THROTTLED = ".throttled."


@dataclass(frozen=True, kw_only=True)
class Condition:
    """The monitor's summary of one run: numbers by name, as `machine.tally` names them."""

    started: float
    values: Mapping[str, float]


def conditions(night: Night) -> Iterator[Condition]:
    """Yield the conditions of the runs whose folders are on this machine."""
    for series in night.series:
        for run in series.runs:
            folder = found(run.result)
            told = read_json(folder.result, LARGEST) if folder else None
            monitor = told.get("monitor") if isinstance(told, dict) else None
            if isinstance(monitor, dict) and monitor:
                yield Condition(started=run.started, values=dict(_numbers(monitor)))


def _numbers(monitor: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for name, one in monitor.items():
        value = one.get("value") if isinstance(one, dict) else None
        if isinstance(value, int | float) and math.isfinite(value):
            yield name, float(value)


def temperatures(seen: Iterable[Condition]) -> tuple[tuple[float, float], ...]:
    """Return the highest temperature of any GPU in each run, in degrees Celsius, by its start."""
    points = []
    for one in seen:
        values = [value for name, value in one.values.items() if name.endswith(".temperature.max")]
        if values:
            points.append((one.started, max(values)))
    return tuple(sorted(points))


def gpus(seen: Iterable[Condition]) -> Table | None:
    """Return a row per GPU: how hot, how fast, how much power, and how often it was throttled."""
    by_gpu: dict[str, list[Mapping[str, float]]] = {}
    for one in seen:
        names = {name.partition(".")[0] for name in one.values if name.startswith("gpu")}
        for gpu in names:
            by_gpu.setdefault(gpu, []).append(one.values)
    if not by_gpu:
        return None
    return Table(
        caption="GPUs during the timed part of the runs",
        titles=("GPU", "runs", "hottest, °C", "mean power, W", "lowest clock, MHz", "throttled"),
        rows=tuple(_gpu(gpu, members) for gpu, members in sorted(by_gpu.items())),
        right=(1, 2, 3, 4),
    )


def _gpu(gpu: str, members: list[Mapping[str, float]]) -> tuple[str, ...]:
    def of(name: str) -> list[float]:
        return [values[f"{gpu}.{name}"] for values in members if f"{gpu}.{name}" in values]

    hot, power, clock = of("temperature.max"), of("power.mean"), of("sm_clock.min")
    return (
        gpu.removeprefix("gpu"),
        str(len(members)),
        f"{max(hot):.0f}" if hot else "",
        f"{mean(power):.0f}" if power else "",
        f"{min(clock):.0f}" if clock else "",
        "; ".join(_throttling(gpu, members)) or "never",
    )


def _throttling(gpu: str, members: list[Mapping[str, float]]) -> Iterator[str]:
    prefix = f"{gpu}{_THROTTLED}"
    reasons = sorted({name for values in members for name in values if name.startswith(prefix)})
    for name in reasons:
        shares = [values[name] for values in members if values.get(name)]
        if shares:
            word = name.removeprefix(prefix).replace("_", " ")
            yield f"{word} in {len(shares)} runs, {max(shares):.0f} % of one at most"
