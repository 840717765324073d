"""Axes of a chart: where a value is, and which values get a label."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

_BETWEEN_LABELS = 40  # pixels
# Values that span more than this are on a logarithmic axis.
_WIDE = 8


@dataclass(frozen=True, kw_only=True)
class Axis:
    """A range of values on a range of pixels. Logarithmic: base 2, as batches are."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False
    labels: tuple[float, ...] = ()

    def at(self, value: float) -> float:
        """Return the pixel of a value."""
        low, high, here = self.low, self.high, value
        if self.logarithmic:
            low, high, here = math.log2(low), math.log2(high), math.log2(value)
        part = (here - low) / (high - low) if high > low else 0.5
        return self.start + part * (self.end - self.start)


def counts(values: Sequence[int], start: float, end: float) -> Axis:
    """Return an axis for counts, such as batches, from left to right.

    The labels are counts that occur and have room.
    """
    several = sorted(set(values))
    wide = several[-1] >= _WIDE * several[0]
    axis = Axis(low=several[0], high=several[-1], start=start, end=end, logarithmic=wide)
    labels: list[float] = []
    for value in several:
        if not labels or axis.at(value) - axis.at(labels[-1]) >= _BETWEEN_LABELS:
            labels.append(value)
    return replace(axis, labels=tuple(labels))


def from_zero(highest: float, start: float, end: float) -> Axis:
    """Return an axis from 0 to a round number not below `highest`."""
    step = _round_step(highest / 5) if highest > 0 else 1.0
    steps = max(1, math.ceil(highest / step - 1e-9))
    labels = tuple(step * number for number in range(steps + 1))
    return Axis(low=0, high=labels[-1], start=start, end=end, labels=labels)


def _round_step(least: float) -> float:
    """Return the smallest of 1, 2, 5 times a power of ten that is not below `least`."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * (1 - 1e-9))


def between(low: float, high: float, start: float, end: float, *, steps: int = 5) -> Axis:
    """Return an axis from `low` to `high`, with labels at round values between them."""
    step = _round_step((high - low) / steps) if high > low else 1.0
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    labels = tuple(step * number for number in range(first, last + 1))
    return Axis(low=low, high=high, start=start, end=end, labels=labels)
