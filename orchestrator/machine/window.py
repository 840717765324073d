"""The timed window of a run, and what belongs to it.

Its edges are known late: a program prints a block of steps when the block is over. So samples wait
until then, and counters are interpolated between the two samples around an edge.
"""

from __future__ import annotations

import bisect
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")

# 20 minutes at 10 Hz. If a single block of steps takes longer, its earliest samples are dropped.
MOST = 12_000


class Window(NamedTuple):
    """The begin of the first timed step and the end of the last one so far.

    Seconds of the system's monotonic clock, which containers share.
    """

    begin: float
    end: float

    @property
    def seconds(self) -> float:
        """Return its length."""
        return self.end - self.begin


@dataclass
class Pending(Generic[T]):
    """Samples that wait until it is known whether they belong to the window."""

    _waiting: deque[tuple[float, T]] = field(default_factory=lambda: deque(maxlen=MOST))

    def add(self, time: float, sample: T) -> None:
        """Add a sample of this moment."""
        self._waiting.append((time, sample))

    def take(self, window: Window) -> Iterator[T]:
        """Yield those within the window so far, and drop earlier ones."""
        while self._waiting and self._waiting[0][0] <= window.end:
            time, sample = self._waiting.popleft()
            if time >= window.begin:
                yield sample


class Counters:
    """Counters that only grow, sampled; `growth` is what they grew by within the window."""

    def __init__(self, most: int = MOST) -> None:
        self._times: deque[float] = deque(maxlen=most)
        self._values: deque[Mapping[str, float]] = deque(maxlen=most)
        self._window: Window | None = None
        self._first: Mapping[str, float] = {}

    def add(self, time: float, values: Mapping[str, float]) -> None:
        """Add a sample of this moment."""
        self._times.append(time)
        self._values.append(values)

    def settle(self, window: Window) -> None:
        """Take note of the window so far; call it again when its end moved."""
        if not self._times:
            return
        if self._window is None:
            self._first = self._at(window.begin)
        self._window = window
        while len(self._times) > 2 and self._times[1] <= window.end:
            self._times.popleft()
            self._values.popleft()

    def growth(self) -> dict[str, float]:
        """Return what each counter grew by within the window; one that was reset is left out."""
        if self._window is None or not self._times:
            return {}
        last = self._at(self._window.end)
        grown = {name: last[name] - self._first[name] for name in last if name in self._first}
        return {name: value for name, value in grown.items() if value >= 0}

    def _at(self, time: float) -> Mapping[str, float]:
        """Interpolate; outside of what was sampled, the nearest sample counts."""
        place = bisect.bisect_left(self._times, time)
        if place == 0:
            return self._values[0]
        if place == len(self._times):
            return self._values[-1]
        before, after = self._values[place - 1], self._values[place]
        begin, end = self._times[place - 1], self._times[place]
        part = (time - begin) / (end - begin)
        return {
            name: value + part * (after[name] - value)
            for name, value in before.items()
            if name in after
        }
