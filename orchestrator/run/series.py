"""Several separate runs of one request, and their summary."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator import stats
from orchestrator.errors import BenchdockError, ExitStatus
from orchestrator.metric import INTERVAL
from orchestrator.paths import RunFolder, runs
from orchestrator.request import Request
from orchestrator.result import Failure, Metric, Result
from orchestrator.run import benchmark
from orchestrator.run.failures import kind_of
from orchestrator.run.sharing import EXCLUSIVE, Sharing
from orchestrator.units import DIMENSIONLESS, SAMPLES_PER_SECOND
from orchestrator.view import View


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Two or more runs as one measurement, with its 95 % interval; throughputs per second."""

    throughput: float
    low: float
    high: float | None
    runs: tuple[float, ...]

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "value": self.throughput,
            "unit": SAMPLES_PER_SECOND,
            "ci95_low": self.low,
            "ci95_high": self.high,
            "runs": list(self.runs),
        }


def summarize(throughputs: Sequence[float]) -> Measured:
    """Combine runs with equally many samples: all samples over all time.

    The interval is Student's over whole runs, because runs differ more than steps do. Raises
    ValueError on fewer than two.
    """
    seconds = [1 / value for value in throughputs]
    low, high = stats.mean_interval(seconds)
    return Measured(
        throughput=1 / stats.mean(seconds),
        low=1 / high,
        high=1 / low if low > 0 else None,
        runs=tuple(throughputs),
    )


@dataclass(frozen=True, kw_only=True)
class Series:
    """Separate runs in order; the last one may have failed, which ends a series.

    `failure` is what ended it before all `asked` runs were made.
    """

    asked: int
    results: tuple[Result, ...]
    status: ExitStatus
    failure: Failure | None = None

    @property
    def measured(self) -> tuple[Result, ...]:
        """Return the runs that succeeded."""
        return tuple(result for result in self.results if result.failure is None)

    @property
    def ended(self) -> str:
        """Say which run ended the series early and why, "" if none did."""
        if self.failure is None:
            return ""
        return f"run {len(self.measured) + 1} of {self.asked} failed: {self.failure.message}"

    def metrics(self) -> dict[str, Metric]:
        """Return the combined metrics; the interval and the spread need two runs."""
        told = [result.metrics["throughput"] for result in self.measured]
        if not told:
            return {}
        values, unit = [metric.value for metric in told], told[0].unit
        found = {"throughput_median": Metric(value=stats.median(values), unit=unit)}
        if len(values) < 2:
            return {"throughput": told[0]} | found
        whole = summarize(values)
        ends = dict(zip(INTERVAL, (whole.low, whole.high), strict=True))
        return {
            "throughput": Metric(value=whole.throughput, unit=unit),
            **{name: Metric(value=end, unit=unit) for name, end in ends.items() if end is not None},
            **found,
            "throughput_cv": Metric(value=stats.relative_spread(values), unit=DIMENSIONLESS),
        }

    def as_json(self) -> dict[str, Any]:
        """Return plain values; each run's full result is in its folder."""
        request = self.results[0].request if self.results else None
        return {
            "schema": 1,
            "status": "failed" if self.failure else "ok",
            "failure": self.failure.model_dump(mode="json") if self.failure else None,
            "asked": self.asked,
            "request": request.model_dump(mode="json") if request else None,
            "metrics": {name: metric.plain() for name, metric in self.metrics().items()},
            "runs": [_row(result) for result in self.results],
        }


def folder_of(result: Result) -> str:
    """Return the path of a run's folder."""
    return str(RunFolder(runs() / (result.run or "")).root)


def _row(result: Result) -> dict[str, Any]:
    told = result.metrics.get("throughput")
    return {
        "run": result.run,
        "folder": folder_of(result),
        "status": result.status,
        "failure": result.failure.model_dump(mode="json") if result.failure else None,
        "throughput": told.plain() if told else None,
        "trust": result.verdict.trust if result.verdict else None,
        "warnings": list(result.warnings),
    }


# Makes one run of a request and names it, such as "run 2 of 5".
RunOnce = Callable[[Request, str], tuple[Result, ExitStatus]]


def measure(request: Request, asked: int, run: RunOnce) -> Series:
    """Run several times, until the first failure; each run has its folder.

    Raises what `benchmark.run` raises if not even one run gave a result.
    """
    results: list[Result] = []
    try:
        for number in range(1, asked + 1):
            result, status = run(request, f"run {number} of {asked}")
            results.append(result)
            if status is not ExitStatus.OK:
                return _ended(asked, results, status, result.failure)
    except BenchdockError as error:
        if not results:
            raise
        failure = Failure(kind=kind_of(error), message=str(error))
        return _ended(asked, results, error.exit_status, failure)
    return _ended(asked, results, ExitStatus.OK, None)


def _ended(
    asked: int, results: Sequence[Result], status: ExitStatus, failure: Failure | None
) -> Series:
    return Series(asked=asked, results=tuple(results), status=status, failure=failure)


def in_views(new_view: Callable[[], View], share: Sharing = EXCLUSIVE) -> RunOnce:
    """Return what makes each run in a view of its own."""
    return lambda request, title: benchmark.run_in_view(request, new_view, title=title, share=share)
