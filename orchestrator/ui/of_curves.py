"""Makes a chart of lines of stored runs: their labels and units, and what each point says."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.results.curves import Curve, Point
from orchestrator.results.pivot import TITLES, Pivot
from orchestrator.results.scaling import Measure
from orchestrator.ui.chart import Chart, Line, Mark
from orchestrator.units import DIMENSIONLESS, PERCENT, SAMPLES_PER_SECOND, SECONDS, quantity

_X = {
    "batch": "batch per device (samples)",
    "devices": "devices",
    "global_batch": "batch of all devices (samples)",
}
# Name, unit on the axis, and what a value is multiplied by for it.
_Y: dict[Measure, tuple[str, str, float]] = {
    "throughput": ("throughput", SAMPLES_PER_SECOND, 1),
    "time": ("time of a step", "ms", 1000),
    "speedup": ("speed-up", "times", 1),
    "efficiency": ("efficiency", PERCENT, 100),
}


def chart(found: Pivot, lines: Sequence[Curve], x: str, y: Measure, series: Sequence[str]) -> Chart:
    """Return the chart of `curves.curves(found, y, series)` over x."""
    name, unit, _ = _Y[y]
    rest = {key: value for key, value in found.constant().items() if key not in series}
    model = rest.pop("model", None)
    of_what = f" of {model}" if model else ""
    first = f" over {TITLES.get(x, x)} {found.columns[0]}" if y == "speedup" else ""
    what = {"batch": "per device"}
    common = (f"{TITLES.get(key, key)} {value} {what.get(key, '')}" for key, value in rest.items())
    return Chart(
        title=f"{name.capitalize()}{of_what} by {TITLES.get(x, x)}",
        subtitle=", ".join(text.strip() for text in common),
        x_title=_X[x],
        y_title=f"{name}{first} ({unit})",
        lines=tuple(_line(line, x, y, series) for line in lines),
    )


def _line(line: Curve, x: str, y: Measure, series: Sequence[str]) -> Line:
    numbers = ("batch", "devices", "global_batch")
    label = ", ".join(
        f"{TITLES.get(key, key)} {value}" if key in numbers else str(value)
        for key, value in zip(series, line.names, strict=True)
    )
    return Line(label=label, marks=tuple(_mark(point, x, y) for point in line.points))


def _mark(point: Point, x: str, y: Measure) -> Mark:
    scale = _Y[y][2]
    text = f"{TITLES.get(x, x)} {point.x}: {_written(y, point.y)}"
    if point.low is not None and point.high is not None:
        text += (
            f" (median of {point.runs} runs, {_written(y, point.low)} to {_written(y, point.high)})"
        )
    ends = [None if end is None else end * scale for end in (point.low, point.high)]
    return Mark(x=point.x, y=point.y * scale, text=text, low=ends[0], high=ends[1])


def _written(y: Measure, value: float) -> str:
    match y:
        case "throughput":
            return quantity(value, SAMPLES_PER_SECOND)
        case "time":
            return quantity(value, SECONDS)
        case "speedup":
            return f"{quantity(value, DIMENSIONLESS)} times"
        case "efficiency":
            return quantity(value * 100, PERCENT)
