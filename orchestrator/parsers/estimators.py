"""How programs compute their figures, and which figures are plausible."""

from __future__ import annotations

import math
from typing import Literal, get_args

# How a program computes its headline figure.
Estimator = Literal[
    "total",  # samples of all timed steps / their total time
    "mean_of_rates",  # arithmetic mean of window rates: too high if they vary
    "harmonic_mean",  # of equally long windows: the same as total
    "running_mean",  # since the program's start, warm-up included or not
    "single_steps",  # harmonic mean of the rates of some steps: the others are unknown
    "window",  # the last window only
    "median",  # of step times
    "mean_time",  # samples / arithmetic mean of step times: the same as total
    "unknown",
]
ESTIMATORS: tuple[Estimator, ...] = get_args(Estimator)
# What the printed figure covers; the metric `throughput` is always of all devices.
Scope = Literal["all_devices", "device", "rank"]

# No network is that slow or that fast; a clock that ran backwards causes such figures.
PLAUSIBLE_RATES = (1e-6, 1e10)  # samples/s
LONGEST_TIME = 1e7  # seconds
SHORTEST_TIME = 1e-12  # seconds


def is_plausible(rate: float) -> bool:
    """Whether a rate in samples/s is plausible for a network."""
    return PLAUSIBLE_RATES[0] < rate < PLAUSIBLE_RATES[1]


def are_equal(one: float, other: float, tolerance: float) -> bool:
    """Whether two figures are equal within a relative tolerance; NaN equals NaN."""
    if math.isnan(one) or math.isnan(other):
        return math.isnan(one) and math.isnan(other)
    return math.isclose(one, other, rel_tol=max(tolerance, 1e-12))
