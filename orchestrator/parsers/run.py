"""One run of a vendor's program, as far as its log shows."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from orchestrator import stats
from orchestrator.parsers.agreement import contradiction
from orchestrator.parsers.contract import ParseHints
from orchestrator.parsers.estimators import (
    LONGEST_TIME,
    SHORTEST_TIME,
    Estimator,
    Scope,
    are_equal,
    is_plausible,
)
from orchestrator.parsers.figures import Figures
from orchestrator.parsers.numbers import Line
from orchestrator.parsers.running_means import RunningMeans
from orchestrator.parsers.windows import Windows
from orchestrator.result import FailureKind, Metric
from orchestrator.units import SAMPLES_PER_SECOND, SECONDS, counted, quantity, share

MOST_WARNINGS = 20
LARGEST_SPREAD = 0.10
# Times another figure of the same: a digit is missing, or it belongs to another run.
_CONTRADICTS = 5


class Run(Figures):
    """What was printed in one run, and what `conclude` makes of it."""

    def __init__(self, hints: ParseHints) -> None:
        super().__init__()
        self.hints = hints
        self.synonyms: Mapping[
            str, str
        ] = {}  # model names: as printed -> as the program accepts them
        self.facts: dict[str, Any] = {}
        self.metrics: dict[str, Metric] = {}
        self.windows = Windows()
        self.others: dict[object, Windows] = {}  # of the other workers of a job, by name or number
        self.worker = ""  # the owner of `windows`, if workers print their names
        self.one_of_several = False  # workers print, and the figures are of one of them
        self.warnings: list[str] = []
        self.problem = ""
        self.problem_line = ""
        self.kind: FailureKind = "no_result"
        self.contradicts = False
        self.ranks = 1  # that printed a result, with a prefix or without
        self.ranks_differ = False
        self.notes: dict[str, int] = {}
        self.means = RunningMeans()
        self.estimator: Estimator = "unknown"
        self.scope: Scope = "all_devices"
        self._stated: dict[str, Line] = {}
        self._used: dict[str, Any] = {}

    @property
    def started(self) -> bool:
        """Whether the run printed any figure; a header does not count."""
        return bool(self.printed or self.windows.count or self.problem)

    @property
    def succeeded(self) -> bool:
        """Whether the run has a result and no problem. Only after `conclude`."""
        return not self.problem and bool(self.metrics)

    @property
    def throughput(self) -> float | None:
        """Return the headline in samples/s over all devices, None if there is none."""
        metric = self.metrics.get("throughput")
        return metric.value if metric and not self.problem else None

    @property
    def batch(self) -> int | None:
        """Samples per device and step: the hint, else what was printed."""
        return self.hints.batch or self.facts.get("batch")

    @property
    def devices(self) -> int | None:
        """Number of devices: the hint, else what was printed."""
        return self.hints.devices or self.facts.get("devices")

    def fact(self, name: str, value: Any) -> None:
        """Store a statement of the program about itself; the first of several counts."""
        self.facts.setdefault(name, value)

    def take(self, name: str, value: float | None, line: Line, *, tolerance: float = 0.0) -> None:
        """Store a printed number, whatever it is; None is one that the log's end cuts off.

        The same again (within a relative tolerance: ranks have separate clocks) is ignored.
        """
        if value is None:
            self.fail("the log is cut off in the line of the result", line)
        elif name not in self.printed:
            self.printed[name] = value
            self._taken[name] = line
        elif not are_equal(self.printed[name], value, tolerance):
            self.contradicts = True
            self.fail(f"the log has two results, {self.printed[name]:.10g} and {value:.10g}", line)
        else:
            self.ranks = max(self.ranks, 2)
            if value != self.printed[name] and not math.isnan(value):
                self.warn(f"{name} is printed again as {value:.10g}: the first one counts")

    def fail(
        self, problem: str, line: Line | None = None, *, kind: FailureKind = "no_result"
    ) -> None:
        """Refuse the run; the first reason counts."""
        if not self.problem:
            self.problem, self.kind = problem, kind
            self.problem_line = str(line.evidence()[1]) if line else ""
            if line is not None and line not in self._evidence:
                self._evidence.append(line)

    def warn(self, text: str) -> None:
        """Add a warning."""
        if text not in self.warnings and len(self.warnings) < MOST_WARNINGS:
            self.warnings.append(text)

    def headline(
        self,
        value: float | None,
        *,
        estimator: Estimator,
        missing: str,
        factor: float = 1.0,
        scope: Scope = "all_devices",
        names: tuple[str, ...] = ("total",),
    ) -> None:
        """Set `throughput` to value * factor, in samples/s over all devices.

        `names` are the taken numbers whose lines prove it; `missing` completes "the log has no".
        """
        self.estimator, self.scope = estimator, scope
        if value is None:
            self.fail(f"the log has no {missing}: the run did not finish")
            return
        self.prove(*names)
        result = value * factor
        if not is_plausible(result):
            line = next((self._taken[name] for name in names if name in self._taken), None)
            self.fail(f"a throughput of {value:.10g} is not plausible", line)
            return
        self.rate("throughput", result)

    def seconds(self, metric: str, name: str, *, scale: float = 1.0) -> None:
        """Set a metric to a taken number * scale, in seconds, if it was printed and is one.

        A value that is not a time is left out with a warning.
        """
        value = self.printed.get(name)
        if value is None:
            return
        if SHORTEST_TIME < value * scale < LONGEST_TIME:
            self.metrics[metric] = Metric(value=value * scale, unit=SECONDS)
        else:
            self.warn(f"{metric} is left out: {value:.10g} is not a time")

    def step_time(self, value: float) -> None:
        """Set the metric `step_time_mean`, in seconds."""
        self.metrics["step_time_mean"] = Metric(value=value, unit=SECONDS)

    def rate(self, metric: str, value: float) -> None:
        """Set a metric in samples/s over all devices."""
        self.metrics[metric] = Metric(value=value, unit=SAMPLES_PER_SECOND)

    def needs(self, option: str, what: str) -> None:
        """Refuse a throughput that cannot be computed without an option such as --batch."""
        line = self._evidence[-1] if self._evidence else None
        self.fail(f"the log does not give {what}: use {option}", line)

    def recompute(
        self, *, first: int, last: int = 0, why: str = "", factor: float = 1.0
    ) -> float | None:
        """Set `throughput_recomputed`: total samples / total time of the windows.

        The first and last windows are dropped, because of `why`, if enough remain. Returns the
        arithmetic mean of the windows' rates * factor, None if there are none.
        """
        windows = self.windows
        if not windows.count:
            return None
        if windows.count <= first + last:
            self.warn(f"only {windows.count} windows were printed: warm-up cannot be separated")
            first, last = min(first, windows.count - 1), 0
        self._used = {
            "count": windows.count,
            "used": windows.count - first - last,
            "dropped_first": first,
            "dropped_last": last,
            "why": why,
        }
        value = windows.harmonic(first, last) * factor
        if not 0 < value < math.inf:
            self.warn(
                "a window's rate is 0 or not a number: nothing is recomputed from the windows"
            )
            return math.nan
        rates = [rate * factor for rate in windows.used(first, last)]
        self.rate("throughput_recomputed", value)
        self.rate("throughput_min", min(rates))
        self.rate("throughput_max", max(rates))
        self._doubt_windows(rates)
        return stats.mean(rates)

    def windows_headline(
        self,
        mean: float | None,
        *,
        missing: str,
        scope: Scope = "all_devices",
        names: tuple[str, ...] = (),
    ) -> None:
        """Set `throughput` to samples / time of the windows; `mean` is what `recompute` returned.

        The mean of their rates, which many publish, is the metric `throughput_mean_of_rates`: it is
        higher if the rates vary.
        """
        recomputed = self.metrics.get("throughput_recomputed")
        if mean is not None and is_plausible(mean):
            self.rate("throughput_mean_of_rates", mean)
        self.headline(
            recomputed.value if recomputed else mean,
            estimator="harmonic_mean",
            missing=missing,
            scope=scope,
            names=names,
        )

    def recompute_from_time(self, samples: float) -> None:
        """Set `throughput_recomputed` to samples / `step_time_mean`, if the windows gave none."""
        time = self.metrics.get("step_time_mean")
        if time is not None and "throughput_recomputed" not in self.metrics:
            self.rate("throughput_recomputed", samples / time.value)

    def same(self, name: str, value: Any, line: Line) -> None:
        """Store a fact on which two lines of one run cannot disagree."""
        if self.facts.setdefault(name, value) != value:
            told = self.facts[name]
            self.fail(f"the log says {name} {told} and {name} {value}: two runs are mixed", line)

    def prove_by_windows(self) -> None:
        """Show the first and last lines of the windows used as evidence."""
        used = self._used
        if used:
            self._evidence += self.windows.lines(used["dropped_first"], used["dropped_last"])

    def _doubt_windows(self, rates: list[float]) -> None:
        spread = stats.relative_spread(rates)
        if spread > LARGEST_SPREAD:
            part = share(spread)
            self.warn(f"the standard deviation of the windows' rates is {part} of their mean")
        if left_out := self.windows.left_out:
            self.warn(
                f"left out at the end, because there are too many: {counted(left_out, 'window')}"
            )

    def conclude(self, conclude: Callable[[Run, ParseHints], None], hints: ParseHints) -> None:
        """Let the format make metrics of what was taken; a run with a problem has no throughput."""
        conclude(self, hints)
        if not self.problem:
            self.refuse_contradiction()
        self._refuse_unlike_figures()
        if self.problem:
            self.metrics.pop("throughput", None)
        for name in ("batch", "devices"):
            value = getattr(self, name)
            if value is not None:
                self.facts[name] = value

    def refuse_contradiction(self) -> None:
        """Refuse a run whose log contradicts the request."""
        fact, said = contradiction(self.facts, self.hints, self.synonyms)
        if said:
            self.fail(said, self._stated.get(fact), kind="contradiction")

    def state(self, line: Line) -> None:
        """Remember that the new facts were stated in this line."""
        if len(self.facts) != len(self._stated):
            for name in self.facts:
                self._stated.setdefault(name, line)

    def _refuse_unlike_figures(self) -> None:
        own, other = self.throughput, self.metrics.get("throughput_recomputed")
        if own and other and not 1 / _CONTRADICTS < other.value / own < _CONTRADICTS:
            self.fail(
                f"the program says {own:.6g} samples/s, its windows or times {other.value:.6g}: "
                "the log contradicts itself"
            )

    def summary(self) -> dict[str, Any]:
        """Return facts, estimator, scope, windows and evidence."""
        return {
            **self.facts,
            "estimator": self.estimator,
            "scope": self.scope,
            "windows": self._used,
            "evidence": self.evidence(),
        }

    def block(self) -> dict[str, Any]:
        """Return the summary with metrics and problem: one of several runs in a log."""
        metrics = {name: metric.model_dump() for name, metric in self.metrics.items()}
        return {**self.summary(), "problem": self.problem, "metrics": metrics}

    def short(self) -> str:
        """Name the run and its throughput in a few words."""
        words = {"model": "{}", "batch": "batch {}"}
        name = " ".join(text.format(self.facts[k]) for k, text in words.items() if k in self.facts)
        value = self.throughput
        shown = "no result" if value is None else quantity(value, SAMPLES_PER_SECOND)
        return f"{name}: {shown}" if name else shown
