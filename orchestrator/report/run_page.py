"""The page of a run: its numbers, step times beside the monitor, environment and log."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from typing import Any

from orchestrator import compressed
from orchestrator.errors import RequestError
from orchestrator.paths import RunFolder
from orchestrator.record_files import read_file
from orchestrator.report.panels import Panel, drawn, thinned
from orchestrator.result import Result
from orchestrator.ui.words import rows, title

_LAST_LINES = 60
_TAIL_BYTES = 64 * 1024
_LARGEST_MONITOR = 16 * 2**20
# What is drawn, with its title, its unit and what a value is multiplied by for it.
_HOST = {"cpu": ("CPU", "%", 100.0), "load": ("load", "processes", 1.0)}
_GPU = {
    "utilisation": ("utilisation", "%", 100.0),
    "sm_clock": ("clock", "MHz", 1.0),
    "temperature": ("temperature", "°C", 1.0),
    "power": ("power", "W", 1.0),
}


def context(folder: RunFolder) -> dict[str, Any]:
    """Return what the template needs. A result that cannot be read costs only its numbers."""
    told = {
        "name": folder.run_id,
        "log": list(_log_end(folder)),
        "log_address": (compressed.here(folder.log) or folder.log).as_uri(),
    }
    try:
        result = read_file(Result, folder.result)
    except RequestError as error:
        nothing = {"rows": [], "chart": "", "panels": "[]", "environment": []}
        return {**told, **nothing, "outcome": str(error)}
    panels = list(_panels(folder, result))
    return {
        **told,
        "outcome": title(result),
        "rows": rows(result),
        "chart": drawn(panels, f"step times and monitor of {folder.run_id}"),
        "panels": json.dumps([panel.as_json() for panel in panels]),
        "environment": list(_flat(result.environment.stated())),
    }


def _panels(folder: RunFolder, result: Result) -> Iterator[Panel]:
    # The GPUs' are written every five seconds, after later ones of the host.
    samples = sorted(_samples(folder), key=lambda sample: sample["t"])
    timing = next((s["t"] for s in samples if s.get("stage") == "timing"), 0.0)
    steps: list[tuple[float, float]] = []
    clock = float(timing)
    for part in result.steps:
        for seconds in part.seconds:
            if not math.isfinite(seconds):
                continue
            clock += seconds
            steps.append((round(clock, 3), round(seconds * 1000, 4)))
    if steps:
        yield Panel(title="time of a step", unit="ms", points=thinned(steps))
    gpus = sorted({name for sample in samples for name in sample if name.startswith("gpu")})
    for gpu in gpus:
        for name, (word, unit, scale) in _GPU.items():
            yield from _panel(f"{gpu} {word}", unit, samples, (gpu, name), scale)
    for name, (word, unit, scale) in _HOST.items():
        yield from _panel(word, unit, samples, (name,), scale)


def _panel(
    word: str, unit: str, samples: list[dict[str, Any]], path: tuple[str, ...], scale: float
) -> Iterator[Panel]:
    points = []
    for sample in samples:
        value: Any = sample
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        if isinstance(value, int | float) and math.isfinite(value):
            points.append((float(sample["t"]), round(value * scale, 2)))
    if points:
        yield Panel(title=word, unit=unit, points=thinned(points))


def _samples(folder: RunFolder) -> Iterator[dict[str, Any]]:
    """Yield the monitor's samples; lines that are torn or foreign are passed over."""
    try:
        with compressed.opened(folder.monitor) as stream:
            lines = stream.read(_LARGEST_MONITOR).splitlines()
    except OSError:
        return
    for line in lines:
        try:
            told = json.loads(line)
        except ValueError:
            continue
        time = told.get("t") if isinstance(told, dict) else None
        if isinstance(time, int | float) and math.isfinite(time):
            yield told


def _log_end(folder: RunFolder) -> Iterator[str]:
    try:
        with compressed.opened(folder.log) as stream:
            stream.seek(0, os.SEEK_END)
            stream.seek(max(0, stream.tell() - _TAIL_BYTES))
            lines = stream.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return
    yield from lines[-_LAST_LINES:]


def _flat(told: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    """Yield the facts of nested records with their paths."""
    for key, value in told.items():
        name = f"{before}{key}"
        if value is None or value == ():
            continue
        if hasattr(value, "stated"):
            yield from _flat(value.stated(), f"{name}.")
        elif isinstance(value, list | tuple):
            parts = {f"{name}.{n}": one for n, one in enumerate(value) if hasattr(one, "stated")}
            yield from _flat(parts) if parts else ((name, ", ".join(map(str, value))),)
        else:
            yield name, str(value)
