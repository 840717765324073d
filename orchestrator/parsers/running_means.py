"""Means since an epoch's start that are printed now and then, and the steady part they contain."""

from __future__ import annotations

from dataclasses import dataclass, field

from orchestrator.parsers.numbers import Line


@dataclass(frozen=True)
class Mean:
    """The mean time per step (or per sample) of an epoch's first steps, and its rounding error.

    `data` is the part of it for reading data, 0 if it is not printed.
    """

    steps: float
    time: float
    error: float
    line: Line
    data: float = 0.0

    @property
    def total(self) -> float:
        """Return the time of all these steps."""
        return self.steps * self.time


@dataclass
class _Epoch:
    first: Mean
    second: Mean | None = None
    last: Mean | None = None

    def steady(self, *, from_first: bool) -> Steady | None:
        """Return the steps from the second line to the last, or from the first if it is one step.

        The first step compiles, tunes and fills the pipeline of data.
        """
        last = self.last
        if last is None:
            return None
        starts = [] if self.second is last else [self.second]
        if self.first.steps == 1 or from_first:
            starts = [self.first] if from_first else [*starts, self.first]
        found = [
            Steady(
                steps=last.steps - start.steps,
                time=last.total - start.total,
                error=start.error * start.steps + last.error * last.steps,
                data=last.steps * last.data - start.steps * start.data,
                printed=last.steps,
                lines=(start.line, last.line),
            )
            for start in starts
            if start is not None
        ]
        most = next((each for each in found if each.covers), None)
        return most or (found[0] if found else None)


@dataclass(frozen=True)
class Steady:
    """The steps of a run without those that warmed it up."""

    steps: float
    time: float
    error: float
    data: float
    printed: float
    lines: tuple[Line, ...]

    @property
    def covers(self) -> bool:
        """Whether these are at least half of the steps that the log shows."""
        return 2 * self.steps >= self.printed

    def is_exact(self, tolerance: float) -> bool:
        """Whether the roundings of the means leave a time that is exact enough."""
        return self.time > 0 and self.error <= tolerance * self.time


@dataclass
class RunningMeans:
    """The means of each epoch of a run, in order."""

    _epochs: dict[int, _Epoch] = field(default_factory=dict)

    def add(self, epoch: int, mean: Mean) -> None:
        """Store a mean. One of fewer steps that was printed before, or by another rank, stays."""
        known = self._epochs.get(epoch)
        if known is None:
            self._epochs[epoch] = _Epoch(mean)
        elif mean.steps > (known.last or known.first).steps:
            known.second = known.second or mean
            known.last = mean

    def steady(self, *, from_first: bool = False) -> Steady | None:
        """Return the steps of all epochs without those that warmed them up, None if unknown.

        `from_first` starts at each epoch's first line, which contains all of the warm-up.
        """
        each = [epoch.steady(from_first=from_first) for epoch in self._epochs.values()]
        found = [steady for steady in each if steady is not None]
        if not found:
            return None
        return Steady(
            steps=sum(steady.steps for steady in found),
            time=sum(steady.time for steady in found),
            error=sum(steady.error for steady in found),
            data=sum(steady.data for steady in found),
            printed=sum(steady.printed for steady in found),
            lines=tuple(line for steady in found for line in steady.lines),
        )
