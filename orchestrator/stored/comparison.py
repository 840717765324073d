"""Two results side by side: how their throughputs differ, and what could be why."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from orchestrator import stats
from orchestrator.result import Metric, Result
from orchestrator.stored.differences import Change, differences, unrecorded
from orchestrator.units import quantity

# A bootstrap of more steps takes seconds and tells nothing more.
_MOST_STEPS = 200_000
_ONE_START = (
    "each side is one run: what differs from one start of a program to the next is not in the "
    "interval"
)


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """Throughput of b / throughput of a, with its 95 % interval where there are raw steps."""

    value: float
    low: float | None = None
    high: float | None = None

    @property
    def visible(self) -> bool | None:
        """Whether a difference can be seen; None where there is no interval."""
        if self.low is None or self.high is None:
            return None
        return not self.low <= 1 <= self.high


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What was found. `same_network` is None where a side does not say which network it is of.

    `names` is what the sides are called in the sentences.
    """

    names: tuple[str, str]
    same_network: bool | None
    ratio: Ratio | None
    why_no_ratio: str
    changes: tuple[Change, ...]
    unrecorded: tuple[str, ...]
    caveats: tuple[str, ...]

    @property
    def variables(self) -> tuple[Change, ...]:
        """Changes that nothing else explains, without what was merely seen during the runs."""
        return tuple(c for c in self.changes if not c.follows and c.group != "state")


def compare(a: Result, b: Result, names: tuple[str, str] = ("a", "b")) -> Comparison:
    """Compare two results, whatever they are of."""
    same = None if None in (a.fingerprint, b.fingerprint) else a.fingerprint == b.fingerprint
    why = _why_not(a, b, names)
    return Comparison(
        names=names,
        same_network=same,
        ratio=None if why else _ratio(a, b),
        why_no_ratio=why,
        changes=differences(a, b),
        unrecorded=unrecorded(a, b),
        caveats=_caveats(a, b, names) if not why else (),
    )


def _why_not(a: Result, b: Result, names: tuple[str, str]) -> str:
    """Say why there is no ratio, or ""."""
    for name, result in zip(names, (a, b), strict=True):
        if result.failure is not None:
            return f"{name} failed ({result.failure.kind}): {result.failure.message}"
        told = result.metrics.get("throughput")
        if told is None:
            return f"{name} has no throughput (status {result.status})"
        if not 0 < told.value < math.inf:
            return f"{name} has no plausible throughput: {told.value} {told.unit}"
    one, other = a.metrics["throughput"].unit, b.metrics["throughput"].unit
    if one != other:
        return f"{names[0]} counts {one} and {names[1]} counts {other}"
    return ""


def _ratio(a: Result, b: Result) -> Ratio:
    value = b.metrics["throughput"].value / a.metrics["throughput"].value
    before, after = _seconds_per_sample(a), _seconds_per_sample(b)
    if min(len(before), len(after)) < 2:
        return Ratio(value=value)
    low, high = stats.time_ratio_interval(before, after)
    # The throughput counts the time between steps too: the interval lies around that ratio.
    scale = value / (stats.mean(before) / stats.mean(after))
    return Ratio(value=value, low=low * scale, high=high * scale)


def _seconds_per_sample(result: Result) -> list[float]:
    """Return the raw steps' seconds per sample, none where they are not plausible."""
    steps = (
        s / block.samples for block in result.steps if block.samples > 0 for s in block.seconds
    )
    found = list(itertools.islice(steps, _MOST_STEPS))
    good = all(0 <= value < math.inf for value in found)
    return found if good and math.fsum(found) > 0 else []


def _caveats(a: Result, b: Result, names: tuple[str, str]) -> tuple[str, ...]:
    found = [_ONE_START]
    if a.run is not None and a.run == b.run:
        found.insert(0, f"{names[0]} and {names[1]} are the very same run")
    for name, result in zip(names, (a, b), strict=True):
        count = sum(len(block.seconds) for block in result.steps)
        # A result of `run` says so itself.
        if count < stats.FEWEST_STEPS and not any("timed steps" in w for w in result.warnings):
            found.append(f"{name} has {f'only {count}' if count else 'no'} raw step times")
        found += [f"{name}: {warning}" for warning in result.warnings]
    return tuple(found)


def sentences(found: Comparison) -> tuple[str, ...]:
    """Put the comparison in words, the most important first."""
    return tuple(
        text for text in (_of_network(found), _of_ratio(found), _of_variables(found)) if text
    )


def _of_network(found: Comparison) -> str:
    if found.same_network:
        return ""
    if found.same_network is None:
        return "it is not known whether both are of the same network: a fingerprint is missing"
    return (
        "these are DIFFERENT NETWORKS (their fingerprints differ): the ratio is no measure of how "
        "well either is computed"
    )


def _of_ratio(found: Comparison) -> str:
    ratio, (a, b) = found.ratio, found.names
    if ratio is None:
        return f"there is nothing to compare: {found.why_no_ratio}"
    if ratio.visible is None:
        return f"{b} is {_by(ratio.value)}; without raw step times nobody knows how exactly"
    exactly = f"{b} / {a} is {ratio.value:.3f} (95 % interval {ratio.low:.3f} to {ratio.high:.3f})"
    if not ratio.visible:
        return f"no difference can be seen: {exactly}"
    return f"{b} is {_by(ratio.value)}: {exactly}"


def _by(ratio: float) -> str:
    if ratio == 1:
        return "exactly as fast"
    if ratio >= 2 or ratio <= 0.5:
        times = ratio if ratio >= 1 else 1 / ratio
        shown = f"{times:.3g}" if times < 100 else f"{times:,.0f}"
        return f"{shown} times as {'fast' if ratio >= 1 else 'slow'}"
    return f"{abs(ratio - 1):.1%} {'faster' if ratio >= 1 else 'slower'}".replace("%", " %")


def _of_variables(found: Comparison) -> str:
    variables = found.variables
    names = ", ".join(change.name for change in variables[:5])
    match len(variables):
        case 0 if found.ratio is not None and found.ratio.visible:
            return (
                "nothing that is recorded was changed: the difference is the machine's state, or "
                "what differs from one start to the next"
            )
        case 0:
            return "nothing that is recorded was changed"
        case 1:
            (one,) = variables
            return f"one variable was changed: {one.name}, from {one.before} to {one.after}"
        case count:
            more = ", ..." if count > 5 else ""
            return (
                f"{count} variables were changed, by importance: {names}{more}; a difference "
                "cannot be put down to one of them"
            )


def metric_rows(a: Result, b: Result) -> list[tuple[str, str, str, str]]:
    """Return name, a, b and b / a of every metric that both have."""
    rows = []
    for name in a.metrics:
        one, other = a.metrics[name], b.metrics.get(name)
        if other is None or one.unit != other.unit or "_ci95_" in name:
            continue
        ratio = other.value / one.value if one.value else math.nan
        shown = f"{ratio:.3f}" if math.isfinite(ratio) else "-"
        rows.append((name, _shown(one), _shown(other), shown))
    return rows


def _shown(metric: Metric) -> str:
    return quantity(metric.value, metric.unit)


def as_json(found: Comparison, names: Sequence[str], results: Sequence[Result]) -> dict[str, Any]:
    """Return the comparison as plain values; `ratio` is b / a and has no unit."""
    sides = {
        side: {
            "run": name,
            "status": result.status,
            "fingerprint": result.fingerprint,
            "metrics": {key: metric.plain() for key, metric in result.metrics.items()},
        }
        for side, name, result in zip("ab", names, results, strict=True)
    }
    ratio = {**asdict(found.ratio), "visible": found.ratio.visible} if found.ratio else None
    return {
        "schema": 1,
        **sides,
        "same_network": found.same_network,
        "ratio": ratio,
        "why_no_ratio": found.why_no_ratio or None,
        "summary": list(sentences(found)),
        "variables": [change.name for change in found.variables],
        "changes": [asdict(change) for change in found.changes],
        "unrecorded": list(found.unrecorded),
        "caveats": list(found.caveats),
    }
