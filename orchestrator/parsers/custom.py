"""Reads the log of any other program with the user's regular expression."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from orchestrator.errors import RequestError, unknown
from orchestrator.parsers import vendor
from orchestrator.parsers.contract import LogParser, ParseHints
from orchestrator.parsers.estimators import Estimator
from orchestrator.parsers.literals import longest_literal
from orchestrator.parsers.slow_search import SearchWatch
from orchestrator.parsers.vendor import Format, Found, Log, Rule, Run, shown
from orchestrator.result import Failure, Measurement

program = "custom"

# Seconds per time unit of a step; None is a rate.
UNITS: dict[str, float | None] = {
    "samples/s": None,
    "images/s": None,
    "s": 1.0,
    "ms": 1e-3,
    "us": 1e-6,
}
ESTIMATORS: dict[str, Estimator] = {
    "only": "unknown",  # the same number wherever the pattern matches
    "last": "window",
    "mean": "mean_of_rates",
    "harmonic": "harmonic_mean",
}


def _take(log: Log, found: Found) -> None:
    """Take a rate, or the inverse of a time."""
    group = "value" if found.named("value") else 1
    value, scale = found.number(group), UNITS[log.hints.unit or "samples/s"]
    if value is None:
        text = repr(shown(found.text(group)))
        log.run.warn(f"the pattern matches text that is not a number, or not a whole one: {text}")
        return
    if not 0 < value < math.inf:
        log.run.fail(f"the pattern finds {value:.10g}, which is not a plausible figure", found.line)
    if scale is not None:
        value = 1 / (value * scale) if value * scale else 0.0
    log.window((log.run.windows.count,), value, found.line)


def _conclude(run: Run, hints: ParseHints) -> None:
    choice = hints.estimator or "only"
    estimator, factor = ESTIMATORS[choice], 1
    times = UNITS[hints.unit or "samples/s"] is not None
    if times:
        if run.batch is None:
            run.needs("--batch", "the batch")
        factor = (run.batch or 1) * (run.devices or 1)
    mean = run.recompute(first=0, factor=factor)
    value = run.windows.rates[-1] * factor
    harmonic = run.metrics.get("throughput_recomputed")
    if harmonic is None:
        value = math.nan
    elif choice == "only":
        _refuse_different(run)
    elif choice == "harmonic" or (choice == "mean" and times):
        # The mean of the times of equal batches is the harmonic mean of their rates.
        value, estimator = harmonic.value, "mean_time" if times else "harmonic_mean"
    elif choice == "mean":
        value = mean or math.nan
    if harmonic and times:
        run.step_time(factor / harmonic.value)
    run.prove_by_windows()
    run.headline(value, estimator=estimator, missing="number that the pattern finds", names=())


def _refuse_different(run: Run) -> None:
    if run.metrics["throughput_min"] != run.metrics["throughput_max"]:
        run.fail(
            f"the pattern finds {run.windows.count} different numbers: choose with --estimator "
            "last, mean or harmonic"
        )


def _compiled(hints: ParseHints) -> re.Pattern[str]:
    if hints.pattern is None:
        raise RequestError("the program custom needs a pattern", hint="use --pattern 'fps=(.+)'")
    try:
        pattern = re.compile(hints.pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise RequestError(
            f"{hints.pattern!r} is not a regular expression: {error}", hint="see Python's re module"
        ) from None
    if not pattern.groups:
        raise RequestError(
            f"{hints.pattern!r} has no group", hint="put the number in parentheses: 'fps=([0-9.]+)'"
        )
    return pattern


@dataclass(frozen=True)
class _Anywhere(Rule):
    """Lines in which a user's pattern matches, at any position."""

    watch: SearchWatch

    def find(self, text: str) -> re.Match[str] | None:
        """Return the match in a line."""
        return self.watch.search(self.pattern, text)


class _Parser(vendor.Parser):
    """Reads a log with a pattern that may be slow; gives no result if it is too slow."""

    def __init__(self, pattern: re.Pattern[str], hints: ParseHints) -> None:
        self._watch = SearchWatch()
        needle = longest_literal(pattern.pattern).encode()
        rule = _Anywhere(needle, pattern, _take, self._watch)
        super().__init__(Format(program=program, rules=(rule,), conclude=_conclude), hints)

    def feed(self, block: bytes) -> None:
        """Take the next bytes of the log."""
        with self._watch:
            super().feed(block)

    def finish(self, exit_code: int | None = None) -> Measurement:
        """Judge the whole log; a pattern that is too slow has not read all of it."""
        with self._watch:
            found = super().finish(exit_code)
        slow = self._watch.given_up
        if slow is None:
            return found
        message = (
            "the pattern is too slow for this log: avoid a repeat within a repeat, such as "
            "(a+)+, and read the log again with `benchdock parse custom`"
        )
        failure = Failure(kind="no_result", message=message, evidence=shown(slow))
        return found.model_copy(update={"failure": failure, "metrics": {}})


def Parser(hints: ParseHints) -> LogParser:  # noqa: N802 (a factory in place of a class)
    """Start on a new log. Raises RequestError if pattern, unit or estimator is wrong."""
    pattern = _compiled(hints)
    for kind, word, choices in (
        ("unit", hints.unit, UNITS),
        ("estimator", hints.estimator, ESTIMATORS),
    ):
        if word is not None and word not in choices:
            raise unknown(kind, word, choices)
    return _Parser(pattern, hints)
