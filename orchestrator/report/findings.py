"""A night in sentences: the first one, and all that is to be said of each notable series."""

from __future__ import annotations

import re
from dataclasses import dataclass

from orchestrator.nights import noise, telling
from orchestrator.nights.past import counted as counted_runs
from orchestrator.nights.record import Night, NightAdvice, NightJudgement, NightRun, NightSeries
from orchestrator.report.status import NOTABLE, STATUSES, Kind, Status, kind
from orchestrator.units import SAMPLES_PER_SECOND, counted, quantity

MINUS = "\N{MINUS SIGN}"
_95 = 1.96
_DIGEST = re.compile(r"sha256:([0-9a-f]{12})[0-9a-f]{52}", re.ASCII)
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
    explanation: str
    accept: str
    runs: tuple[NightRun, ...]


def notable(night: Night) -> list[Finding]:
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
    """Return the night in one sentence, as the subject of a mail has it, without the suite."""
    return telling.subject(night).removeprefix(f"{night.suite}: ")


def partly_failed(night: Night) -> list[NightSeries]:
    """Return the series of which some runs failed but that are not notable otherwise."""
    return [one for one in telling.failures(night) if kind(one) not in NOTABLE]


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
        interval=interval(judged, len(counted_runs(series))),
        confirmed=judged.sentence if judged.change is not None else _why_nothing(series),
        changed=tuple(
            f"{one.label} {short(one.before)} → {short(one.after)}" for one in series.changed
        ),
        explanation=telling.explanation(series),
        accept=telling.accept_command(series.key) if off else "",
        runs=series.runs,
    )


def _why_nothing(series: NightSeries) -> str:
    """Say why a series has no verdict."""
    messages = dict.fromkeys(run.message for run in series.runs if run.message)
    failed = sum(run.status == "failed" for run in series.runs)
    first = next(iter(messages), "")
    if failed:
        said = f": {first}" if first else ""
        return f"{failed} of {counted(len(series.runs), 'run')} failed{said}"
    return first or series.judgement.sentence or "no run was made"


def interval(judged: NightJudgement, runs: int) -> str:
    """Return the 95 % interval of the change, "" if it is unknown."""
    if judged.change is None or judged.run_noise is None or judged.night_noise is None:
        return ""
    if not judged.nights or not runs:
        return ""
    half = _95 * noise.change_error(judged.run_noise, judged.night_noise, judged.nights, runs)
    return f"{signed(judged.change - half)} to {signed(judged.change + half)}"


@dataclass(frozen=True, kw_only=True)
class Advice:
    """What several weeks show of a series, whose `key` is known, or of a group."""

    subject: str
    said: str
    key: str = ""


def advice(night: Night) -> list[Advice]:
    """Return what weeks show: groups first, then the clearest."""
    titles = {one.key: one.title for one in night.series}
    ordered = sorted(night.advice, key=lambda one: (one.subject in titles, -abs(one.t)))
    return [
        Advice(
            subject=titles.get(one.subject, one.subject),
            said=_advised(one),
            key=one.subject if one.subject in titles else "",
        )
        for one in ordered
    ]


def _advised(told: NightAdvice) -> str:
    word = "slower" if told.step < 0 else "faster"
    return f"{percent(abs(told.step))} {word} since about {told.since}"


def advice_on(night: Night, series: NightSeries) -> list[Advice]:
    """Return what weeks show of a series and of the groups that it belongs to."""
    return [
        one
        for one in advice(night)
        if one.key == series.key
        or (not one.key and not series.control and one.subject.startswith("all "))
        or (not one.key and one.subject.endswith(f" of {series.framework}"))
    ]


def short(text: str) -> str:
    """Shorten digests."""
    return _DIGEST.sub(r"sha256:\1", text)


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


def host(night: Night) -> str:
    """Return the name of the machine: its host name if it is known."""
    return night.facts.get("host") or night.machine
