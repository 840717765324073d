"""Draws series of numbers over the same time, one panel below the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from orchestrator.report.safe import safe
from orchestrator.ui import axes
from orchestrator.ui.axes import Axis
from orchestrator.units import DIMENSIONLESS, SECONDS, quantity

_WIDTH, _HEIGHT = 900, 92
_LEFT, _RIGHT, _TOP, _GAP, _FOOT = 64, 12, 20, 12, 22
# Points that fit beside each other.
MOST_POINTS = 240


@dataclass(frozen=True, kw_only=True)
class Panel:
    """Points of one quantity: x is a time, y is in `unit`."""

    title: str
    unit: str
    points: tuple[tuple[float, float], ...]

    def as_json(self) -> dict[str, Any]:
        """Return it for the script of the page."""
        x, y = zip(*self.points, strict=True)
        return {"title": self.title, "unit": self.unit, "x": x, "y": y}


def thinned(points: Sequence[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    """Return at most MOST_POINTS points; of neighbours the smallest and the largest stay."""
    if len(points) <= MOST_POINTS:
        return tuple(points)
    found: list[tuple[float, float]] = []
    size = 2 * len(points) / MOST_POINTS
    for number in range(MOST_POINTS // 2):
        part = points[round(number * size) : round((number + 1) * size)]
        ends = {min(part, key=lambda point: point[1]), max(part, key=lambda point: point[1])}
        found += sorted(ends)
    return tuple(found)


def drawn(panels: Sequence[Panel], label: str, unit: str = SECONDS) -> Markup:
    """Draw panels, which all have points; "" if there are none. `unit` is that of the times."""
    if not panels:
        return Markup("")
    height = len(panels) * (_HEIGHT + _GAP) + _FOOT
    times = [x for panel in panels for x, _ in panel.points]
    x = axes.between(min(times), max(times), _LEFT, _WIDTH - _RIGHT, steps=8)
    body = "".join(
        part
        for number, panel in enumerate(panels)
        for part in _panel(panel, x, number * (_HEIGHT + _GAP))
    )
    foot = "".join(_times(x, len(panels) * (_HEIGHT + _GAP), unit))
    return Markup(
        f'<svg class=chart viewBox="0 0 {_WIDTH} {height}" role=img aria-label="{safe(label)}">'
        f"{body}{foot}</svg>"
    )


def _panel(panel: Panel, x: Axis, top: int) -> Iterator[str]:
    values = [value for _, value in panel.points]
    low, high = min(values), max(values)
    pad = 0.1 * (high - low) or 0.05 * abs(high) or 1.0
    y = axes.between(low - pad, high + pad, top + _HEIGHT, top + _TOP, steps=2)
    title = safe(f"{panel.title} ({panel.unit})")
    yield f"<text class=t x={_LEFT} y={top + 12}>{title}</text>"
    for value in y.labels:
        here = round(y.at(value))
        yield f'<path class=g d="M{_LEFT} {here}H{_WIDTH - _RIGHT}"/>'
        yield f"<text class=e x={_LEFT - 8} y={here + 4}>{short(value)}</text>"
    path = " ".join(f"{x.at(time):.1f} {y.at(value):.1f}" for time, value in panel.points)
    yield f'<path class=l d="M{path}"/>'


def _times(x: Axis, top: int, unit: str) -> Iterator[str]:
    for value in x.labels:
        yield f"<text class=m x={round(x.at(value))} y={top + 8}>{value:g} {unit}</text>"


def short(value: float) -> str:
    """Format a round number without the zeros behind its point."""
    text = quantity(value, DIMENSIONLESS)
    return text.rstrip("0").rstrip(".") if "." in text else text
