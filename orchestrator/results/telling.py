"""Describes a comparison in words, as rows of a table and as a document."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from orchestrator import stats
from orchestrator.metric import INTERVAL
from orchestrator.result import Metric, Result
from orchestrator.results.comparison import Comparison, Side
from orchestrator.units import quantity


def sentences(found: Comparison) -> tuple[str, ...]:
    """Describe the comparison in sentences, most important first."""
    return tuple(
        text for text in (_of_network(found), *_of_ratio(found), _of_variables(found)) if text
    )


def _of_network(found: Comparison) -> str:
    if found.same_network:
        return ""
    if found.same_network is None:
        return "it is unknown whether both have the same network: a fingerprint is missing"
    return (
        "these are DIFFERENT NETWORKS (their fingerprints differ): the ratio does not say how "
        "well either is computed"
    )


def _of_ratio(found: Comparison) -> Iterator[str]:
    ratio, (a, b) = found.ratio, found.names
    if ratio is None:
        yield f"nothing to compare: {found.why_no_ratio}"
        return
    if ratio.visible is None:
        yield f"{b} / {a} is {ratio.value:.3f}"
        yield _single(found)
        return
    exactly = (
        f"{b} / {a} is {ratio.value:.3f} "
        f"(95 % interval {ratio.low:.3f} to {ratio.high:.3f} over {_runs(found)})"
    )
    if ratio.visible:
        yield f"{b} is {_by(ratio.value)}: {exactly}"
    else:
        yield f"no visible difference: {exactly}"


def _runs(found: Comparison) -> str:
    one, other = found.counts
    return f"{one} and {other} whole runs"


def _single(found: Comparison) -> str:
    """Say that a single run shows no difference, and what to type."""
    both = found.counts == (1, 1)
    which = found.names[found.counts.index(1)]
    who = "single runs cannot show" if both else f"the single run of {which} cannot show"
    return (
        f"{who} whether this is more than the difference between any two runs: type `benchdock "
        "run ... --runs 5` for each side, then `benchdock compare A... --against B...`"
    )


def _by(ratio: float) -> str:
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
                "nothing recorded differs: the difference is in the machine's state or in "
                "something that is not recorded"
            )
        case 0:
            return "nothing recorded differs"
        case 1:
            (one,) = variables
            return f"one variable differs: {one.name}, from {one.before} to {one.after}"
        case count:
            more = ", ..." if count > 5 else ""
            return (
                f"{count} variables differ, most important first: {names}{more}; a difference "
                "cannot be attributed to one of them"
            )


def metric_rows(a: Side, b: Side) -> list[tuple[str, str, str, str]]:
    """Return name, a, b and b / a of every metric that all runs have; for a group, the median."""
    rows = []
    for name in a[0].metrics:
        one, other = _median(a, name), _median(b, name)
        if one is None or other is None or one.unit != other.unit or name in INTERVAL:
            continue
        ratio = other.value / one.value if one.value else math.nan
        shown = f"{ratio:.3f}" if math.isfinite(ratio) else "-"
        rows.append((name, _shown(one), _shown(other), shown))
    return rows


def _median(side: Side, name: str) -> Metric | None:
    """Return the median of a metric over a side's runs, None without a common unit."""
    found = [result.metrics[name] for result in side if name in result.metrics]
    if len(found) < len(side) or len({metric.unit for metric in found}) > 1:
        return None
    return Metric(value=stats.median([metric.value for metric in found]), unit=found[0].unit)


def _shown(metric: Metric) -> str:
    return quantity(metric.value, metric.unit)


def as_json(
    found: Comparison, names: Sequence[Sequence[str]], sides: Sequence[Side]
) -> dict[str, Any]:
    """Return the comparison as plain values; `ratio` is b / a and has no unit."""
    ratio = {**asdict(found.ratio), "visible": found.ratio.visible} if found.ratio else None
    return {
        "schema": 1,
        **{
            side: _side(listed, results)
            for side, listed, results in zip("ab", names, sides, strict=True)
        },
        "same_network": found.same_network,
        "ratio": ratio,
        "why_no_ratio": found.why_no_ratio or None,
        "summary": list(sentences(found)),
        "variables": [change.name for change in found.variables],
        "changes": [asdict(change) for change in found.changes],
        "unrecorded": list(found.unrecorded),
        "caveats": list(found.caveats),
    }


def _side(names: Sequence[str], results: Side) -> dict[str, Any]:
    """Return a side: the facts of a single run, the list of runs of a group."""
    runs = [_run(name, result) for name, result in zip(names, results, strict=True)]
    return runs[0] if len(runs) == 1 else {"runs": runs}


def _run(name: str, result: Result) -> dict[str, Any]:
    return {
        "run": name,
        "status": result.status,
        "fingerprint": result.fingerprint,
        "metrics": {key: metric.plain() for key, metric in result.metrics.items()},
    }
