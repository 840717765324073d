"""How accurate the mean of a series is if neighbouring values are correlated.

Step times are not independent: a slow phase makes many slow steps in a row, so 100 of them may say
no more than ten independent ones. The variance of their mean is the height of the series' spectrum
at frequency zero, divided by their number. It is estimated here by the mean of the periodogram at a
few of the lowest frequencies, which has a known, small number of degrees of freedom, so that
Student's t fits (Lazarus, Lewis, Stock, Watson, "HAR Inference", 2018). The fall of the spectrum
between zero and those frequencies is corrected with a first-order autoregression (Andrews, Monahan,
"An Improved HAC Covariance Matrix Estimator", 1992).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from operator import mul

from orchestrator.student import quantile_95

# A longer series is put together in groups of neighbours: only its lowest frequencies matter.
_MOST_GROUPS = 2000
_FEWEST_FREQUENCIES, _MOST_FREQUENCIES = 3, 24
_FREQUENCIES_PER_ROOT = 0.6  # times the cube root of the number of values
# Half a standard error is added to the autocorrelation: treating dependent steps as independent
# makes an interval too narrow, and the opposite only a little too wide.
_CAUTION = 0.5
# The skewness of a mean is estimated from the means of this many parts, if the series is long.
_PARTS = 14
_FEWEST_SKEWED = 100
# The estimate from these few parts is too large for phases of equal length and too small for
# others. This share serves both, by simulation.
_TRUSTED_SKEWNESS = 0.8
_NO_SKEWNESS = 1e-6


@dataclass(frozen=True)
class LongRun:
    """A series of at least ten values, and what it says about the mean of the process behind it."""

    values: Sequence[float]

    @cached_property
    def mean(self) -> float:
        """Return the mean of the values."""
        return math.fsum(self.values) / len(self.values)

    @cached_property
    def _deviations(self) -> list[float]:
        """Return the values' deviations from their mean, of groups of neighbours if there are many.

        An incomplete last group is left out: below 0.1 % of the values.
        """
        size = -(-len(self.values) // _MOST_GROUPS)
        if size == 1:
            return [value - self.mean for value in self.values]
        ends = range(size, len(self.values) + 1, size)
        groups = [math.fsum(self.values[end - size : end]) / size for end in ends]
        center = math.fsum(groups) / len(groups)
        return [value - center for value in groups]

    @cached_property
    def autocorrelation(self) -> float:
        """Return the correlation of neighbours, 0 to below 1; rather too high than too low.

        The bias is removed (Kendall, 1954), and the result is limited so that the series is never
        worth less than one independent value.
        """
        steps, count = self._deviations, len(self._deviations)
        total = math.fsum(map(mul, steps, steps))
        if total <= 0:
            return 0.0
        told = math.fsum(map(mul, steps, steps[1:])) / total
        unbiased = (told + 1 / count) / (1 - 4 / count)
        return min(max(0.0, unbiased + _CAUTION / math.sqrt(count)), (count - 1) / (count + 1))

    @property
    def independent(self) -> float:
        """Return how many independent values would say as much about the mean."""
        return len(self._deviations) * (1 - self.autocorrelation) / (1 + self.autocorrelation)

    @cached_property
    def frequencies(self) -> int:
        """Return how many of the lowest frequencies are used; each has a sine and a cosine."""
        told = round(_FREQUENCIES_PER_ROOT * math.cbrt(len(self.values)))
        return min(max(_FEWEST_FREQUENCIES, told), _MOST_FREQUENCIES)

    @cached_property
    def standard_error(self) -> float:
        """Return the standard error of the mean."""
        count, alike = len(self._deviations), self.autocorrelation
        heights = []
        for number in range(1, self.frequencies + 1):
            power = sum(
                sum(map(mul, self._deviations, wave)) ** 2 for wave in _waves(count, number)
            )
            angle = math.tau * number / count
            fall = (1 + alike**2 - 2 * alike * math.cos(angle)) / (1 - alike) ** 2
            heights.append(power / count * fall)
        return math.sqrt(math.fsum(heights) / len(heights) / count)

    @cached_property
    def skewness(self) -> float:
        """Return the skewness of the mean; 0 if the series is too short to estimate it."""
        steps = self._deviations
        if len(steps) < _FEWEST_SKEWED:
            return 0.0
        size = len(steps) // _PARTS
        parts = [math.fsum(steps[size * i : size * (i + 1)]) for i in range(_PARTS)]
        center = math.fsum(parts) / _PARTS
        square = math.fsum((part - center) ** 2 for part in parts) / _PARTS
        if square <= 0:
            return 0.0
        cube = math.fsum((part - center) ** 3 for part in parts) / _PARTS
        of_parts = (
            cube / (square * math.sqrt(square)) * math.sqrt(_PARTS * (_PARTS - 1)) / (_PARTS - 2)
        )
        return _TRUSTED_SKEWNESS * of_parts / math.sqrt(_PARTS)

    def interval(self) -> tuple[float, float]:
        """Return the 95 % interval of the process's mean; its lower end may be below 0."""
        reach = quantile_95(2 * self.frequencies)
        low, high = (self.mean - self.standard_error * self._bent(t) for t in (reach, -reach))
        return low, high

    def _bent(self, t: float) -> float:
        """Return the quantile of a skewed mean for that of a symmetric one.

        This is the inverse of the cubic transformation of Hall, "On the Removal of Skewness by
        Transformation", 1992.
        """
        skewness = self.skewness
        if abs(skewness) < _NO_SKEWNESS:
            return t
        return 3 / skewness * (math.cbrt(1 + skewness * (t - skewness / 6)) - 1)


@lru_cache(maxsize=2 * _MOST_FREQUENCIES)
def _waves(count: int, number: int) -> tuple[list[float], list[float]]:
    """Return a cosine and a sine that turn `number` times in `count` values."""
    angles = [math.tau * (number * i % count) / count for i in range(count)]
    return [math.cos(angle) for angle in angles], [math.sin(angle) for angle in angles]
