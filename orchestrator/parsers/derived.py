"""Sets metrics that a parser computes from printed numbers, if they are plausible."""

from __future__ import annotations

from orchestrator.parsers.estimators import LONGEST_TIME, PLAUSIBLE_RATES, SHORTEST_TIME
from orchestrator.parsers.run import Run
from orchestrator.result import Metric
from orchestrator.units import SAMPLES_PER_SECOND, SECONDS

MS = 1e-3


def inverse(value: float) -> float:
    """Return 1 / value, and 0 for 0: neither is a rate or a time."""
    return 1 / value if value else 0.0


def seconds(run: Run, metric: str, value: float) -> None:
    """Set a time."""
    if SHORTEST_TIME < value < LONGEST_TIME:
        run.metrics[metric] = Metric(value=value, unit=SECONDS)


def rate(run: Run, metric: str, value: float) -> None:
    """Set a rate in samples/s."""
    per_second(run, metric, value, SAMPLES_PER_SECOND)


def per_second(run: Run, metric: str, value: float, unit: str) -> None:
    """Set a rate in another unit."""
    if PLAUSIBLE_RATES[0] < value < PLAUSIBLE_RATES[1]:
        run.metrics[metric] = Metric(value=value, unit=unit)
