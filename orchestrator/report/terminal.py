"""A night on a terminal: what is bad, then a row per series if somebody wants them."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.nights.record import Night
from orchestrator.nights.telling import failed
from orchestrator.report import findings
from orchestrator.report.status import STATUSES, kind
from orchestrator.ui.tables import print_table
from orchestrator.ui.text import clean
from orchestrator.units import DIMENSIONLESS, counted, quantity

# As the mail of the night has them; not every terminal has the others.
_PLAIN = {ord(findings.MINUS): "-", ord("→"): "->"}


def show(night: Night, *, every: bool) -> None:
    """Print the night; `every` adds a row per series."""
    for line in _lines(night):
        print(clean(line).translate(_PLAIN))
    if every:
        print()
        print_table(
            ("series", "samples/s", "change", "verdict", "can show"),
            [_row(night, index) for index in range(len(night.series))],
            right=(1, 2, 4),
        )


def _lines(night: Night) -> Iterator[str]:
    yield f"{night.suite} on {findings.host(night)}, night of {night.night}"
    yield f"{findings.headline(night)}."
    yield from (f"note: {note}" for note in night.problems)
    for one in findings.notable(night):
        yield ""
        yield from _finding(one)
    if partly := findings.partly_failed(night):
        yield ""
        yield from map(failed, partly)
    if machine := findings.by_machine(night):
        yield ""
        yield f"slower with the machine: {counted(len(machine), 'other')} of the series"
    if night.advice:
        yield ""
        yield "over weeks:"
        yield from (f"  {one.subject}: {one.said}" for one in findings.advice(night))
    if muted := findings.muted(night):
        yield ""
        yield f"muted: {', '.join(one.title for one in muted)}"


def _finding(one: findings.Finding) -> Iterator[str]:
    step = f"  {one.change}  {one.before} → {one.after}" if one.change else ""
    yield f"{one.status.symbol} {one.status.word}: {one.series.title}{step}"
    yield f"    {one.confirmed}"
    if one.interval:
        yield f"    95 % interval: {one.interval}"
    if one.change:
        yield f"    changed since: {'; '.join(one.changed) or 'nothing that is recorded'}"
    if one.explanation:
        yield f"    {one.explanation}"
    if run := next((run.result for run in reversed(one.runs)), ""):
        yield f"    last run: benchdock results show {run}"
    if one.accept:
        yield f"    to accept: {one.accept}"


def _row(night: Night, index: int) -> tuple[str, ...]:
    series = night.series[index]
    judged, status = series.judgement, STATUSES[kind(series)]
    return (
        series.title,
        "" if judged.value is None else quantity(judged.value, DIMENSIONLESS),
        findings.signed(judged.change).translate(_PLAIN),
        f"{status.symbol} {status.word}",
        "" if judged.resolution is None else findings.percent(judged.resolution),
    )
