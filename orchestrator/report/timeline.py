"""Draws which runs a night had, and when: one bar per run, in as few lanes as they need."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from markupsafe import Markup

from orchestrator.report.safe import safe
from orchestrator.ui import axes
from orchestrator.ui.axes import Axis

_WIDTH, _LANE, _GAP = 900, 18, 4
_LEFT, _RIGHT, _FOOT = 16, 16, 24
_MINUTE = 60.0
_LABELS = 12
# Minutes between two labels.
_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 240, 720, 1440)
# Runs one after the other overlap by parts of a second, because benchdock tidies up meanwhile.
_TOUCHING = 2.0


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A run: when it started and how long it took, in seconds; `style` names its colour."""

    started: float
    seconds: float
    text: str
    style: str = ""


def timeline(bars: Iterable[Bar], label: str) -> Markup:
    """Draw the bars; "" if there are none."""
    ordered = sorted(bars, key=lambda bar: bar.started)
    if not ordered:
        return Markup("")
    lanes = _lanes(ordered)
    end = max(bar.started + bar.seconds for bar in ordered)
    x = axes.between(ordered[0].started, max(end, ordered[0].started + 1), _LEFT, _WIDTH - _RIGHT)
    bottom = len(lanes) * (_LANE + _GAP)
    body = "".join(
        f'<g class=bars transform="translate(0 {number * (_LANE + _GAP)})">'
        f"{''.join(_bar(bar, x) for bar in lane)}</g>"
        for number, lane in enumerate(lanes)
    )
    return Markup(
        f'<svg class=chart viewBox="0 0 {_WIDTH} {bottom + _FOOT}" role=img '
        f'aria-label="{safe(label)}">{body}{"".join(_clock(x, bottom))}</svg>'
    )


def _lanes(ordered: Sequence[Bar]) -> list[list[Bar]]:
    """Put each bar into the first lane that is free when it starts."""
    lanes: list[list[Bar]] = []
    for bar in ordered:
        for lane in lanes:
            if lane[-1].started + lane[-1].seconds <= bar.started + _TOUCHING:
                lane.append(bar)
                break
        else:
            lanes.append([bar])
    return lanes


def _bar(bar: Bar, x: Axis) -> str:
    left = x.at(bar.started)
    width = max(1.0, x.at(bar.started + bar.seconds) - left)
    style = f" class={bar.style}" if bar.style else ""
    return (
        f"<rect{style} x={left:.1f} width={width:.1f} height={_LANE}>"
        f"<title>{safe(bar.text)}</title></rect>"
    )


def _clock(x: Axis, bottom: int) -> Iterator[str]:
    """Label round times of the day; fewer of them in a long night."""
    least = (x.high - x.low) / _MINUTE / _LABELS
    every = _MINUTE * next((step for step in _STEPS if step >= least), _STEPS[-1])
    offset = datetime.fromtimestamp(x.low).astimezone().utcoffset()
    shift = offset.total_seconds() if offset else 0.0
    first = -(-(x.low + shift) // every) * every - shift
    moment = first
    while moment <= x.high:
        here = round(x.at(moment))
        yield f'<path class=g d="M{here} {bottom}v5"/>'
        text = f"{datetime.fromtimestamp(moment):%H:%M}"
        yield f"<text class=m x={here} y={bottom + 18}>{text}</text>"
        moment += every
