"""Draws the nights of a series: its band, its runs, and what happened, as small as they can be.

A report has one of these per series, so coordinates are whole numbers and relative, and runs are
the markers of a path. Colours are those of the page's style sheet.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

from markupsafe import Markup

from orchestrator.report.panels import short
from orchestrator.report.safe import safe
from orchestrator.report.status import STATUSES
from orchestrator.report.window import Mark, Point
from orchestrator.stats import percentile
from orchestrator.ui import axes
from orchestrator.ui.axes import Axis
from orchestrator.units import SAMPLES_PER_SECOND

WIDTH, HEIGHT = 900, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 12, 22, 24
_PAD = 0.06
# Runs beyond these shares of all runs may be outside: one bad run must not flatten the rest.
_LOW, _HIGH = 2.0, 98.0
_FEWEST_MONTHS, _MOST_MONTHS = 2, 10
_NOT_SHOWN = ("ok", "no data")
_SPARK_WIDTH, _SPARK_HEIGHT, _SPARK_NIGHTS = 120, 26, 30
_LEAST_SPAN = 0.03

Points = Sequence[Point | None]


def sparkline(points: Points, label: str) -> Markup:
    """Draw the last nights as a line in its band, with tonight as a dot."""
    shown = points[-_SPARK_NIGHTS:]
    values = [point.value for point in shown if point and point.value is not None]
    if not values:
        return Markup("")
    last = next(point for point in reversed(points) if point is not None)
    y = _spark_axis(values, last)
    step = (_SPARK_WIDTH - 8) / max(1, len(shown) - 1)
    places = [
        (round(4 + step * n), _pixel(y, point.value))
        for n, point in enumerate(shown)
        if point and point.value is not None
    ]
    band = ""
    if last.baseline is not None and last.limit is not None:
        top = _pixel(y, last.baseline * (1 + last.limit))
        bottom = _pixel(y, last.baseline * (1 - last.limit))
        band = f'<path class=b d="M0 {top}H{_SPARK_WIDTH}V{bottom}H0z"/>'
    dot = ""
    if last.value is not None:
        style = STATUSES[last.kind].style
        dot = f'<circle class="{style}" cx={places[-1][0]} cy={places[-1][1]} r=3 />'
    return Markup(
        f'<svg class=s viewBox="0 0 {_SPARK_WIDTH} {_SPARK_HEIGHT}" role=img '
        f'aria-label="{safe(label)}">{band}<path d="{_path(places)}"/>{dot}</svg>'
    )


def _spark_axis(values: Sequence[float], last: Point) -> Axis:
    center = last.baseline or values[-1]
    most = max(abs(value / center - 1) for value in values)
    half = center * max(_LEAST_SPAN, 1.1 * most, 1.2 * (last.limit or 0))
    return axes.between(center - half, center + half, _SPARK_HEIGHT, 0)


def _pixel(axis: Axis, value: float) -> int:
    """Return the pixel of a value, at most at the end of the axis."""
    low, high = sorted((axis.start, axis.end))
    return round(min(high, max(low, axis.at(value))))


def _path(places: Sequence[tuple[int, int]]) -> str:
    """Return the data of a path through places, relative, as short as it can be."""
    if not places:
        return ""
    parts, before = [f"M{places[0][0]} {places[0][1]}"], places[0]
    for number, place in enumerate(places[1:]):
        parts.append(("l" if number == 0 else " ") + _moved(before, place))
        before = place
    return "".join(parts).replace(" -", "-")


def _moved(before: tuple[int, int], place: tuple[int, int]) -> str:
    return f"{place[0] - before[0]} {place[1] - before[1]}"


@dataclass(frozen=True, kw_only=True)
class _Scale:
    """Where nights and values are."""

    x: Axis
    y: Axis

    def at(self, night: int, value: float) -> tuple[int, int]:
        return round(self.x.at(night)), _pixel(self.y, value)


def series_chart(
    points: Points, nights: Sequence[date], marks: Sequence[Mark], label: str
) -> Markup:
    """Draw all nights of a series; "" if none has a value."""
    known = [(n, point) for n, point in enumerate(points) if point and point.value is not None]
    if not known:
        return Markup("")
    scale = _Scale(
        x=axes.between(0, max(1, len(points) - 1), _LEFT + 6, WIDTH - _RIGHT - 6),
        y=_y_axis([point for _, point in known]),
    )
    parts = [
        f'<svg class=chart viewBox="0 0 {WIDTH} {HEIGHT}" role=img aria-label="{safe(label)}">',
        *_grid(scale, nights),
        *_band(scale, known),
        *_runs(scale, points),
        *_line(scale, known),
        *_bad(scale, known),
        *_marks(scale, marks),
        "</svg>",
    ]
    return Markup("".join(parts))


def _y_axis(points: Sequence[Point]) -> Axis:
    ends = [point.value for point in points if point.value is not None]
    for point in points:
        if point.baseline is not None and point.limit is not None:
            ends += (point.baseline * (1 - point.limit), point.baseline * (1 + point.limit))
    runs = sorted(run for point in points for run in point.runs)
    if runs:
        ends += (percentile(runs, _LOW), percentile(runs, _HIGH))
    low, high = min(ends), max(ends)
    pad = _PAD * (high - low) or _PAD * high
    return axes.between(low - pad, high + pad, HEIGHT - _BOTTOM, _TOP)


def _grid(scale: _Scale, nights: Sequence[date]) -> Iterator[str]:
    right = WIDTH - _RIGHT
    yield f"<text x={_LEFT} y=14>{SAMPLES_PER_SECOND}</text>"
    for value in scale.y.labels:
        here = round(scale.y.at(value))
        yield f'<path class=g d="M{_LEFT} {here}H{right}"/>'
        yield f"<text class=e x={_LEFT - 8} y={here + 4}>{short(value)}</text>"
    bottom = HEIGHT - _BOTTOM
    for index, text in _days(nights):
        here = round(scale.x.at(index))
        yield f'<path class=g d="M{here} {bottom}v5"/>'
        inside = "m" if here < WIDTH - 2 * _RIGHT else "e"
        yield f"<text class={inside} x={here} y={bottom + 18}>{text}</text>"


def _days(nights: Sequence[date]) -> list[tuple[int, str]]:
    """Return the nights that get a label: the first ones of months, or the ends of a short time."""
    months = [n for n in range(1, len(nights)) if nights[n].month != nights[n - 1].month]
    if len(months) < _FEWEST_MONTHS:
        return [(n, f"{nights[n].day} {nights[n]:%b}") for n in sorted({0, len(nights) - 1})]
    return [(n, f"{nights[n]:%b %Y}") for n in months[:: 1 + len(months) // _MOST_MONTHS]]


def _band(scale: _Scale, known: Sequence[tuple[int, Point]]) -> Iterator[str]:
    """Draw what counts as unchanged."""
    edges = [
        (n, point.baseline, point.limit)
        for n, point in known
        if point.baseline is not None and point.limit is not None
    ]
    if not edges:
        return
    upper = [scale.at(n, baseline * (1 + limit)) for n, baseline, limit in edges]
    lower = [scale.at(n, baseline * (1 - limit)) for n, baseline, limit in reversed(edges)]
    yield f'<path class=b d="{_path([*_straight(upper), *_straight(lower)])}z"/>'
    middle = [scale.at(n, baseline) for n, baseline, _ in edges]
    yield f'<path class=c d="{_path(_straight(middle))}"/>'


def _straight(places: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Leave out places that are within a pixel of a level line."""
    kept: list[tuple[int, int]] = []
    for n, place in enumerate(places):
        if not kept or n == len(places) - 1 or abs(place[1] - kept[-1][1]) > 1:
            if kept and kept[-1] != places[n - 1]:
                kept.append((places[n - 1][0], kept[-1][1]))
            kept.append(place)
    return kept


def _runs(scale: _Scale, points: Points) -> Iterator[str]:
    """Draw each run as a dot: the markers of a path without a line are the shortest way.

    The path is in tenths of pixels from the corner of the plot, so that the script of the page can
    read from it what each run was; `data-y` says which values the plot's lower and upper edge are.
    Runs outside of the plot are cut off.
    """
    data: list[str] = []
    before = (0, 0)
    for n, point in enumerate(points):
        if point is None or not point.runs:
            continue
        places = [_fine(scale, n, run) for run in point.runs]
        down = [b - a for (_, a), (_, b) in pairwise(places)]
        start = f"M{places[0][0]} {places[0][1]}" if not data else f"l{_moved(before, places[0])}"
        data.append(start + ("v" + " ".join(map(str, down)) if down else ""))
        before = places[-1]
    if data:
        width, height = WIDTH - _LEFT - _RIGHT, HEIGHT - _TOP - _BOTTOM
        box = f'viewBox="0 0 {10 * width} {10 * height}"'
        ends = f"{scale.y.low:.6g} {scale.y.high:.6g}"
        path = "".join(data).replace(" -", "-")
        yield (
            f"<svg x={_LEFT} y={_TOP} width={width} height={height} {box}>"
            f'<path class=r data-y="{ends}" d="{path}"/></svg>'
        )


def _fine(scale: _Scale, night: int, value: float) -> tuple[int, int]:
    """Return a place in tenths of pixels from the corner of the plot."""
    return round(10 * (scale.x.at(night) - _LEFT)), round(10 * (scale.y.at(value) - _TOP))


def outside(points: Points) -> int:
    """Return how many runs the chart cuts off."""
    known = [point for point in points if point and point.value is not None]
    if not known:
        return 0
    y = _y_axis(known)
    return sum(
        not y.low <= run <= y.high for point in points if point is not None for run in point.runs
    )


def _line(scale: _Scale, known: Sequence[tuple[int, Point]]) -> Iterator[str]:
    """Draw the nights; a line does not bridge missing ones."""
    pieces: list[list[tuple[int, int]]] = []
    before = -2
    for n, point in known:
        if n != before + 1:
            pieces.append([])
        before = n
        if point.value is not None:
            pieces[-1].append(scale.at(n, point.value))
    data = "".join(_path(piece) + ("h0" if len(piece) == 1 else "") for piece in pieces)
    yield f'<path class=l d="{data}"/>'


def _bad(scale: _Scale, known: Sequence[tuple[int, Point]]) -> Iterator[str]:
    """Draw the symbol of each night that is not ok."""
    for n, point in known:
        if point.kind in _NOT_SHOWN or point.value is None:
            continue
        x, y = scale.at(n, point.value)
        status = STATUSES[point.kind]
        yield f'<text class="k {status.style}" x={x} y={y + 5}>{status.symbol}</text>'


def _marks(scale: _Scale, marks: Sequence[Mark]) -> Iterator[str]:
    """Draw a line with a letter before each night with a mark; nights with several share one."""
    for letter, index in letters(marks).items():
        x = round(scale.x.at(max(0.0, index - 0.5)))
        yield f'<path class=v d="M{x} {_TOP - 4}V{HEIGHT - _BOTTOM}"/>'
        yield f"<text class=a x={x} y={_TOP - 8}>{letter}</text>"


def letters(marks: Sequence[Mark]) -> dict[str, int]:
    """Return a letter for each night with a mark."""
    nights = list(dict.fromkeys(mark.index for mark in marks))
    return {_letter(number): index for number, index in enumerate(nights)}


def _letter(number: int) -> str:
    """Return A to Z, then AA and so on."""
    rest, last = divmod(number, 26)
    return (_letter(rest - 1) if rest else "") + chr(ord("A") + last)
