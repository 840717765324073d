"""The page of a series: its nights as a chart and as a table, and what happened to it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from markupsafe import Markup

from orchestrator.nights import telling
from orchestrator.nights.past import counted as counted_runs
from orchestrator.nights.record import NightSeries
from orchestrator.report import findings
from orchestrator.report.series_chart import letters, outside, series_chart
from orchestrator.report.status import STATUSES, kind
from orchestrator.report.window import Line, Mark, Point, Window
from orchestrator.units import SAMPLES_PER_SECOND, counted

_DIGITS = 5
_NOT_RUN = "<td><td><td>not run"


def context(window: Window, series: NightSeries) -> dict[str, Any]:
    """Return what the template needs."""
    judged = series.judgement
    first = window.since(series.key)
    marks = [replace(mark, index=mark.index - first) for mark in window.marks(series.key)]
    points, lines = window.of(series.key)[first:], window.lines[first:]
    lost = kind(series) in ("regressed", "improved")
    return {
        "series": series,
        "status": STATUSES[kind(series)],
        "sentence": judged.sentence,
        "chart": series_chart(
            points, [line.night for line in lines], marks, _label(window, series)
        ),
        "marks": list(listed(marks)),
        "advice": findings.advice_on(window.tonight, series),
        "rows": list(_rows(series)),
        "accept": telling.accept_command(series.key) if lost else "",
        "runs": [
            {
                "name": run.result,
                "value": findings.throughput(run.throughput).removesuffix(f" {SAMPLES_PER_SECOND}"),
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
        "nights": Markup("".join(_nights(points, lines))),
    }


def _label(window: Window, series: NightSeries) -> str:
    bad = sum(
        point is not None and point.kind not in ("ok", "no data") for point in window.of(series.key)
    )
    return (
        f"{series.title}: throughput in {counted(len(window.lines), 'night')} up to "
        f"{window.tonight.night}, {bad} of them not ok; the table below has the numbers"
    )


def listed(marks: list[Mark]) -> Iterator[dict[str, str]]:
    """Yield the words of marks, each with its letter in the chart."""
    by_night = {index: letter for letter, index in letters(marks).items()}
    for mark in marks:
        yield {
            "index": f"{mark.index}",
            "letter": by_night[mark.index],
            "night": f"{mark.night}",
            "label": mark.label,
            "before": findings.short(mark.before),
            "after": findings.short(mark.after),
        }


def _rows(series: NightSeries) -> Iterator[tuple[str, str]]:
    judged = series.judgement
    if judged.change is not None:
        yield "throughput", findings.throughput(judged.value)
        yield (
            "baseline",
            f"{findings.throughput(judged.baseline)}, {counted(judged.nights, 'night')}",
        )
        between = findings.interval(judged, len(counted_runs(series)))
        yield "change", findings.signed(judged.change) + (f" (95 %: {between})" if between else "")
    for label, value in (
        ("limit", judged.limit),
        ("can show", judged.resolution),
        ("noise of runs", judged.run_noise),
        ("noise of nights", judged.night_noise),
    ):
        if value is not None:
            yield label, findings.percent(value)
    yield "series", series.key
    for label, text in sorted(series.facts.items()):
        yield label, findings.short(text)
    if series.muted is not None:
        yield "muted", series.muted


def _nights(points: Sequence[Point | None], lines: Sequence[Line]) -> Iterator[str]:
    """Yield the rows of the table, newest first, as short as HTML allows."""
    month = ""
    for line, point in zip(reversed(lines), reversed(points), strict=True):
        if f"{line.night:%Y-%m}" != month:
            month = f"{line.night:%Y-%m}"
            yield f"<tr><th scope=rowgroup colspan=4>{month}\n"
        yield f"<tr><td>{line.night:%d}{_cells(point) if point else _NOT_RUN}\n"


def _cells(point: Point) -> str:
    status = STATUSES[point.kind]
    word = status.word if point.kind == "ok" else f"{status.symbol} {status.word}"
    value = "" if point.value is None else f"{point.value:.{_DIGITS}g}"
    change = "" if point.change is None else f"{point.change * 100:.2f}"
    return f"<td>{value}<td>{change}<td>{word}"


def _limits(points: Sequence[Point | None]) -> str:
    """Return where the limit changes, as the index of a night and percent; oldest first."""
    found: list[str] = []
    before = ""
    for index, point in enumerate(points):
        if point is None or point.limit is None:
            continue
        limit = f"{point.limit * 100:.1f}"
        if limit != before:
            found.append(f"{index}:{limit}")
        before = limit
    return " ".join(found)
