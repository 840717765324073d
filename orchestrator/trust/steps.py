"""Reasons in the step times. Thresholds and their false alarms: docs/measuring.md#the-verdict."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import accumulate

from orchestrator import stats
from orchestrator.long_run import LongRun
from orchestrator.trust.facts import Facts
from orchestrator.trust.verdict import Code, Level, Reason
from orchestrator.units import SECONDS, quantity, share

DRIFT, DRIFT_ERRORS = 0.02, 4.0
# With 30 correlated steps (0.7), noise looks like a drift in 1.3 % of the runs; with 36 in 0.5 %.
FEWEST_OF_DRIFT = 36
# With fewer steps, a few outliers look like a second mode in 5 to 8 % of the runs.
FEWEST_OF_MODES = 60
LEAST_MODE, GAP, GAP_SIGMAS = 0.10, 0.03, 4.5
_OUTLIERS = 0.05  # the slowest steps, which say nothing about modes
EXACT, BLURRED = 0.01, 0.20  # how exactly the throughput should be, and must be known
_NORMAL_95 = 1.96
_MOST_SORTED = 20_000


def drift(facts: Facts) -> Iterator[Reason]:
    """Compare the medians of the first and the last third, as exactly as the noise allows."""
    if len(facts.seconds) < FEWEST_OF_DRIFT:
        return
    errors = DRIFT_ERRORS * math.sqrt(_inflation(facts.seconds))
    change = stats.drift(facts.seconds, least=DRIFT, errors=errors)
    if change:
        yield Reason(code=Code.DRIFT, level="suspect", text=stats.drift_in_words(change))


def _inflation(seconds: Sequence[float]) -> float:
    """Return by how much correlation widens the variance of a third's median.

    The correlation is that around the trend of each third: a drift itself would look like one.
    """
    third = len(seconds) // 3
    parts = (seconds[:third], seconds[-third:])
    alike = max(LongRun(_without_trend(part)).autocorrelation for part in parts)
    return (1 + alike) / (1 - alike)


def _without_trend(seconds: Sequence[float]) -> list[float]:
    """Subtract the line of least squares, up to a constant."""
    middle = (len(seconds) - 1) / 2
    slope = math.fsum((i - middle) * value for i, value in enumerate(seconds)) / math.fsum(
        (i - middle) ** 2 for i in range(len(seconds))
    )
    return [value - slope * i for i, value in enumerate(seconds)]


def two_speeds(facts: Facts) -> Iterator[Reason]:
    """Split the steps into the two groups with the least variance within."""
    if len(facts.seconds) < FEWEST_OF_MODES:
        return
    count = len(facts.seconds)
    ordered = sorted(facts.seconds)[: count - math.floor(_OUTLIERS * count)]
    # Evenly thinned out, a sorted list keeps its distribution.
    ordered = ordered[:: -(-len(ordered) // _MOST_SORTED)]
    size = _best_split(ordered)
    fast, slow = ordered[:size], ordered[size:]
    if min(len(fast), len(slow)) < LEAST_MODE * len(ordered):
        return
    low, high = stats.mean(fast), stats.mean(slow)
    within = math.sqrt(math.fsum(_squares(fast, low) + _squares(slow, high)) / len(ordered))
    if low > 0 and high - low > max(GAP * low, GAP_SIGMAS * within):
        yield Reason(
            code=Code.TWO_SPEEDS,
            level="suspect",
            text=f"the steps have two speeds: {share(len(slow) / len(ordered))} of them take "
            f"{quantity(high, SECONDS)} and the others {quantity(low, SECONDS)}: is the device "
            "changing its clock or sharing its time?",
        )


def _best_split(ordered: Sequence[float]) -> int:
    """Return the size of the lower group: the variance between the groups is greatest."""
    count, sums = len(ordered), list(accumulate(ordered))
    center = sums[-1] / count
    return max(
        range(1, count),
        key=lambda size: (sums[size - 1] - size * center) ** 2 / (size * (count - size)),
    )


def _squares(values: Sequence[float], center: float) -> list[float]:
    return [(value - center) ** 2 for value in values]


def few_steps(facts: Facts) -> Iterator[Reason]:
    """Say how many steps are missing until the throughput is known within 1 %."""
    count = len(facts.seconds)
    if not count:
        return
    if count < stats.FEWEST_STEPS:
        yield Reason(code=Code.FEW_STEPS, level="suspect", text=stats.too_few(count))
        return
    needed = steps_for(EXACT, facts.seconds)
    if needed <= count:
        return
    level: Level = "suspect" if steps_for(BLURRED, facts.seconds) > count else "note"
    known = EXACT * math.sqrt(needed / count)
    yield Reason(
        code=Code.FEW_STEPS,
        level=level,
        text=f"{count} steps give the throughput within {100 * known:.1f} %: raise --steps to "
        f"{needed} ({needed - count} more) to know it within {share(EXACT)}",
    )


def steps_for(exact: float, seconds: Sequence[float]) -> int:
    """Return how many such steps give their mean within a share of it, at 95 %.

    Correlated steps count less: (1 + r) / (1 - r) of them are worth an independent one, with r the
    correlation of neighbours. Raises ZeroDivisionError on fewer than `stats.FEWEST_STEPS` steps.
    """
    alike = LongRun(seconds).autocorrelation
    independent = (_NORMAL_95 * stats.relative_spread(seconds) / exact) ** 2
    return math.ceil(independent * (1 + alike) / (1 - alike))
