"""How many times faster one side of a comparison is, and whether its runs can show it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator import stats


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """Throughput of b / throughput of a; the 95 % interval is None if a side is a single run."""

    value: float
    low: float | None = None
    high: float | None = None

    @property
    def visible(self) -> bool | None:
        """Whether the runs show a difference; None if they cannot show any."""
        if self.low is None or self.high is None:
            return None
        return not self.low <= 1 <= self.high


def ratio(a: Sequence[float], b: Sequence[float]) -> Ratio:
    """Return the ratio of the geometric means of whole runs' throughputs, all above 0.

    Only whole runs count: programs differ more from one start to the next than from step to step,
    and no number of steps shows it.
    """
    value = _geometric_mean(b) / _geometric_mean(a)
    if min(len(a), len(b)) < 2:
        return Ratio(value=value)
    above, below = ([math.log(value) for value in side] for side in (b, a))
    low, high = map(_exponential, stats.difference_interval(above, below))
    return Ratio(value=value, low=min(low, value), high=max(high, value))


def _geometric_mean(values: Sequence[float]) -> float:
    if len(values) == 1:
        return values[0]
    return math.exp(stats.mean([math.log(value) for value in values]))


def _exponential(value: float) -> float:
    """Return e**value, or the largest number if it is larger: JSON has no infinity."""
    try:
        return math.exp(value)
    except OverflowError:
        return math.nextafter(math.inf, 0)
