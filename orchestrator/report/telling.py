"""A night in sentences: the first one, and all that is to be said of each notable series."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from orchestrator.nights import noise
from orchestrator.nights.record import Night, NightAdvice, NightJudgement, NightRun, NightSeries
from orchestrator.report.status import NOTABLE, STATUSES, Kind, Status, kind
from orchestrator.stats import median
from orchestrator.units import SAMPLES_PER_SECOND, counted, quantity

MINUS = "\N{MINUS SIGN}"
_95 = 1.96
_SHOWN_CHANGES = 0.0005  # that round to 0.1 %


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A series that somebody has to know of, in words; "" for what does not apply."""

    series: NightSeries
    kind: Kind
    status: Status
    before: str
    after: str
    change: str
    interval: str
    confirmed: str
    changed: tuple[str, ...]
    attribution: str
    accept: str
    runs: tuple[NightRun, ...]


def findings(night: Night) -> list[Finding]:
    """Return the notable series that are not muted, worst first."""
    found = [one for one in map(_finding, night.series) if one.kind in NOTABLE]
    return sorted(
        (one for one in found if one.series.muted is None),
        key=lambda one: (NOTABLE.index(one.kind), -abs(one.series.judgement.change or 0)),
    )


def muted(night: Night) -> list[NightSeries]:
    """Return the notable series that nobody wants to hear of."""
    return [one for one in night.series if one.muted is not None and kind(one) in NOTABLE]


def by_machine(night: Night) -> list[NightSeries]:
    """Return the series that are slower because the machine is."""
    return [one for one in night.series if kind(one) == "machine" and not one.control]


def headline(night: Night) -> str:
    """Say in one sentence how the night was."""
    ran = sum(any(run.status == "completed" for run in one.runs) for one in night.series)
    total = len(night.series)
    parts = [f"All {total} ran" if ran == total else f"{ran} of {total} ran"]
    parts += _slower(findings(night))
    parts.append(machine(night))
    return "; ".join(parts)


def _slower(found: Sequence[Finding]) -> Iterator[str]:
    slower = [one for one in found if one.kind == "regressed"]
    if not slower:
        yield "nothing got slower"
    else:
        first = slower[0]
        most = "" if len(slower) == 1 else "the most: "
        told = f"{first.series.title} {first.change}"
        extra = len(first.series.judgement.extra)
        sure = f", confirmed by {counted(extra, 'more run')}" if extra else ""
        yield f"{len(slower)} got slower: {most}{told}{sure}"
    for word, kinds in (("faster", ("improved",)), ("unclear", ("ambiguous",))):
        count = sum(one.kind in kinds for one in found)
        if count:
            verb = "got" if word == "faster" else "is" if count == 1 else "are"
            yield f"{count} {verb} {word}"


def machine(night: Night) -> str:
    """Say how the machine is, as its control series show."""
    controls = [one for one in night.series if one.control]
    judged = [one.judgement for one in controls if one.judgement.change is not None]
    if not controls:
        return "no control series watches the machine"
    if not judged:
        return "the control series say nothing about the machine"
    out = [one for one in judged if one.verdict == "regressed"]
    if out and len(out) == len(judged):
        loss = median([-one.change for one in out if one.change is not None])
        return f"the machine is slower by {percent(loss)}"
    if out:
        return f"{len(out)} of {len(judged)} control series is slower"
    return "the machine is healthy"


def _finding(series: NightSeries) -> Finding:
    judged, what = series.judgement, kind(series)
    off = what in ("regressed", "improved")
    return Finding(
        series=series,
        kind=what,
        status=STATUSES[what],
        before=throughput(judged.baseline),
        after=throughput(judged.value),
        change=signed(judged.change),
        interval=interval(judged, len(_counted(series))),
        confirmed=judged.sentence if judged.change is not None else _why_nothing(series),
        changed=tuple(f"{one.label}: {one.before} → {one.after}" for one in series.changed),
        attribution=_attribution(series),
        accept=f"benchdock accept {shlex.quote(series.key)} --why '...'" if off else "",
        runs=series.runs,
    )


def _counted(series: NightSeries) -> list[NightRun]:
    return [run for run in series.runs if run.throughput is not None]


def _why_nothing(series: NightSeries) -> str:
    """Say why a series has no verdict."""
    messages = dict.fromkeys(run.message for run in series.runs if run.message)
    failed = sum(run.status == "failed" for run in series.runs)
    first = next(iter(messages), "")
    if failed:
        said = f": {first}" if first else ""
        return f"{failed} of {counted(len(series.runs), 'run')} failed{said}"
    return first or series.judgement.sentence or "no run was made"


def _attribution(series: NightSeries) -> str:
    told = series.attribution
    if told is None:
        return ""
    sure = "explains" if told.explained else "does not explain"
    return (
        f"old and new image in {told.pairs} turns on this machine differ by "
        f"{signed(told.change)}: the image {sure} it"
    )


def interval(judged: NightJudgement, runs: int) -> str:
    """Return the 95 % interval of the change, "" if it is unknown."""
    if judged.change is None or judged.run_noise is None or judged.night_noise is None:
        return ""
    if not judged.nights or not runs:
        return ""
    at_night = judged.night_noise**2
    usual = at_night + noise.median_variance(noise.USUAL_RUNS) * judged.run_noise**2
    of_baseline = usual * (1.0 if judged.nights <= 2 else math.pi / 2) / judged.nights
    of_runs = noise.median_variance(runs) * judged.run_noise**2
    half = _95 * math.sqrt(at_night + of_runs + of_baseline)
    return f"{signed(judged.change - half)} to {signed(judged.change + half)}"


def advice(told: NightAdvice) -> str:
    """Say what several weeks show."""
    word = "slower" if told.step < 0 else "faster"
    return f"{told.subject}: {percent(abs(told.step))} {word} since about {told.since:%Y-%m-%d}"


def throughput(value: float | None) -> str:
    """Format a throughput, "" if it is unknown."""
    return "" if value is None else quantity(value, SAMPLES_PER_SECOND)


def percent(share: float) -> str:
    """Format a share as a percentage with one decimal."""
    return f"{share * 100:.1f} %"


def signed(share: float | None) -> str:
    """Format a change as a percentage with its sign, "" if it is unknown."""
    if share is None:
        return ""
    if abs(share) < _SHOWN_CHANGES:
        return "0.0 %"
    return f"{'+' if share > 0 else MINUS}{abs(share) * 100:.1f} %"
