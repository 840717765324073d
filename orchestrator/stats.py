"""Statistics of step times, and what they make one doubt. Pure functions, standard library only.

Sequences may be lists, tuples or `array('d')` of up to some 10^7 values; times are in seconds.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.units import SECONDS, quantity, share

FEWEST_STEPS = 10
SHORTEST_WINDOW = 1.0  # seconds
LARGEST_SPREAD = 0.10
SLOW_FIRST_STEP = 1.5  # times the median of the others
LARGEST_DRIFT = 0.05
MANY_OUTLIERS = 0.05
LEAST_OUTLIER = 0.10

_MAD_TO_SIGMA = 1.4826  # a normal distribution's standard deviation / its MAD
_MEDIAN_ERROR = 1.2533  # standard error of a median, in standard errors of the mean
_BOOTSTRAP_GROUPS = 200
_BOOTSTRAP_ROUNDS = 1000


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Return a percentile of values that are already sorted.

    Linear interpolation between the two nearest ranks, rank = percent/100 * (n - 1): the same
    as NumPy's default. Raises ValueError on no values.
    """
    if not ordered:
        raise ValueError("percentile of no values")
    rank = percent / 100 * (len(ordered) - 1)
    low = math.floor(rank)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (rank - low)


def median(values: Sequence[float]) -> float:
    """Return the middle value, or the mean of the two in the middle."""
    return percentile(sorted(values), 50)


def mean(values: Sequence[float]) -> float:
    """Return the arithmetic mean: right for times, wrong for rates."""
    return math.fsum(values) / len(values)


def standard_deviation(values: Sequence[float]) -> float:
    """Return the sample standard deviation (n - 1); 0 for a single value."""
    if len(values) < 2:
        return 0.0
    center = mean(values)
    return math.sqrt(math.fsum((v - center) ** 2 for v in values) / (len(values) - 1))


def relative_spread(values: Sequence[float]) -> float:
    """Return standard deviation / mean; 0 where the mean is 0."""
    center = mean(values)
    return standard_deviation(values) / center if center else 0.0


def _sigma(values: Sequence[float], center: float) -> float:
    """Estimate the standard deviation from the median absolute deviation: outliers don't count."""
    return _MAD_TO_SIGMA * median([abs(v - center) for v in values])


def outliers(values: Sequence[float], *, threshold: float = 5.0) -> list[int]:
    """Return the indices of values more than `threshold` robust standard deviations off the median.

    Deviations below 10 % of the median never count: in a very steady run they mean nothing.
    """
    if not values:
        return []
    center = median(values)
    limit = max(threshold * _sigma(values, center), LEAST_OUTLIER * abs(center))
    return [i for i, v in enumerate(values) if abs(v - center) > limit]


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Step times of one run, in seconds."""

    mean: float
    stdev: float
    min: float
    median: float
    p90: float
    p99: float
    max: float


def summarize(values: Sequence[float]) -> Summary:
    """Summarize step times. Raises ValueError on no values."""
    ordered = sorted(values)
    return Summary(
        median=percentile(ordered, 50),
        mean=mean(ordered),
        stdev=standard_deviation(ordered),
        min=ordered[0],
        max=ordered[-1],
        p90=percentile(ordered, 90),
        p99=percentile(ordered, 99),
    )


def throughput_interval(
    seconds: Sequence[float], samples: float, *, confidence: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Return the confidence interval of `samples` / the sum of `seconds`, by bootstrap.

    Neighbouring steps are drawn together in at most 200 groups, since their times are correlated.
    The same input gives the same interval. Raises ValueError on no values or no time.
    """
    totals = sorted(_bootstrap_totals(seconds, random.Random(seed)))
    margin = (1 - confidence) / 2 * 100
    slowest, fastest = percentile(totals, 100 - margin), percentile(totals, margin)
    return samples / slowest, (samples / fastest if fastest > 0 else math.inf)


def time_ratio_interval(
    above: Sequence[float], below: Sequence[float], *, confidence: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Return the interval of mean(`above`) / mean(`below`), by bootstrap of both runs' steps.

    Grouped and repeatable as `throughput_interval` is. Raises ValueError on no values or no time.
    """
    scale = len(below) / len(above) if above else 0.0
    pairs = zip(
        _bootstrap_totals(above, random.Random(seed)),
        _bootstrap_totals(below, random.Random(seed + 1)),
        strict=True,
    )
    ratios = sorted(scale * up / down if down > 0 else math.inf for up, down in pairs)
    margin = (1 - confidence) / 2 * 100
    return percentile(ratios, margin), percentile(ratios, 100 - margin)


def _bootstrap_totals(seconds: Sequence[float], source: random.Random) -> list[float]:
    """Return what the sum of `seconds` might have been, once per round."""
    count = len(seconds)
    groups = min(count, _BOOTSTRAP_GROUPS)
    bounds = [count * i // groups for i in range(groups + 1)] if groups else []
    sums = [math.fsum(seconds[a:b]) for a, b in itertools.pairwise(bounds)]
    if math.fsum(sums) <= 0:
        raise ValueError("no time passed")
    return [sum(source.choices(sums, k=groups)) for _ in range(_BOOTSTRAP_ROUNDS)]


# Two-sided 95 % quantiles of Student's t by degrees of freedom: tables of any textbook.
_STUDENT_95 = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
    2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
)  # fmt: skip
_NORMAL_95 = 1.96
_BEYOND_TABLE = 2.5  # t(n) - 1.96 is about 2.5 / n beyond the table


def mean_interval(values: Sequence[float]) -> tuple[float, float]:
    """Return the 95 % interval of the mean of independent values, by Student's t.

    Meant for few whole runs, whose differences a bootstrap of three would understate. Raises
    ValueError on fewer than two values.
    """
    freedom = len(values) - 1
    if freedom < 1:
        raise ValueError("one value tells nothing of the spread")
    inside = freedom <= len(_STUDENT_95)
    quantile = _STUDENT_95[freedom - 1] if inside else _NORMAL_95 + _BEYOND_TABLE / freedom
    center, half = mean(values), quantile * standard_deviation(values) / math.sqrt(freedom + 1)
    return center - half, center + half


def _doubt_length(seconds: Sequence[float], window: float) -> list[str]:
    doubts = []
    if len(seconds) < FEWEST_STEPS:
        doubts.append(
            f"too few timed steps ({len(seconds)}) to tell how steady they are: "
            f"raise --steps to {FEWEST_STEPS} or more"
        )
    if window < SHORTEST_WINDOW:
        doubts.append(f"timed for only {quantity(window, SECONDS)}: raise --steps")
    return doubts


def _doubt_warmup(seconds: Sequence[float]) -> list[str]:
    if len(seconds) < 3:
        return []
    rest = median(seconds[1:])
    if rest > 0 and seconds[0] > SLOW_FIRST_STEP * rest:
        times = seconds[0] / rest
        return [f"the first timed step took {times:.1f} times the median step: raise --warmup"]
    return []


def _doubt_spread(seconds: Sequence[float]) -> list[str]:
    spread = relative_spread(seconds)
    doubts = []
    if spread > LARGEST_SPREAD:
        doubts.append(
            f"the standard deviation of the step time is {share(spread)} of its mean: "
            "is the machine busy with something else?"
        )
    far = outliers(seconds) if len(seconds) >= FEWEST_STEPS else []
    if len(far) > MANY_OUTLIERS * len(seconds):
        worst = max(seconds[i] for i in far) / median(seconds)
        doubts.append(
            f"{len(far)} of {len(seconds)} steps are outliers, "
            f"the slowest {worst:.1f} times the median step"
        )
    return doubts


def _doubt_drift(seconds: Sequence[float]) -> list[str]:
    """Compare the medians of the first and the last third of the steps."""
    third = len(seconds) // 3
    if third < FEWEST_STEPS:
        return []
    before, after = median(seconds[:third]), median(seconds[-third:])
    noise = max(_sigma(seconds[:third], before), _sigma(seconds[-third:], after))
    error = _MEDIAN_ERROR * noise * math.sqrt(2 / third)
    change = after - before
    if before <= 0 or abs(change) <= max(LARGEST_DRIFT * before, 3 * error):
        return []
    if change > 0:
        return [
            f"steps became {share(change / before)} slower from the first third of the run to "
            "the last: the device may be throttling (heat, power) or sharing its time"
        ]
    return [
        f"steps became {share(-change / before)} faster from the first third of the run to the "
        "last: it was still warming up, raise --warmup"
    ]


def doubts(seconds: Sequence[float], *, window: float | None = None) -> list[str]:
    """Say in words why a throughput from these step times may not be trusted.

    `window` is the whole timed window in seconds where it is known, else the sum of the steps.
    """
    if not seconds:
        return []
    return [
        *_doubt_length(seconds, math.fsum(seconds) if window is None else window),
        *_doubt_warmup(seconds),
        *_doubt_spread(seconds),
        *_doubt_drift(seconds),
    ]
