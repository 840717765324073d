"""What a try gave, and how it compares with the default of the same passes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from orchestrator import stats
from orchestrator.result import Result
from orchestrator.tuning.space import Change
from orchestrator.units import SAMPLES_PER_SECOND

# What counts as fast: samples per second, or samples per second of CPU time.
By = Literal["throughput", "cpu"]
# A gain below this is not worth an option that everybody has to type.
LEAST_GAIN = 0.01


@dataclass(frozen=True, kw_only=True)
class Speed:
    """One run: samples per second, and per second of CPU time if that is known."""

    throughput: float
    per_cpu_second: float | None

    def of(self, by: By) -> float | None:
        """Return what counts."""
        return self.throughput if by == "throughput" else self.per_cpu_second


def speed_of(result: Result) -> Speed | None:
    """Return the speed that a result tells, None if the run failed."""
    if result.failure is not None or "throughput" not in result.metrics:
        return None
    cpu, plan = result.metrics.get("cpu_time"), result.plan
    per_step = plan.global_batch if plan else None
    return Speed(
        throughput=result.metrics["throughput"].value,
        per_cpu_second=per_step / cpu.value if per_step and cpu and cpu.value else None,
    )


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """How many times as fast as the default: the geometric mean over passes, and its interval.

    `interval` covers 95 %, by Student's t on the logarithms of the ratios of each pass; None for a
    single pass.
    """

    mean: float
    interval: tuple[float, float] | None

    @property
    def is_gain(self) -> bool:
        """Whether it is worth anything; the interval excludes 1 if there is one."""
        least = self.interval[0] if self.interval else self.mean
        return least > 1 and self.mean > 1 + LEAST_GAIN


@dataclass
class Try:
    """The runs of one change, by pass; `failure` is the first reason why one has no result."""

    change: Change
    speeds: dict[int, Speed] = field(default_factory=dict)
    runs: list[str] = field(default_factory=list)
    failure: str = ""

    def median(self, by: By) -> float | None:
        """Return the median of what counts, None if nothing was measured."""
        values = [value for one in self.speeds.values() if (value := one.of(by)) is not None]
        return stats.median(values) if values else None

    def ratio(self, default: Try, by: By) -> Ratio | None:
        """Compare with the default in the passes that both have; None if there is none."""
        logs = [
            math.log(own / other)
            for number, speed in self.speeds.items()
            if (own := speed.of(by)) is not None
            and number in default.speeds
            and (other := default.speeds[number].of(by)) is not None
        ]
        if not logs:
            return None
        low, high = stats.mean_interval(logs) if len(logs) > 1 else (None, None)
        return Ratio(
            mean=math.exp(stats.mean(logs)),
            interval=None if low is None or high is None else (math.exp(low), math.exp(high)),
        )


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """All tries of one session, the default first; `session` is its name.

    `used` are the options that the default chose, `left` counts the runs that are still to be made.
    """

    session: str
    tries: tuple[Try, ...]
    used: Mapping[str, str] = field(default_factory=dict)
    left: int = 0

    @property
    def complete(self) -> bool:
        """Whether every run has ended."""
        return not self.left

    @property
    def default(self) -> Try:
        """Return the runs without a change."""
        return self.tries[0]

    def gains(self, by: By) -> list[tuple[Ratio, Try]]:
        """Return what is faster than the default, the fastest first."""
        found = [(one.ratio(self.default, by), one) for one in self.tries[1:]]
        real = [(ratio, one) for ratio, one in found if ratio is not None and ratio.is_gain]
        return sorted(real, key=lambda pair: -pair[0].mean)

    def best(self, by: By) -> Try:
        """Return the fastest try: the default if nothing is faster."""
        gains = self.gains(by)
        return gains[0][1] if gains else self.default

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {"session": self.session, "tries": [_told(one, self.default) for one in self.tries]}


def _told(one: Try, default: Try) -> dict[str, Any]:
    told: dict[str, Any] = {"change": dict(one.change), "runs": one.runs}
    units: dict[By, str] = {"throughput": SAMPLES_PER_SECOND, "cpu": "samples/CPU s"}
    for by, unit in units.items():
        ratio = one.ratio(default, by)
        told[by] = {
            "median": one.median(by),
            "unit": unit,
            "ratio": ratio.mean if ratio else None,
            "interval": ratio.interval if ratio else None,
        }
    told["failure"] = one.failure or None
    return told


def together(outcome: Outcome, by: By, *, most: int = 3) -> list[Change]:
    """Return combinations of the changes that helped: the best one of each of `most` options.

    Empty if fewer than two options helped.
    """
    best: dict[str, Change] = {}
    for _, one in outcome.gains(by):
        (name,) = one.change
        best.setdefault(name, one.change)
    kept = list(best.values())[:most]
    return [
        merged(chosen)
        for count in range(2, len(kept) + 1)
        for chosen in itertools.combinations(kept, count)
    ]


def merged(changes: Iterable[Change]) -> Change:
    """Return one change that makes all of them."""
    told: dict[str, str | int] = {}
    for one in changes:
        told.update(one)
    return told
