"""The page of the machine: its controls, what it was like, what failed, and what ran when."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from orchestrator.nights.record import Night, NightSeries
from orchestrator.nights.telling import machine
from orchestrator.report import conditions, findings, node_tables
from orchestrator.report.panels import Panel, drawn
from orchestrator.report.series_chart import series_chart
from orchestrator.report.series_page import listed
from orchestrator.report.status import STATUSES, kind
from orchestrator.report.stored import Stored
from orchestrator.report.tables import Table
from orchestrator.report.timeline import Bar, timeline
from orchestrator.report.window import Line, Window
from orchestrator.store import rows
from orchestrator.units import SECONDS, counted, quantity

_SHOWN_NIGHTS = 14
_NAMED = 3
# A night is shorter; anything else comes from a damaged file.
_LONGEST = 7 * 86400.0


def context(window: Window, stored: Stored) -> dict[str, Any]:
    """Return what the template needs."""
    night = window.tonight
    seen = list(conditions.conditions(night))
    hot = conditions.temperatures(seen)
    return {
        "sentence": machine(night) or "no control series watches the machine",
        "facts": [("machine", night.machine), *sorted(night.facts.items())],
        "controls": [_control(window, one) for one in night.series if one.control],
        "gpus": conditions.gpus(seen),
        "temperature": drawn(
            [Panel(title="hottest GPU of each run", unit="°C", points=_since(night, hot))],
            f"temperature in {counted(len(hot), 'run')}",
            "h",
        )
        if hot
        else "",
        "checked": node_tables.checked(),
        "elsewhere": node_tables.elsewhere(night, stored),
        "failures": _failures(night),
        "timeline": timeline(_bars(night), f"the runs of {night.night} over the time of day"),
        "length": quantity(max(0.0, night.finished - night.started), SECONDS),
        "nights": _nights(window),
    }


def _since(
    night: Night, points: tuple[tuple[float, float], ...]
) -> tuple[tuple[float, float], ...]:
    """Return points over the hours since the night started."""
    return tuple(((time - night.started) / 3600, value) for time, value in points)


def _control(window: Window, series: NightSeries) -> dict[str, Any]:
    nights = [line.night for line in window.lines]
    marks = window.marks(series.key)
    return {
        "key": series.key,
        "title": series.title,
        "status": STATUSES[kind(series)],
        "sentence": series.judgement.sentence,
        "marks": "; ".join(
            f"{one['letter']}: {one['label']} {one['before']} → {one['after']}"
            for one in listed(marks)
        ),
        "chart": series_chart(window.of(series.key), nights, marks, f"{series.title}: all nights"),
    }


def _bars(night: Night) -> Iterator[Bar]:
    for series in night.series:
        for run in series.runs:
            if not (math.isfinite(run.started) and 0 < run.seconds < _LONGEST):
                continue
            outcome = findings.throughput(run.throughput) or run.message or run.status
            style = "broken" if run.status == "failed" else "extra" if run.extra else ""
            more = ", more run" if run.extra else ""
            yield Bar(
                started=run.started,
                seconds=run.seconds,
                text=f"{series.title}: {outcome}{more}",
                style=style,
            )


def _failures(night: Night) -> Table | None:
    """Return the failures by what was said."""
    found: dict[str, list[str]] = {}
    for series in night.series:
        for run in series.runs:
            if run.status == "failed":
                found.setdefault(run.message or "no message", []).append(series.title)
    if not found:
        return None
    ordered = sorted(found.items(), key=lambda item: -len(item[1]))
    return Table(
        caption="Failed runs",
        titles=("why", "runs", "series"),
        rows=tuple((why, str(len(titles)), _some(titles)) for why, titles in ordered),
        right=(1,),
    )


def _some(titles: list[str]) -> str:
    different = list(dict.fromkeys(titles))
    more = len(different) - _NAMED
    return ", ".join(different[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _nights(window: Window) -> Table:
    changed: dict[int, list[str]] = {}
    for mark in window.machine_marks():
        changed.setdefault(mark.index, []).append(f"{mark.label} {mark.before} → {mark.after}")
    shown = list(enumerate(window.lines))[-_SHOWN_NIGHTS:]
    # What is said of every night needs no repetition.
    usual = (
        set.intersection(*(set(line.problems) for _, line in shown)) if len(shown) > 1 else set()
    )
    return Table(
        caption=f"The last {counted(len(shown), 'night')}",
        titles=("night", "took", "series", "not ok", "notes"),
        rows=tuple(_night(line, changed.get(index, []), usual) for index, line in reversed(shown)),
        right=(1, 2),
    )


def _night(line: Line, changed: list[str], usual: set[str]) -> tuple[str, ...]:
    bad = [
        f"{count} {STATUSES[name].word}"
        for name in STATUSES
        if name not in ("ok", "no data") and (count := line.kinds.get(name, 0))
    ]
    kept_out = [f"not compared with: {line.uncounted}"] if line.uncounted else []
    return (
        _began(line),
        quantity(max(0.0, line.finished - line.started), SECONDS),
        str(sum(line.kinds.values())),
        ", ".join(bad),
        "; ".join([*changed, *(one for one in line.problems if one not in usual), *kept_out]),
    )


def _began(line: Line) -> str:
    """Return when a night started: several may have started on one day."""
    moment = rows.moment(line.started)
    return f"{moment.astimezone():%Y-%m-%d %H:%M}" if moment else f"{line.night}"
