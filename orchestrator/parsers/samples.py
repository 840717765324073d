"""Raw samples of timed steps, in 8 bytes per step, and what follows from them."""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass, field

from orchestrator import stats
from orchestrator.metric import INTERVAL
from orchestrator.parsers.events import Steps
from orchestrator.result import Metric, StepSamples
from orchestrator.units import PERCENT, SAMPLES_PER_SECOND, SECONDS, share

MOST_STEPS = 10_000_000  # the maximum in a request
MOST_RECORDED = 1_000_000  # in a result; statistics use all of them
TOLERANCE = 1e-6  # relative; programs print block times rounded
UNCOUNTED_TIME = 0.10


@dataclass(frozen=True, kw_only=True)
class Interval:
    """The 95 % interval of the throughput, or a warning that says why there is none."""

    metrics: dict[str, Metric] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class Samples:
    """The blocks of timed steps, in order."""

    def __init__(self) -> None:
        self.seconds = array("d")
        self._starts = array("q")
        self._per_step = array("q")
        self._block_seconds = array("d")
        self._total_samples = 0
        self._own: list[array[float]] = []  # by rank: a block's median time before the exchange
        self._waited = self._cpu_seconds = 0.0
        self._timed_cpu = True

    @property
    def count(self) -> int:
        """Number of steps."""
        return len(self.seconds)

    @property
    def latest_throughput(self) -> float | None:
        """Throughput of the last block, in samples/s."""
        return self._block_throughput(len(self._starts) - 1) if self._starts else None

    def add(self, block: Steps) -> str:
        """Add a block; return why it does not fit those before, or ""."""
        if block.first != self.count:
            return f"timed steps continue at {block.first} after {self.count} steps"
        if self.count + len(block.seconds) > MOST_STEPS:
            return f"more than {MOST_STEPS} timed steps"
        ranks = block.ranks or []
        if self._starts and len(ranks) != len(self._own):
            return f"a block is of {len(ranks)} ranks after one of {len(self._own)}"
        self._own = self._own or [array("d") for _ in ranks]
        for mine, rank in zip(self._own, ranks, strict=True):
            mine.append(rank.own)
        self._starts.append(block.first)
        self._per_step.append(block.samples)
        self._block_seconds.append(block.block_seconds or math.fsum(block.seconds))
        self._total_samples += block.samples * len(block.seconds)
        self.seconds.extend(block.seconds)
        self._waited += block.waited or 0.0
        self._cpu_seconds += block.cpu_seconds or 0.0
        self._timed_cpu = self._timed_cpu and block.cpu_seconds is not None
        return ""

    def contradiction(self, *, samples: int, seconds: float, per_step: int) -> str:
        """Return where the blocks contradict the printed totals, or ""."""
        if self._total_samples != samples:
            return f"the steps have {self._total_samples} samples, the end says {samples}"
        window = math.fsum(self._block_seconds)
        if not math.isclose(window, seconds, rel_tol=TOLERANCE):
            return f"the steps took {window:.9g} s, the end says {seconds:.9g} s"
        wrong = next((n for n in self._per_step if n != per_step), per_step)
        if wrong != per_step:
            return f"{wrong} samples per step, but batch x devices is {per_step}"
        return ""

    def metrics(self) -> dict[str, Metric]:
        """Return step times in seconds, and throughputs of the blocks."""
        summary = stats.summarize(self.seconds)
        found = {
            f"step_time_{name}": Metric(value=value, unit=SECONDS)
            for name, value in vars(summary).items()
        }
        if len(self._starts) > 1:
            rates = [self._block_throughput(i) for i in range(len(self._starts))]
            found["throughput_min"] = Metric(value=min(rates), unit=SAMPLES_PER_SECOND)
            found["throughput_max"] = Metric(value=max(rates), unit=SAMPLES_PER_SECOND)
        if rank_times := self.rank_times():
            slowest, fastest = max(rank_times), min(rank_times)
            usual = stats.median(rank_times)
            found["rank_time_min"] = Metric(value=fastest, unit=SECONDS)
            found["rank_time_max"] = Metric(value=slowest, unit=SECONDS)
            if usual > 0:
                found["rank_skew"] = Metric(value=100 * (slowest - fastest) / usual, unit=PERCENT)
        if self._waited:
            found["data_wait"] = Metric(value=self._waited / self.count, unit=SECONDS)
        if self._timed_cpu and self.count:
            found["cpu_time"] = Metric(value=self._cpu_seconds / self.count, unit=SECONDS)
        return found

    def rank_times(self) -> list[float]:
        """Return the seconds of a step of each rank until it waits for the others, [] for one.

        The median of its blocks' medians.
        """
        return [stats.median(mine) for mine in self._own]

    def interval(self, samples: int, seconds: float) -> Interval:
        """Return how exactly the throughput is known, from enough steps."""
        if self.count < stats.FEWEST_STEPS:
            return Interval()
        # Time between steps belongs to the window too: divide it evenly.
        counted = samples * math.fsum(self.seconds) / seconds
        try:
            found = stats.throughput_interval(self.seconds, counted)
        except stats.NoInterval as error:
            return Interval(warnings=(f"the throughput has no interval: {error}",))
        metrics = {
            name: Metric(value=value, unit=SAMPLES_PER_SECOND)
            for name, value in zip(INTERVAL, found, strict=True)
        }
        return Interval(metrics=metrics, notes=tuple(stats.within_run(self.seconds)))

    def doubts(self) -> list[str]:
        """Compare the clock around the blocks with the step times in them."""
        window, steps = math.fsum(self._block_seconds), math.fsum(self.seconds)
        if abs(window - steps) <= UNCOUNTED_TIME * window:
            return []
        return [
            f"the step times add up to {share(steps / window)} of the timed window: "
            "trust the throughput, not the step times"
        ]

    def records(self) -> tuple[StepSamples, ...]:
        """Return the raw samples, at most the first 1 000 000 steps."""
        ends = [*self._starts[1:], self.count] if self._starts else []
        return tuple(
            StepSamples(first=first, seconds=tuple(self.seconds[first:end]), samples=samples)
            for first, end, samples in zip(self._starts, ends, self._per_step, strict=True)
            if end <= MOST_RECORDED
        )

    def left_out(self) -> list[str]:
        """Warn if `records` does not return everything."""
        if self.count <= MOST_RECORDED:
            return []
        return [
            f"the result contains the raw times of the first {MOST_RECORDED} steps, the log those "
            f"of all {self.count}"
        ]

    def _block_throughput(self, index: int) -> float:
        end = self._starts[index + 1] if index + 1 < len(self._starts) else self.count
        steps = end - self._starts[index]
        seconds = self._block_seconds[index]
        return self._per_step[index] * steps / seconds if seconds > 0 else math.inf
