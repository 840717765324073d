"""Draws a chart with lines as SVG: the same bytes for the same chart, readable without colours.

Each line has a colour, a dash pattern and a marker of its own. The colours have a contrast of at
least 3:1 with the background, light or dark (WCAG 2.2, 1.4.11). A point says its value when the
mouse is over it, and the description says all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

from orchestrator.ui import axes
from orchestrator.ui.axes import Axis
from orchestrator.ui.text import clean
from orchestrator.units import DIMENSIONLESS, quantity

WIDTH, PLOT_HEIGHT = 720, 340
_LEFT, _RIGHT, _TOP = 84, 24, 52
_LEGEND_LINE = 22
_BETWEEN_BARS = 3  # pixels, so that none hides another
# Light and dark variants of Okabe and Ito's palette, which colour-blind people can tell apart.
LIGHT = ("#0072b2", "#b84a00", "#007a5a", "#a8447f", "#8a6200", "#3a78a0", "#555555", "#6b7a00")
DARK = ("#56b4e9", "#ff8a4c", "#2fc79b", "#e79cc6", "#f2c14e", "#9ecbff", "#cfcfcf", "#c5e86c")
BACKGROUNDS = ("#ffffff", "#1a1a1a")
_DASHES = ("", "7 3", "2 3", "9 3 2 3", "12 4", "4 2", "1 4", "6 2 1 2 1 2")
_R = 4.5


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A point with what it says; `low` and `high` are the ends of its bar."""

    x: int
    y: float
    text: str
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line of the chart, from left to right."""

    label: str
    marks: tuple[Mark, ...]


@dataclass(frozen=True, kw_only=True)
class Chart:
    """Lines over counts. The titles of the axes contain the units."""

    title: str
    subtitle: str
    x_title: str
    y_title: str
    lines: tuple[Line, ...]


def svg(chart: Chart, *, styled: bool = True) -> str:
    """Return the chart as an SVG document. It has at least one point, and at most 8 lines.

    `styled` is false if the page has the `rules`.
    """
    bottom = _TOP + PLOT_HEIGHT
    marks = [mark for line in chart.lines for mark in line.marks]
    x = axes.counts([mark.x for mark in marks], _LEFT + 16, WIDTH - _RIGHT - 16)
    top = max(mark.y if mark.high is None else mark.high for mark in marks)
    y = axes.from_zero(top, bottom, _TOP)
    height = bottom + 60 + _LEGEND_LINE * len(chart.lines)
    body = [
        f'<rect class="ground" width="{WIDTH}" height="{height}"/>',
        _text(_LEFT, 22, chart.title, kind="title"),
        _text(_LEFT, 40, chart.subtitle, kind="faint"),
        *_grid(x, y, chart, bottom),
        *(part for n in range(len(chart.lines)) for part in _line(n, chart.lines, x, y)),
        *_legend(chart.lines, bottom + 60),
    ]
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="benchdock-chart" role="img" '
        f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f"aria-label={quoteattr(clean(chart.title))}>"
    )
    lines = [head, _told("title", chart.title), _told("desc", _description(chart))]
    lines += [f"<style>{rules()}</style>", *body] if styled else body
    return "\n".join([*lines, "</svg>", ""])


def _told(element: str, text: str) -> str:
    return f"<{element}>{escape(clean(text))}</{element}>"


def _description(chart: Chart) -> str:
    lines = (
        f"{line.label}: {'; '.join(mark.text for mark in line.marks)}." for line in chart.lines
    )
    return f"{chart.subtitle}. {chart.y_title} over {chart.x_title}. {' '.join(lines)}"


def rules() -> str:
    """Return the style sheet, for this class only, because a page may contain the chart.

    There are no CSS variables in them: programs that convert SVG do not know those.
    """
    plain = [
        "{font-family:system-ui,sans-serif;font-size:13px}",
        " .title{font-size:16px;font-weight:600}",
        " .line{stroke-width:2}",
        *(f" .s{n}{{stroke-dasharray:{dash}}}" for n, dash in enumerate(_DASHES) if dash),
        " .mark{stroke-dasharray:none;stroke-width:1.5}",
    ]
    light = _colours(BACKGROUNDS[0], ("#1a1a1a", "#595959", "#d9d9d9"), LIGHT)
    dark = _colours(BACKGROUNDS[1], ("#f2f2f2", "#b3b3b3", "#444444"), DARK)
    every, night = (
        "".join(f".benchdock-chart{rule}" for rule in rules) for rules in ((*plain, *light), dark)
    )
    return f"{every}@media (prefers-color-scheme:dark){{{night}}}"


def _colours(ground: str, ink: tuple[str, str, str], palette: Sequence[str]) -> Iterator[str]:
    """Yield the rules of one scheme; `ink` is for text, faint text and the grid."""
    text, faint, grid = ink
    yield f" .ground{{fill:{ground}}}"
    yield f" text{{fill:{text}}}"
    yield f" .faint{{fill:{faint}}}"
    yield f" .grid{{stroke:{grid}}}"
    yield from (f" .s{n}{{stroke:{one};fill:{one}}}" for n, one in enumerate(palette))
    yield " .line{fill:none}"


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _text(x: float, y: float, text: str, *, kind: str = "", anchor: str = "") -> str:
    named = (f' class="{kind}"' if kind else "") + (f' text-anchor="{anchor}"' if anchor else "")
    return f'<text x="{_n(x)}" y="{_n(y)}"{named}>{escape(clean(text))}</text>'


def _grid(x: Axis, y: Axis, chart: Chart, bottom: float) -> Iterator[str]:
    for value in y.labels:
        here = y.at(value)
        yield (
            f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{_n(here)}" '
            f'y2="{_n(here)}"/>'
        )
        yield _text(_LEFT - 8, here + 4, _number(value), kind="faint", anchor="end")
    for value in x.labels:
        here = x.at(value)
        yield (
            f'<line class="grid" x1="{_n(here)}" x2="{_n(here)}" y1="{_n(bottom)}" '
            f'y2="{_n(bottom + 5)}"/>'
        )
        yield _text(here, bottom + 20, f"{value:,.0f}", kind="faint", anchor="middle")
    middle = (_LEFT + WIDTH - _RIGHT) / 2
    scale = " (logarithmic)" if x.logarithmic else ""
    yield _text(middle, bottom + 40, f"{chart.x_title}{scale}", anchor="middle")
    half = _TOP + PLOT_HEIGHT / 2
    yield (
        f'<text transform="translate(18 {_n(half)}) rotate(-90)" text-anchor="middle">'
        f"{escape(clean(chart.y_title))}</text>"
    )


def _number(value: float) -> str:
    """Format a round number without the zeros behind its point."""
    text = quantity(value, DIMENSIONLESS)
    return text.rstrip("0").rstrip(".") if "." in text else text


def _line(number: int, lines: Sequence[Line], x: Axis, y: Axis) -> Iterator[str]:
    line = lines[number]
    places = [(x.at(mark.x), y.at(mark.y)) for mark in line.marks]
    if len(places) > 1:
        path = " ".join(f"{_n(a)},{_n(b)}" for a, b in places)
        yield f'<polyline class="s{number} line" points="{path}"/>'
    beside = _BETWEEN_BARS * (number - (len(lines) - 1) / 2)
    for mark, (a, b) in zip(line.marks, places, strict=True):
        told = _told("title", f"{line.label}, {mark.text}")
        bar = ""
        if mark.low is not None and mark.high is not None:
            ends = f"M{_n(a + beside)},{_n(y.at(mark.low))}V{_n(y.at(mark.high))}"
            bar = f'<path class="line" d="{ends}"/>'
        yield f'<g class="s{number} mark">{told}{bar}{marker(number, a, b)}</g>'


def _legend(lines: Sequence[Line], top: float) -> Iterator[str]:
    for number, line in enumerate(lines):
        here = top + number * _LEGEND_LINE
        yield f'<path class="s{number} line" d="M{_LEFT},{_n(here)}h36"/>'
        yield f'<g class="s{number} mark">{marker(number, _LEFT + 18, here)}</g>'
        yield _text(_LEFT + 46, here + 4, line.label)


def marker(number: int, x: float, y: float) -> str:
    """Return the marker of a line, which no other line has."""
    r = _R
    if number == 0:
        return f'<circle cx="{_n(x)}" cy="{_n(y)}" r="{r}"/>'
    shapes = (
        f"m{-r},{-r}h{2 * r}v{2 * r}h{-2 * r}z",  # square
        f"m0,{-r - 1}l{r + 1},{2 * r}h{-2 * r - 2}z",  # triangle
        f"m0,{-r - 1}l{r + 1},{r + 1}l{-r - 1},{r + 1}l{-r - 1},{-r - 1}z",  # diamond
        f"m0,{r + 1}l{r + 1},{-2 * r}h{-2 * r - 2}z",  # triangle, point down
        f"m{-r - 1},0h{2 * r + 2}m{-r - 1},{-r - 1}v{2 * r + 2}",  # plus
        f"m{-r},{-r}l{2 * r},{2 * r}m0,{-2 * r}l{-2 * r},{2 * r}",  # cross
        f"m{-r - 1},{-r / 2}h{2 * r + 2}v{r}h{-2 * r - 2}z",  # flat bar
    )
    return f'<path d="M{_n(x)},{_n(y)}{shapes[number - 1]}"/>'
