"""The first page of a report: what is bad in one night, then a row per series."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from itertools import groupby
from typing import Any

from markupsafe import Markup

from orchestrator import compressed
from orchestrator.nights.record import Night, NightSeries
from orchestrator.nights.telling import failed
from orchestrator.report import findings, run_folders
from orchestrator.report.series_chart import sparkline
from orchestrator.report.status import STATUSES, Status, kind
from orchestrator.report.window import Window
from orchestrator.units import DIMENSIONLESS, counted, quantity

_CONTROLS = "control"


@dataclass(frozen=True, kw_only=True)
class Row:
    """A series in the table."""

    key: str
    title: str
    spark: Markup
    value: str
    change: str
    status: Status
    resolution: str


@dataclass(frozen=True, kw_only=True)
class Group:
    """The series of a framework, or the controls."""

    name: str
    rows: tuple[Row, ...]


def context(window: Window) -> dict[str, Any]:
    """Return what the template needs."""
    night = window.tonight
    return {
        "headline": findings.headline(night),
        "notes": list(_notes(night)),
        "findings": [_finding(window, one) for one in findings.notable(night)],
        "machine": [
            {"key": one.key, "title": one.title, "change": findings.signed(one.judgement.change)}
            for one in findings.by_machine(night)
        ],
        "advice": findings.advice(night),
        "partly": [
            {"key": one.key, "title": one.title, "why": failed(one).removeprefix(f"{one.title}: ")}
            for one in findings.partly_failed(night)
        ],
        "muted": [
            {"key": one.key, "title": one.title, "why": one.muted, "status": STATUSES[kind(one)]}
            for one in findings.muted(night)
        ],
        "groups": list(_groups(window)),
    }


def _notes(night: Night) -> Iterator[str]:
    yield from (f"{one[:1].upper()}{one[1:]}." for one in night.problems)
    if night.uncounted:
        yield f"No later night is compared with this one: {night.uncounted}."


def _finding(window: Window, found: findings.Finding) -> Mapping[str, Any]:
    told = {field.name: getattr(found, field.name) for field in fields(found)}
    spark = sparkline(window.of(found.series.key), _described(window, found.series))
    return {**told, "links": list(_runs(found.series)), "spark": spark}


def _runs(series: NightSeries) -> Iterator[tuple[str, str, str]]:
    """Yield name, label and address of the log of a few runs."""
    labels = set()
    for run in run_folders.typical(series):
        folder = run_folders.found(run.result)
        value = findings.throughput(run.throughput) or f"{run.status} run"
        if value in labels:
            continue
        labels.add(value)
        log = compressed.here(folder.log) if folder else None
        yield run.result, value, log.as_uri() if log else ""


def _groups(window: Window) -> Iterator[Group]:
    def place(one: NightSeries) -> tuple[bool, str]:
        return one.control, _CONTROLS if one.control else one.group or one.framework

    ordered = sorted(window.tonight.series, key=lambda one: (place(one), one.title))
    for (_, name), members in groupby(ordered, key=place):
        yield Group(name=name, rows=tuple(_row(window, one) for one in members))


def _row(window: Window, series: NightSeries) -> Row:
    judged = series.judgement
    value = _number(judged.value)
    return Row(
        key=series.key,
        title=series.title,
        spark=sparkline(window.of(series.key), _described(window, series)),
        value=value,
        change=findings.signed(judged.change),
        status=STATUSES[kind(series)],
        resolution="" if judged.resolution is None else findings.percent(judged.resolution),
    )


def _number(value: float | None) -> str:
    return "" if value is None else quantity(value, DIMENSIONLESS)


def _described(window: Window, series: NightSeries) -> str:
    """Say what the small chart shows."""
    values = [one.value for one in window.of(series.key)[-30:] if one and one.value is not None]
    if not values:
        return ""
    low, high = _number(min(values)), _number(max(values))
    return f"{counted(len(values), 'night')} between {low} and {high}"
