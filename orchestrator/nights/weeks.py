"""Looks for slow changes over weeks, in a series or in the mean of several: advice only."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from orchestrator.nights import noise
from orchestrator.stats import mean, median

NIGHTS = 60
_BEFORE, _AFTER = 14, 2
_LEAST_T = 5.0
_LEAST_STEP = 0.005
_CLIP = 4.0
_MOST_CORRELATION = 0.8


@dataclass(frozen=True, kw_only=True)
class Advice:
    """A lasting change: `first` is the index of its first night, `step` a share of 1."""

    first: int
    step: float
    t: float


def advise(places: Sequence[float]) -> Advice | None:
    """Look for the best split of the last nights into before and after.

    `places` are natural logarithms, one per night, oldest first. The t of the two means is
    corrected for the correlation of neighbouring nights, because a slow wave is not a step.
    """
    start = max(0, len(places) - NIGHTS)
    values = _clipped(places[start:])
    best: Advice | None = None
    for split in range(_BEFORE, len(values) - _AFTER + 1):
        step, t = _step(values, split)
        if best is None or abs(t) > abs(best.t):
            best = Advice(first=start + split, step=step, t=t)
    if best is None:
        return None
    t = best.t / _inflation(values, best.first - start)
    if abs(t) <= _LEAST_T or abs(best.step) <= _LEAST_STEP:
        return None
    step = median(places[best.first :]) - median(places[start : best.first])
    return Advice(first=best.first, step=math.expm1(step), t=t)


def group(series: Sequence[Mapping[int, float]]) -> list[float]:
    """Return the mean of several series, one value per night that any of them has.

    Each series has its places by night; it counts as a deviation from its own median, so that a
    missing night of one of them does not move the mean.
    """
    centers = [median(list(one.values())) for one in series if one]
    known = [one for one in series if one]
    nights = sorted({night for one in known for night in one})
    pairs = list(zip(known, centers, strict=True))
    return [
        mean([one[night] - center for one, center in pairs if night in one]) for night in nights
    ]


def _clipped(values: Sequence[float]) -> list[float]:
    """Pull nights that are far off towards the median: one bad night is not a step."""
    if len(values) < _BEFORE + _AFTER:
        return []
    center, most = median(values), _CLIP * noise.spread([values])
    return [max(center - most, min(center + most, value)) for value in values]


def _step(values: Sequence[float], split: int) -> tuple[float, float]:
    before, after = values[:split], values[split:]
    step = mean(after) - mean(before)
    squares = sum(_squares(part) for part in (before, after))
    variance = squares / (len(values) - 2)
    error = math.sqrt(variance * (1 / len(before) + 1 / len(after)))
    return step, step / error if error else math.copysign(math.inf, step) if step else 0.0


def _squares(values: Sequence[float]) -> float:
    center = mean(values)
    return math.fsum((value - center) ** 2 for value in values)


def _inflation(values: Sequence[float], split: int) -> float:
    """Return by how much correlated nights make a t too large."""
    left = [v - mean(values[:split]) for v in values[:split]]
    left += [v - mean(values[split:]) for v in values[split:]]
    total = math.fsum(v * v for v in left)
    seen = math.fsum(a * b for a, b in pairwise(left)) / total if total else 0.0
    phi = min(_MOST_CORRELATION, max(0.0, seen + 1 / len(values)))
    return math.sqrt((1 + phi) / (1 - phi))
