"""Noise of runs and noise of nights, kept apart: more runs make only the first smaller.

Values are natural logarithms of throughputs, so differences are shares. Estimates are medians of
pairwise differences: unbiased for any number of runs, and blind to a few bad ones.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import combinations

from orchestrator.nights.history import LEVEL_NIGHTS, SPREAD_NIGHTS, Night
from orchestrator.nights.rule import Rule
from orchestrator.stats import mean, median

# The median of |x - y| of two normal values with standard deviation 1.
_PAIR = 0.9539
# Runs of a night beyond these were made because it was suspect.
USUAL_RUNS = 5
# How many runs, and nights, the assumed noise weighs as much as.
_RUNS_ASSUMED = 5
_NIGHTS_ASSUMED = 10
# A median of so few nights is a mean.
_FEW = 2
_HUBER = 1.5
_HUBER_STEPS = 5
# The variance of the median of k normal values with variance 1.
_MEDIAN_VARIANCE = {1: 1.0, 2: 0.5, 3: 0.4487, 4: 0.2982, 5: 0.2868, 6: 0.2147, 7: 0.2104}


def median_variance(count: int) -> float:
    """Return the variance of the median of `count` normal values with variance 1."""
    return _MEDIAN_VARIANCE.get(count) or math.pi / 2 / (count + 0.57)


def baseline_variance(run_noise: float, night_noise: float, nights: int) -> float:
    """Return the variance of the median of `nights` usual nights."""
    of_night = night_noise**2 + median_variance(USUAL_RUNS) * run_noise**2
    of_median = 1.0 if nights <= _FEW else math.pi / 2
    return of_night * of_median / nights


def change_error(run_noise: float, night_noise: float, nights: int, runs: int) -> float:
    """Return the standard error of a night of `runs` runs against a baseline of `nights` nights."""
    of_runs = median_variance(runs) * run_noise**2
    return math.sqrt(night_noise**2 + of_runs + baseline_variance(run_noise, night_noise, nights))


def spread(groups: Iterable[Sequence[float]]) -> float:
    """Return the standard deviation of values around the center of their group.

    0 if no group has two values.
    """
    apart = [abs(one - other) for group in groups for one, other in combinations(group, 2)]
    return median(apart) / _PAIR if apart else 0.0


def of_runs(nights: Sequence[Night], rule: Rule) -> float:
    """Return the standard deviation of the runs of one night."""
    usual = [night[:USUAL_RUNS] for night in nights[-LEVEL_NIGHTS:]]
    free = sum(len(night) - 1 for night in usual)
    seen, assumed = spread(usual) ** 2, rule.run_noise**2
    return math.sqrt((_RUNS_ASSUMED * assumed + free * seen) / (_RUNS_ASSUMED + free))


def place(runs: Sequence[float], run_noise: float) -> float:
    """Return where a night is: Huber's estimate, which a few bad runs cannot move far."""
    center, most = median(runs), _HUBER * run_noise
    for _ in range(_HUBER_STEPS):
        center += mean([max(-most, min(most, run - center)) for run in runs])
    return center


def seen_between_nights(levels: Sequence[Sequence[float]], run_noise: float) -> float:
    """Return the standard deviation of the places of nights, as far as runs do not explain it.

    `levels` are the places in one sequence per level.
    """
    of_runs = median_variance(USUAL_RUNS) * run_noise**2
    return math.sqrt(max(0.0, spread(_last(levels)) ** 2 - of_runs))


def of_nights(
    levels: Sequence[Sequence[float]], run_noise: float, rule: Rule, neighbours: float | None
) -> float:
    """Return the standard deviation of nights, steadied by what is assumed.

    `neighbours` is the median of `seen_between_nights` over the other series of the machine: what
    disturbs one of them disturbs all.
    """
    assumed = max(rule.night_noise, neighbours or 0.0)
    free = max(0, sum(len(level) for level in _last(levels)) - 1)
    seen = seen_between_nights(levels, run_noise)
    return math.sqrt((_NIGHTS_ASSUMED * assumed**2 + free * seen**2) / (_NIGHTS_ASSUMED + free))


def _last(levels: Sequence[Sequence[float]]) -> Iterable[Sequence[float]]:
    """Yield the last nights from which noise is estimated, still one sequence per level."""
    left = SPREAD_NIGHTS
    for level in reversed(levels):
        if left <= 0:
            return
        yield level[-left:]
        left -= len(level)
