"""Rates that a program printed while it ran, one per window of steps."""

from __future__ import annotations

import math
from array import array
from collections import deque
from typing import Literal

from orchestrator.parsers.numbers import Line

MOST_WINDOWS = 1_000_000
KEPT_LINES = 12  # of the first and of the last windows
SANE_RATES = (1e-15, 1e15)  # others are kept as nan, so that no sum overflows

Added = Literal["new", "again", "restart"]


class Windows:
    """Window rates in the order they came, 24 bytes each, and the lines of the first and last.

    A window is known by its `key`, a tuple that grows during a run, such as (epoch, step). Several
    ranks that print the same window print it at about the same time; a window that comes again
    after two later ones is the start of another run.
    """

    def __init__(self) -> None:
        self.rates = array("d")
        self._samples = array("d")
        self._first: list[Line] = []
        self._last: deque[tuple[int, Line]] = deque(maxlen=KEPT_LINES)
        self._keys: deque[tuple[int, ...]] = deque(maxlen=2)
        self.repeated = 0
        self.left_out = 0

    @property
    def count(self) -> int:
        """Number of windows kept."""
        return len(self.rates)

    @property
    def last_key(self) -> tuple[int, ...]:
        """Return the key of the latest window, () before the first."""
        return self._keys[-1] if self._keys else ()

    def classify(self, key: tuple[int, ...]) -> Added:
        """Tell whether a window is new, known from another rank, or of another run."""
        if not self._keys or key > self._keys[-1]:
            return "new"
        return "again" if key in self._keys else "restart"

    def add(self, key: tuple[int, ...], rate: float, line: Line, *, samples: float = 1.0) -> Added:
        """Keep a new window; `samples` weighs it where windows are not equally long."""
        added = self.classify(key)
        if added == "again":
            self.repeated += 1
        if added != "new":
            return added
        self._keys.append(key)
        count = len(self.rates)
        if count >= MOST_WINDOWS:
            self.left_out += 1
            return added
        if count < KEPT_LINES:
            self._first.append(line)
        self._last.append((count, line))
        self.rates.append(rate if SANE_RATES[0] < rate < SANE_RATES[1] else math.nan)
        self._samples.append(samples)
        return added

    def used(self, first: int, last: int) -> list[float]:
        """Return the rates without the first and last so many."""
        return list(self.rates[first : self.count - last])

    def harmonic(self, first: int, last: int) -> float:
        """Return total samples / total time; 0 where a rate is none. At least one window."""
        rates = self.used(first, last)
        if not all(0 < rate < math.inf for rate in rates):
            return 0.0
        weights = self._samples[first : self.count - last]
        return math.fsum(weights) / math.fsum(w / r for w, r in zip(weights, rates, strict=True))

    def lines(self, first: int, last: int) -> list[Line]:
        """Return the lines of the first and of the last windows of those used."""
        end = self.count - last
        found = dict(enumerate(self._first)) | dict(self._last)
        return [found[index] for index in sorted(found) if first <= index < end]
