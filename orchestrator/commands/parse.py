"""`benchdock parse [PROGRAM] LOG`: a result from a log alone."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from orchestrator.errors import ExitStatus, RequestError
from orchestrator.parsers import PROGRAMS, ParseHints, blocks, parse, parse_any
from orchestrator.parsers.places import last_line_with
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
        notes=measurement.notes,
    )


# What people type in the hope that the program is found.
_ANY_PROGRAM = ("auto", "any", "detect", "guess")

_END_EVENT = '::benchdock {"event": "end"'

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


def explanation(program: dict[str, Any], *, failed: bool = False) -> Iterator[str]:
    """Yield what tells how the number came about: estimator, windows and lines of the log.

    Of a log without a number these are the lines that tell why.
    """
    chosen = bool(program.get("evidence")) or "blocks" not in program
    for index, block in enumerate([program] if chosen else program["blocks"], start=1):
        if not chosen:
            yield f"block {index}: {block['problem']}".rstrip() + "\n"
        evidence = block.get("evidence", [])
        if evidence and not (failed if chosen else block["problem"]):
            how, scope = _ESTIMATORS[block["estimator"]], _SCOPES[block["scope"]]
            yield f"the program's figure is {how}, of {scope}\n"
        yield from _removed(block)
        windows = block.get("windows")
        if windows:
            yield f"windows: {_windows(windows)}\n"
        for number, text in evidence:
            yield f"line {number}: {clean(str(text))}\n"


def _deciding_line(log: str, result: Result) -> Iterator[str]:
    """Yield the line that decided when the parser keeps no numbers of lines.

    That is the last one that says why a program died, or the end event of our own programs. It is
    looked for in the log, which standard input no longer holds.
    """
    shown = {str(text) for _, text in result.program.get("evidence", [])}
    text = result.failure.evidence if result.failure else _END_EVENT
    if text and log != "-" and text not in shown and not (shown and not result.failure):
        found = last_line_with(text, blocks(Path(log)))
        if found is not None:
            yield f"line {found[0]}: {clean(found[1])}\n"


def _removed(program: dict[str, Any]) -> Iterator[str]:
    """Say what was removed before the lines that are shown, in all of them."""
    if names := program.get("prefixes"):
        yield f"removed before each line: the prefix of {', then of '.join(names)}\n"


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


def _measured(arguments: argparse.Namespace, hints: ParseHints) -> Measurement:
    """Read the log, as that of the program named if one is. Raises RequestError."""
    source = sys.stdin.buffer if arguments.log == "-" else Path(arguments.log)
    program = arguments.program
    if program is None and arguments.pattern is not None:
        program = CUSTOM  # only that takes a pattern
    if program is not None:
        return parse(program, source, hints=hints)
    if arguments.log in PROGRAMS and not os.path.exists(arguments.log):
        raise RequestError(
            f"{arguments.log} is a program, and there is no log to read",
            hint=f"type `benchdock parse {arguments.log} LOG`",
        )
    found = parse_any(source, hints=hints)
    return found.model_copy(update={"begin": {**found.begin, "known_as": found.program}})


def _found(program: dict[str, Any]) -> Iterator[str]:
    """Yield which program wrote the log, if that was to be found."""
    if "known_as" in program:
        number, text = program["known_by"]
        yield f"a log of {program['known_as']}, by its line {number}: {clean(str(text))}\n"


def _check_program(arguments: argparse.Namespace) -> None:
    """Refuse a word for "any program": that is said by none. Raises RequestError."""
    if arguments.program in _ANY_PROGRAM:
        raise RequestError(
            f"there is no program {arguments.program!r}",
            hint=f"type `benchdock parse {arguments.log}`: the program is found by itself",
        )


def _check_reading(arguments: argparse.Namespace) -> None:
    """Refuse what tells how any program is read when a program is known. Raises RequestError."""
    if arguments.program == CUSTOM or (arguments.program is None and arguments.pattern is not None):
        return
    for option in ("pattern", "unit", "estimator"):
        if getattr(arguments, option) is not None:
            raise RequestError(
                f"--{option} is only for the program {CUSTOM}",
                hint=f"remove it, or use `benchdock parse {CUSTOM} {arguments.log} --pattern ...`",
            )


def execute(arguments: argparse.Namespace) -> ExitStatus:
    """Parse a log and print its result. Raises RequestError."""
    _check_program(arguments)
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
    result = as_result(_measured(arguments, hints))
    if arguments.json:
        sys.stdout.write(to_json(result))
    else:
        sys.stdout.writelines(_found(result.program))
        print("\n".join(result_lines(result)))
        if arguments.explain:
            sys.stdout.writelines(explanation(result.program, failed=bool(result.failure)))
            sys.stdout.writelines(_deciding_line(arguments.log, result))
    return ExitStatus.BENCHMARK_FAILED if result.failure else ExitStatus.OK
