"""`benchdock explain RUN...`: what limits a run on real data."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict

from orchestrator.errors import ExitStatus
from orchestrator.request import Measure
from orchestrator.results import limits
from orchestrator.results.limits import Limits, Part
from orchestrator.results.lookup import load
from orchestrator.ui.tables import print_table
from orchestrator.units import SECONDS, quantity, share

_LETTERS: Mapping[Measure, str] = {"compute": "C", "copy": "H", "input": "I", "end-to-end": "E"}


def execute(arguments: argparse.Namespace) -> ExitStatus:
    """Print what follows from the runs. Raises RequestError."""
    found = limits.explain([load(word).result for word in arguments.runs])
    if arguments.json:
        print(json.dumps({"schema": 1, **asdict(found)}, indent=2))
        return ExitStatus.OK
    rows = [
        _row(letter, name, part)
        for name, letter in _LETTERS.items()
        if (part := found.parts.get(name)) is not None
    ]
    if found.cold is not None:
        rows.append(_row("", "end-to-end, cold", found.cold))
    print_table(("", "measured", "per step", "95 % interval", "CPU time"), rows, right=(2,))
    print()
    for line in _lines(found):
        print(line)
    return ExitStatus.OK


def _row(letter: str, name: str, part: Part) -> tuple[str, ...]:
    span = "-"
    if part.low is not None and part.high is not None:
        span = f"{quantity(part.low, SECONDS)} to {quantity(part.high, SECONDS)}"
    cpu = quantity(part.cpu, SECONDS) if part.cpu is not None else "-"
    return letter, name, quantity(part.seconds, SECONDS), span, cpu


def _lines(found: Limits) -> Iterator[str]:
    noisy = dict.fromkeys(found.noise, ", within the noise")
    if found.copy is not None:
        yield f"copy (H - C): {quantity(found.copy, SECONDS)}{noisy.get('copy', '')}"
    held = "H" if found.copy is not None else "C"
    yield f"stall (E - {held}): {quantity(found.stall, SECONDS)}{noisy.get('stall', '')}"
    if found.fetch is not None:
        yield f"from the disk (cold - E): {quantity(found.fetch, SECONDS)}{noisy.get('fetch', '')}"
    yield f"not computing (1 - C/E): {share(found.idle)}{noisy.get('idle', '')}"
    yield f"overlap (max(H, I)/E, 100 % is perfect): {share(found.overlap)}"
    if found.wait is not None:
        yield f"waited for data in E: {share(found.wait)}"
    if found.least is not None and found.reading is not None:
        yield (
            f"least time of a step on {found.cores} cores: {quantity(found.least, SECONDS)}; "
            f"reading is {share(found.reading)} of the CPU time"
        )
    yield found.verdict
    for doubt in found.doubts:
        yield f"doubt: {doubt}"
