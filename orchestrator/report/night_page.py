"""The first page of a report: what is bad in one night, then a row per series."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from markupsafe import Markup

from orchestrator.nights.record import NightSeries
from orchestrator.record_files import may_exist
from orchestrator.report import run_folders, telling
from orchestrator.report.past import Past
from orchestrator.report.series_chart import sparkline
from orchestrator.report.status import STATUSES, Status, kind
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


def context(past: Past) -> dict[str, Any]:
    """Return what the template needs."""
    night = past.tonight
    return {
        "headline": telling.headline(night),
        "notes": night.problems,
        "findings": [_finding(one) for one in telling.findings(night)],
        "machine": [
            {"key": one.key, "title": one.title, "change": telling.signed(one.judgement.change)}
            for one in telling.by_machine(night)
        ],
        "advice": [telling.advice(one) for one in night.advice],
        "muted": [
            {"key": one.key, "title": one.title, "why": one.muted, "status": STATUSES[kind(one)]}
            for one in telling.muted(night)
        ],
        "groups": list(_groups(past)),
    }


def _finding(found: telling.Finding) -> Mapping[str, Any]:
    told = {name: getattr(found, name) for name in telling.Finding.__dataclass_fields__}
    return {**told, "links": list(_runs(found.series))}


def _runs(series: NightSeries) -> Iterator[tuple[str, str, str]]:
    """Yield name, label and address of the log of a few runs."""
    for run in run_folders.typical(series):
        folder = run_folders.found(run.result)
        value = telling.throughput(run.throughput) or run.status
        log = folder.log.as_uri() if folder and may_exist(folder.log) else ""
        yield run.result, value, log


def _groups(past: Past) -> Iterator[Group]:
    def place(one: NightSeries) -> tuple[bool, str]:
        return one.control, _CONTROLS if one.control else one.group or one.framework

    ordered = sorted(past.tonight.series, key=lambda one: (place(one), one.title))
    for (_, name), members in groupby(ordered, key=place):
        yield Group(name=name, rows=tuple(_row(past, one) for one in members))


def _row(past: Past, series: NightSeries) -> Row:
    judged = series.judgement
    value = _number(judged.value)
    return Row(
        key=series.key,
        title=series.title,
        spark=sparkline(past.of(series.key), _described(past, series)),
        value=value,
        change=telling.signed(judged.change),
        status=STATUSES[kind(series)],
        resolution="" if judged.resolution is None else telling.percent(judged.resolution),
    )


def _number(value: float | None) -> str:
    return "" if value is None else quantity(value, DIMENSIONLESS)


def _described(past: Past, series: NightSeries) -> str:
    """Say what the small chart shows."""
    values = [one.value for one in past.of(series.key)[-30:] if one and one.value is not None]
    if not values:
        return ""
    low, high = _number(min(values)), _number(max(values))
    return f"{counted(len(values), 'night')} between {low} and {high}"
