"""Statistics of step times, and warnings derived from them. Pure functions, standard library only.

Sequences may be lists, tuples or `array('d')` of up to about 10^7 values; times are in seconds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.long_run import LongRun
from orchestrator.student import quantile_95
from orchestrator.units import SECONDS, counted, quantity, share

FEWEST_STEPS = 10
# From this many steps on the interval also covers rare slow steps and slow phases:
# docs/measuring.md.
LONG_RUN = 1000
SHORTEST_WINDOW = 1.0  # seconds
LARGEST_SPREAD = 0.10
SLOW_FIRST_STEP = 1.5  # times the median of the others
LARGEST_DRIFT = 0.05
MANY_OUTLIERS = 0.05
LEAST_OUTLIER = 0.10
FEWEST_INDEPENDENT = 2

_MAD_TO_SIGMA = 1.4826  # a normal distribution's standard deviation / its MAD
_MEDIAN_ERROR = 1.2533  # standard error of a median, in standard errors of the mean


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Return a percentile of values that are already sorted.

    Linear interpolation between the two nearest ranks, rank = percent/100 * (n - 1), which is
    NumPy's default. Raises ValueError on no values.
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
    """Return standard deviation / mean; 0 if the mean is 0."""
    center = mean(values)
    return standard_deviation(values) / center if center else 0.0


def _sigma(values: Sequence[float], center: float) -> float:
    """Estimate the standard deviation from the median absolute deviation: outliers do not count."""
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


class NoInterval(ValueError):  # noqa: N818 - it says what is missing
    """These step times have no interval; the message says why."""


def throughput_interval(seconds: Sequence[float], samples: float) -> tuple[float, float]:
    """Return the 95 % interval of `samples` / the sum of `seconds`, in samples/s, of this one run.

    It allows for correlated steps, rare slow steps and skewed times, as far as the run showed them:
    see `long_run`. Raises NoInterval, which is a ValueError.
    """
    if math.fsum(seconds) <= 0:
        raise NoInterval("no time passed")
    if len(seconds) < FEWEST_STEPS:
        raise NoInterval(
            f"{len(seconds)} steps are too few for an interval: raise --steps to {FEWEST_STEPS} or "
            "more"
        )
    fast, slow = LongRun(seconds).interval()
    if fast <= 0:
        raise NoInterval(
            "the step times vary so much, or depend on each other so much, that the mean of "
            f"{len(seconds)} steps says nothing: raise --steps"
        )
    per_step = samples / len(seconds)
    return per_step / slow, per_step / fast


def mean_interval(values: Sequence[float]) -> tuple[float, float]:
    """Return the 95 % interval of the mean of independent values, by Student's t.

    For whole runs. Raises ValueError on fewer than two values.
    """
    reach = quantile_95(len(values) - 1) * standard_deviation(values) / math.sqrt(len(values))
    return mean(values) - reach, mean(values) + reach


def difference_interval(above: Sequence[float], below: Sequence[float]) -> tuple[float, float]:
    """Return the 95 % interval of mean(`above`) - mean(`below`), of independent values.

    The spreads may differ. The degrees of freedom are those of the smaller side: for normal values
    the interval then covers at least 95 % (Mickey, Brown, "Bounds on the Distribution Functions of
    the Behrens-Fisher Statistic", 1966), which Welch's approximation does not promise. Raises
    ValueError if a side has fewer than two values.
    """
    error = math.hypot(
        *(standard_deviation(side) / math.sqrt(len(side)) for side in (above, below))
    )
    reach = quantile_95(min(len(above), len(below)) - 1) * error
    center = mean(above) - mean(below)
    return center - reach, center + reach


def too_few(count: int) -> str:
    """Say that fewer than `FEWEST_STEPS` steps show nothing."""
    return (
        f"too few timed steps ({count}) to see how steady they are: raise --steps to "
        f"{FEWEST_STEPS} or more"
    )


def _doubt_length(seconds: Sequence[float], window: float) -> list[str]:
    doubts = [too_few(len(seconds))] if len(seconds) < FEWEST_STEPS else []
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


def drift(seconds: Sequence[float], *, least: float, errors: float) -> float:
    """Return by what share the median step changed from the first third of the run to the last.

    0 if there are too few steps, or if the change is below `least` or `errors` standard errors.
    """
    third = len(seconds) // 3
    if third < FEWEST_STEPS:
        return 0.0
    before, after = median(seconds[:third]), median(seconds[-third:])
    noise = max(_sigma(seconds[:third], before), _sigma(seconds[-third:], after))
    error = _MEDIAN_ERROR * noise * math.sqrt(2 / third)
    change = after - before
    if before <= 0 or abs(change) <= max(least * before, errors * error):
        return 0.0
    return change / before


def drift_in_words(change: float) -> str:
    """Say which way the steps drifted."""
    if change > 0:
        return (
            f"steps became {share(change)} slower from the first third of the run to "
            "the last: the device may be throttling (heat, power) or sharing its time"
        )
    return (
        f"steps became {share(-change)} faster from the first third of the run to the "
        "last: it was still warming up, raise --warmup"
    )


def _doubt_drift(seconds: Sequence[float]) -> list[str]:
    change = drift(seconds, least=LARGEST_DRIFT, errors=3)
    return [drift_in_words(change)] if change else []


def _doubt_independence(seconds: Sequence[float]) -> list[str]:
    """Warn if successive steps are so alike that the run shows almost nothing."""
    if len(seconds) < 2 * FEWEST_STEPS:  # too few to judge
        return []
    told = LongRun(seconds).independent
    if told >= FEWEST_INDEPENDENT:
        return []
    return [
        f"step times depend on each other so much that {len(seconds)} steps say no more than "
        f"{counted(math.ceil(told), 'independent step')}: raise --steps"
    ]


def within_run(seconds: Sequence[float]) -> list[str]:
    """Note that the interval of a short run covers only what the run showed."""
    if not FEWEST_STEPS <= len(seconds) < LONG_RUN:
        return []
    return [
        f"the interval covers only what the {len(seconds)} steps of this run showed: use --steps "
        f"{LONG_RUN} or more to cover rare slow steps and slow phases, and --runs to cover "
        "differences between runs"
    ]


def doubts(seconds: Sequence[float], *, window: float | None = None) -> list[str]:
    """Return reasons to doubt a throughput from these step times.

    `window` is the whole timed window in seconds if known, else the sum of the steps.
    """
    if not seconds:
        return []
    return [
        *_doubt_length(seconds, math.fsum(seconds) if window is None else window),
        *_doubt_warmup(seconds),
        *_doubt_spread(seconds),
        *_doubt_drift(seconds),
        *_doubt_independence(seconds),
    ]
