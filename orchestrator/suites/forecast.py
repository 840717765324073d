"""How long the rest of a session takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from orchestrator.suites.turns import Turn


class Forecast:
    """The runs that are left and their durations, which become better known with each run.

    A series that never ran counts as `usual` seconds, or as the mean of those known.
    """

    def __init__(
        self, left: Iterable[Turn], known: Mapping[str, float], usual: float | None
    ) -> None:
        self._left = Counter(turn.cell.digest for turn in left)
        self._known = dict(known)
        self._usual = usual
        # Kept up to date, because a session may have 100,000 runs.
        self._sum = sum(self._known.get(one, 0.0) * count for one, count in self._left.items())
        self._unknown = sum(count for one, count in self._left.items() if one not in self._known)

    @property
    def seconds(self) -> float:
        """Return how long the runs take that are left."""
        return self._sum + self._unknown * self._mean()

    def of(self, turn: Turn) -> float:
        """Return how long one run takes."""
        return self._known.get(turn.cell.digest, self._mean())

    def spend(self, turn: Turn, seconds: float | None) -> None:
        """Take a run off; `seconds` is how long it took, None if it did not run."""
        digest = turn.cell.digest
        before = self._known.get(digest)
        self._left[digest] -= 1
        if before is None:
            self._unknown -= 1
        else:
            self._sum -= before
        if seconds is None:
            return
        left = self._left[digest]
        if before is None:
            self._unknown -= left
        self._sum += left * (seconds - (before or 0.0))
        self._known[digest] = seconds

    def _mean(self) -> float:
        if self._usual is not None:
            return self._usual
        return sum(self._known.values()) / len(self._known) if self._known else 0.0
