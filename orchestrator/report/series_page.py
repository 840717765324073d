"""The page of a series: its nights as a chart and as a table, and what happened to it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Any

from markupsafe import Markup

from orchestrator.nights.record import NightSeries
from orchestrator.report import telling
from orchestrator.report.past import Mark, Past, Point
from orchestrator.report.series_chart import letters, outside, series_chart
from orchestrator.report.status import STATUSES, kind
from orchestrator.units import SAMPLES_PER_SECOND, counted

_DIGEST = re.compile(r"sha256:([0-9a-f]{12})[0-9a-f]{52}", re.ASCII)
_DIGITS = 5


def context(past: Past, series: NightSeries) -> dict[str, Any]:
    """Return what the template needs."""
    judged = series.judgement
    marks = past.marks(series.key)
    points = past.of(series.key)
    lost = kind(series) in ("regressed", "improved")
    return {
        "series": series,
        "status": STATUSES[kind(series)],
        "sentence": judged.sentence,
        "chart": series_chart(
            points, [line.night for line in past.lines], marks, _label(past, series)
        ),
        "marks": list(_marks(marks)),
        "advice": [
            telling.advice(one)
            for one in past.tonight.advice
            if one.subject == series.title or one.subject.endswith(f" {series.group}")
        ],
        "rows": list(_rows(series)),
        "accept": f"benchdock accept {shlex.quote(series.key)} --why '...'" if lost else "",
        "runs": [
            {
                "name": run.result,
                "value": telling.throughput(run.throughput).removesuffix(f" {SAMPLES_PER_SECOND}"),
                "outcome": ", ".join(
                    filter(
                        None,
                        (run.message or run.trust or run.status, "more run" if run.extra else ""),
                    )
                ),
            }
            for run in series.runs
        ],
        "limits": _limits(points),
        "outside": outside(points),
        "count": sum(point is not None for point in points),
        "nights": Markup("".join(_nights(past, series))),
    }


def _label(past: Past, series: NightSeries) -> str:
    bad = sum(
        point is not None and point.kind not in ("ok", "no data") for point in past.of(series.key)
    )
    return (
        f"{series.title}: throughput in {counted(len(past.lines), 'night')} up to "
        f"{past.tonight.night}, {bad} of them not ok; the table below has the numbers"
    )


def _marks(marks: list[Mark]) -> Iterator[dict[str, str]]:
    by_night = {index: letter for letter, index in letters(marks).items()}
    for mark in marks:
        yield {
            "letter": by_night[mark.index],
            "night": f"{mark.night}",
            "label": mark.label,
            "before": _short(mark.before),
            "after": _short(mark.after),
        }


def _short(text: str) -> str:
    """Shorten digests."""
    return _DIGEST.sub(r"sha256:\1", text)


def _rows(series: NightSeries) -> Iterator[tuple[str, str]]:
    judged = series.judgement
    if judged.change is not None:
        yield "throughput", telling.throughput(judged.value)
        yield (
            "baseline",
            f"{telling.throughput(judged.baseline)}, {counted(judged.nights, 'night')}",
        )
        between = telling.interval(judged, sum(run.throughput is not None for run in series.runs))
        yield "change", telling.signed(judged.change) + (f" (95 %: {between})" if between else "")
    for label, value in (
        ("limit", judged.limit),
        ("can show", judged.resolution),
        ("noise of runs", judged.run_noise),
        ("noise of nights", judged.night_noise),
    ):
        if value is not None:
            yield label, telling.percent(value)
    yield "series", series.key
    for label, text in sorted(series.facts.items()):
        yield label, _short(text)
    if series.muted is not None:
        yield "muted", series.muted


def _nights(past: Past, series: NightSeries) -> Iterator[str]:
    """Yield the rows of the table, newest first, as short as HTML allows."""
    points = past.of(series.key)
    month = ""
    for line, point in zip(reversed(past.lines), reversed(points), strict=True):
        if point is None:
            continue
        if f"{line.night:%Y-%m}" != month:
            month = f"{line.night:%Y-%m}"
            yield f"<tr><th scope=rowgroup colspan=4>{month}\n"
        yield f"<tr><td>{line.night:%d}{_cells(point)}\n"


def _cells(point: Point) -> str:
    status = STATUSES[point.kind]
    word = status.word if point.kind == "ok" else f"{status.symbol} {status.word}"
    value = "" if point.value is None else f"{point.value:.{_DIGITS}g}"
    change = "" if point.change is None else f"{point.change * 100:.2f}"
    return f"<td>{value}<td>{change}<td>{word}"


def _limits(points: tuple[Point | None, ...]) -> str:
    """Return where the limit changes, as the index of a night and percent; oldest first."""
    found: list[str] = []
    before = ""
    for index, point in enumerate(known for known in points if known is not None):
        if point.limit is None:
            continue
        limit = f"{point.limit * 100:.1f}"
        if limit != before:
            found.append(f"{index}:{limit}")
        before = limit
    return " ".join(found)
