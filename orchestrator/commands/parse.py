"""`benchdock parse PROGRAM LOG`: a result from a log alone."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from orchestrator.errors import ExitStatus, RequestError
from orchestrator.parsers import ParseHints, parse
from orchestrator.result import Measurement, Result
from orchestrator.run.demands import CUSTOM
from orchestrator.run.filing import to_json
from orchestrator.ui.plain import result_lines
from orchestrator.ui.text import clean
from orchestrator.version import VERSION


def as_result(measurement: Measurement) -> Result:
    """Return what a log tells as a result: no request, no plan, no machine."""
    return Result(
        benchdock=VERSION,
        status="failed" if measurement.failure else "ok",
        failure=measurement.failure,
        fingerprint=measurement.fingerprint,
        metrics=measurement.metrics,
        steps=measurement.steps,
        program=measurement.begin,
        warnings=measurement.warnings,
    )


# How a program comes to its figure, and of what it is: `estimator` and `scope` in words.
_ESTIMATORS = {
    "total": "all samples over the time of all timed steps",
    "mean_of_rates": "the mean of the windows' rates",
    "harmonic_mean": "the harmonic mean of the windows' rates, which is samples over time",
    "running_mean": "the mean since its start",
    "single_steps": "the harmonic mean of the rates of the steps that it printed",
    "window": "the last window alone",
    "median": "a batch over the median step time",
    "mean_time": "a batch over the mean step time",
    "unknown": "computed in a way that is not known",
}
_SCOPES = {"all_devices": "all devices", "device": "one device", "rank": "one process of several"}


def explanation(program: dict[str, Any]) -> Iterator[str]:
    """Yield what tells how the number came about: estimator, windows and lines of the log."""
    chosen = bool(program.get("evidence")) or "blocks" not in program
    for index, block in enumerate([program] if chosen else program["blocks"], start=1):
        if not chosen:
            yield f"block {index}:\n"
        evidence = block.get("evidence", [])
        if evidence:
            how, scope = _ESTIMATORS[block["estimator"]], _SCOPES[block["scope"]]
            yield f"the program's figure is {how}, of {scope}\n"
        windows = block.get("windows")
        if windows:
            yield f"windows: {_windows(windows)}\n"
        for number, text in evidence:
            yield f"line {number}: {clean(str(text))}\n"


def _windows(windows: dict[str, Any]) -> str:
    """Say how many windows were used, and which not and why."""
    dropped = [
        f"the {place} {count}"
        for place, count in (
            ("first", windows["dropped_first"]),
            ("last", windows["dropped_last"]),
        )
        if count
    ]
    used = f"{windows['used']} of {windows['count']} are used"
    if dropped:
        used += f", without {' and '.join(dropped)}"
    return f"{used} ({windows['why']})" if windows["why"] else used


def _check_reading(arguments: argparse.Namespace) -> None:
    """Refuse what tells how any program is read where a program is known. Raises RequestError."""
    for option in ("pattern", "unit", "estimator"):
        if arguments.program != CUSTOM and getattr(arguments, option) is not None:
            raise RequestError(
                f"--{option} is for the program {CUSTOM} alone",
                hint=f"leave it away, or use `benchdock parse {CUSTOM}`",
            )


def execute(arguments: argparse.Namespace) -> ExitStatus:
    """Parse a log and print its result. Raises RequestError."""
    _check_reading(arguments)
    hints = ParseHints(
        batch=arguments.batch,
        devices=arguments.devices,
        block=arguments.block,
        phase=arguments.phase,
        pattern=arguments.pattern,
        unit=arguments.unit,
        estimator=arguments.estimator,
    )
    source = sys.stdin.buffer if arguments.log == "-" else Path(arguments.log)
    result = as_result(parse(arguments.program, source, hints=hints))
    if arguments.json:
        sys.stdout.write(to_json(result))
    else:
        print("\n".join(result_lines(result)))
        if arguments.explain:
            sys.stdout.writelines(explanation(result.program))
    return ExitStatus.BENCHMARK_FAILED if result.failure else ExitStatus.OK
