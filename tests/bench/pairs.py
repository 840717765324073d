"""Times two things in turn, so that disturbances of the machine affect both.

Runs on Python 3.7 too, because some of our images have no newer one.
"""

from __future__ import annotations

import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import sub, truediv


@dataclass(frozen=True)
class Paired:
    """Seconds of two things, run by run."""

    ours: tuple[float, ...]
    theirs: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """Return the median of our time / their time, pair by pair."""
        return statistics.median(map(truediv, self.ours, self.theirs))

    @property
    def difference(self) -> float:
        """Return the median of our time - their time in seconds, pair by pair."""
        return statistics.median(map(sub, self.ours, self.theirs))

    @property
    def medians(self) -> tuple[float, float]:
        """Return both medians in seconds."""
        return statistics.median(self.ours), statistics.median(self.theirs)


def seconds(action: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    """Time one call, by the wall clock unless told."""
    begin = clock()
    action()
    return clock() - begin


def in_turn(
    ours: Callable[[], object],
    theirs: Callable[[], object],
    rounds: int,
    clock: Callable[[], float] = time.perf_counter,
) -> Paired:
    """Time both in turn, after one uncounted turn of each."""
    ours(), theirs()
    return alternate(lambda: seconds(ours, clock), lambda: seconds(theirs, clock), rounds)


def alternate(ours: Callable[[], float], theirs: Callable[[], float], rounds: int) -> Paired:
    """Ask for seconds A B B A A B ...: neither always follows the other."""
    times: dict[int, list[float]] = {0: [], 1: []}
    for turn in range(rounds):
        for which in (turn % 2, 1 - turn % 2):
            times[which].append((ours, theirs)[which]())
    return Paired(tuple(times[0]), tuple(times[1]))


def command(*argv: str, environment: dict[str, str] | None = None) -> Callable[[], object]:
    """Return a call that runs a command to its end and insists on success."""

    def run() -> object:
        return subprocess.run(argv, check=True, capture_output=True, env=environment)

    return run


def report(name: str, value: float, limit: float, unit: str, *, at_least: bool = False) -> bool:
    """Print one figure beside its limit; return whether it is kept."""
    kept = value >= limit if at_least else value <= limit
    sign = ">=" if at_least else "<="
    print(f"{'ok  ' if kept else 'MISS'}  {name:58} {value:8.3f} {unit:6} ({sign} {limit:g})")
    return kept


def spread(times: Sequence[float]) -> str:
    """Return least and most of some seconds."""
    return f"{min(times):.3f}..{max(times):.3f} s"
