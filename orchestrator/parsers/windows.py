"""Rates that a program printed while it ran, one per window of steps."""

from __future__ import annotations

import math
from array import array
from collections import Counter, deque
from collections.abc import Sequence
from typing import Literal

from orchestrator.parsers.numbers import Line

MOST_WINDOWS = 1_000_000
KEPT_LINES = 12  # of the first and of the last windows
SANE_RATES = (1e-15, 1e15)  # others are kept as nan, so that no sum overflows
MOST_DISTANCES = 1000  # different ones that are counted between two windows
_GAP = 1.5  # times the usual distance between two windows
_RESUMED = 5  # times the usual distance

Added = Literal["new", "again", "restart"]


class Windows:
    """Window rates in order, 24 bytes each, and the lines of the first and last.

    A window is identified by its `key`, a tuple that grows during a run, such as (epoch, step).
    Several ranks that print the same window do so at about the same time; a window that comes again
    after two later ones starts another run.
    """

    def __init__(self) -> None:
        self.rates = array("d")
        self._samples = array("d")
        self._names = array("q")  # hashes of the keys
        self._first: list[tuple[int, Line]] = []
        self._last: deque[tuple[int, Line]] = deque(maxlen=KEPT_LINES)
        self._keys: deque[tuple[int, ...]] = deque(maxlen=2)
        self._copies: deque[int] = deque(maxlen=2)  # of the last two windows
        self._distances: Counter[int] = Counter()
        self.first_step = 0  # the last part of the first key
        self.most_copies = 1
        self.largest_difference = 0.0  # between copies of a window, relative
        self.repeated = 0
        self.left_out = 0

    @property
    def count(self) -> int:
        """Number of windows kept."""
        return len(self.rates)

    @property
    def last_key(self) -> tuple[int, ...]:
        """Return the key of the last window, () before the first."""
        return self._keys[-1] if self._keys else ()

    def classify(self, key: tuple[int, ...]) -> Added:
        """Classify a window: new, known from another rank, or of another run."""
        if not self._keys or key > self._keys[-1]:
            return "new"
        return "again" if key in self._keys else "restart"

    def add(self, key: tuple[int, ...], rate: float, line: Line, *, samples: float = 1.0) -> Added:
        """Add a new window; `samples` is its weight if windows are not equally long."""
        added = self.classify(key)
        if added == "again":
            self.repeat(key, rate)
        if added != "new":
            return added
        self._note_distance(key)
        self._keys.append(key)
        self._copies.append(1)
        count = len(self.rates)
        if count >= MOST_WINDOWS:
            self.left_out += 1
            return added
        if count < KEPT_LINES:
            self._first.append((count, line))
        self._last.append((count, line))
        self.rates.append(rate if SANE_RATES[0] < rate < SANE_RATES[1] else math.nan)
        self._samples.append(samples)
        self._names.append(hash(key))
        return added

    def repeat(self, key: tuple[int, ...], rate: float) -> int:
        """Count a window that is printed again; return how often it was printed before."""
        place = self._keys.index(key)
        before = self._copies[place]
        self._note_difference(self.rates[place - len(self._keys)], rate)
        self._copies[place] += 1
        self.most_copies = max(self.most_copies, before + 1)
        self.repeated += 1
        return before

    def _note_difference(self, one: float, other: float) -> None:
        if one > 0 and other > 0:
            difference = abs(one - other) / max(one, other)
            self.largest_difference = max(self.largest_difference, difference)

    def _note_distance(self, key: tuple[int, ...]) -> None:
        last = self.last_key
        if not last:
            self.first_step = key[-1]
        if last and last[:-1] == key[:-1]:
            distance = key[-1] - last[-1]
            if distance in self._distances or len(self._distances) < MOST_DISTANCES:
                self._distances[distance] += 1

    @property
    def gaps(self) -> int:
        """Number of places where windows seem to be missing, by the distance of their keys."""
        usual = self.usual_distance
        return sum(n for distance, n in self._distances.items() if distance > _GAP * usual)

    @property
    def starts_late(self) -> bool:
        """Whether the first windows are missing, judged by the key; not if the run was resumed."""
        first = self.first_step
        return _GAP * self.usual_distance < first < _RESUMED * self.usual_distance

    @property
    def usual_distance(self) -> int:
        """Number of steps from a window to the next one of an epoch, 0 if there are not two."""
        return min(self._distances, key=lambda d: (-self._distances[d], d), default=0)

    def used(self, first: int, last: int) -> list[float]:
        """Return the rates without the first and last windows."""
        return list(self.rates[first : self.count - last])

    def harmonic(self, first: int, last: int) -> float:
        """Return total samples / total time; 0 if a rate is not valid. At least one window."""
        rates = self.used(first, last)
        if not all(0 < rate < math.inf for rate in rates):
            return 0.0
        weights = self._samples[first : self.count - last]
        return math.fsum(weights) / math.fsum(w / r for w, r in zip(weights, rates, strict=True))

    def lines(self, first: int, last: int) -> list[Line]:
        """Return the lines of the first and of the last windows of those used."""
        end = self.count - last
        found = {(index, line.number): line for index, line in (*self._first, *self._last)}
        return [found[place] for place in sorted(found) if first <= place[0] < end]

    def same_rates(self, other: Windows) -> bool:
        """Whether the windows that both have show the same rates, digit by digit."""
        rates = dict(zip(self._names, self.rates, strict=True))
        both = [(rates[n], r) for n, r in zip(other._names, other.rates, strict=True) if n in rates]
        return all(mine == theirs for mine, theirs in both)


def together(workers: Sequence[Windows]) -> Windows:
    """Return the windows that every worker printed, each with the sum of their rates."""
    base, *others = workers
    places = [{name: i for i, name in enumerate(other._names)} for other in others]
    joined, new_places = Windows(), {}
    for i, name in enumerate(base._names):
        if all(name in place for place in places):
            rates = [o.rates[p[name]] for o, p in zip(others, places, strict=True)]
            new_places[name] = len(joined.rates)
            joined.rates.append(math.fsum((base.rates[i], *rates)))
            joined._samples.append(base._samples[i])
            joined._names.append(name)
    for worker in workers:
        for index, line in dict.fromkeys((*worker._first, *worker._last)):
            if (place := new_places.get(worker._names[index])) is not None:
                joined._first.append((place, line))
    joined._keys, joined._distances = base._keys, base._distances
    joined.left_out = base.left_out
    return joined
