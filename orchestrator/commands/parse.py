"""`benchdock parse [PROGRAM] LOG`: read a result from a log, without a request, plan or machine."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from orchestrator.errors import ExitStatus, RequestError
from orchestrator.parsers import LOG_FORMATS, ParseHints, blocks, parse, parse_any
from orchestrator.parsers.places import last_line_with
from orchestrator.program_facts import ProgramFacts
from orchestrator.result import Measurement, Result
from orchestrator.results.parsed import as_result
from orchestrator.run.filing import to_json
from orchestrator.run.program_rules import CUSTOM
from orchestrator.ui.plain import result_lines
from orchestrator.ui.text import clean

# Words that people type for "detect the program".
_ANY_PROGRAM = ("auto", "any", "detect", "guess")

_END_EVENT = '::benchdock {"event": "end"'

# How the program computes its figure and what the figure covers: `estimator` and `scope` in words.
_ESTIMATORS = {
    "total": "all samples over the time of all timed steps",
    "mean_of_rates": "the mean of the window rates",
    "harmonic_mean": "the harmonic mean of the window rates, which is samples over time",
    "running_mean": "the mean since the start",
    "single_steps": "the harmonic mean of the rates of the printed steps",
    "window": "the last window only",
    "median": "a batch over the median step time",
    "mean_time": "a batch over the mean step time",
    "unknown": "computed in an unknown way",
}
_SCOPES = {"all_devices": "all devices", "device": "one device", "rank": "one process of several"}


def explanation(program: ProgramFacts, *, failed: bool = False) -> Iterator[str]:
    """Yield how the figure was obtained: estimator, windows and log lines.

    If the log has no figure, yield the lines that explain why.
    """
    blocks = () if program.evidence else map(ProgramFacts.model_validate, program.blocks or ())
    several = tuple(blocks)
    for index, block in enumerate(several or (program,), start=1):
        if several:
            yield f"block {index}: {block.problem}".rstrip() + "\n"
        evidence = block.evidence or ()
        if evidence and block.estimator and not (block.problem if several else failed):
            how, scope = _ESTIMATORS[block.estimator], _SCOPES[block.scope or ""]
            yield f"the program's figure is {how}, of {scope}\n"
        yield from _removed(block)
        if block.windows:
            yield f"windows: {_windows(block.windows)}\n"
        for number, text in evidence:
            yield f"line {number}: {clean(text)}\n"


def _deciding_line(log: str, result: Result) -> Iterator[str]:
    """Yield the deciding line if the parser keeps no line numbers.

    It is the last line that says why a program died, or the end event of our own programs. It is
    searched in the lines already read, because standard input cannot be read again.
    """
    shown = {text for _, text in result.program.evidence or ()}
    text = result.failure.evidence if result.failure else _END_EVENT
    if text and log != "-" and text not in shown and not (shown and not result.failure):
        found = last_line_with(text, blocks(Path(log)))
        if found is not None:
            yield f"line {found[0]}: {clean(found[1])}\n"


def _removed(program: ProgramFacts) -> Iterator[str]:
    """Say which prefixes were removed from the lines that are shown."""
    if program.prefixes:
        yield f"removed from each line: the prefix of {', then of '.join(program.prefixes)}\n"


def _windows(windows: dict[str, Any]) -> str:
    """Say how many windows were used, and why others were not."""
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
    """Parse the log, as that of the named program if there is one. Raises RequestError."""
    source = sys.stdin.buffer if arguments.log == "-" else Path(arguments.log)
    program = arguments.program
    if program is None and arguments.pattern is not None:
        program = CUSTOM  # only this parser takes a pattern
    if program is not None:
        return parse(program, source, hints=hints)
    if arguments.log in LOG_FORMATS and not os.path.exists(arguments.log):
        raise RequestError(
            f"{arguments.log} is a program; the log file is missing",
            hint=f"type `benchdock parse {arguments.log} LOG`",
        )
    found = parse_any(source, hints=hints)
    begin = found.begin.model_copy(update={"known_as": found.program})
    return found.model_copy(update={"begin": begin})


def _found(program: ProgramFacts) -> Iterator[str]:
    """Yield which program wrote the log, if it was detected."""
    if program.known_by is not None:
        number, text = program.known_by
        yield f"detected a log of {program.known_as} by line {number}: {clean(text)}\n"


def _check_program(arguments: argparse.Namespace) -> None:
    """Refuse words for "any program", because that is the default. Raises RequestError."""
    if arguments.program in _ANY_PROGRAM:
        raise RequestError(
            f"unknown program {arguments.program!r}",
            hint=f"type `benchdock parse {arguments.log}` to detect the program",
        )


def _check_reading(arguments: argparse.Namespace) -> None:
    """Refuse the options of the program `custom` for any other. Raises RequestError."""
    if arguments.program == CUSTOM or (arguments.program is None and arguments.pattern is not None):
        return
    for option in ("pattern", "unit", "estimator"):
        if getattr(arguments, option) is not None:
            raise RequestError(
                f"--{option} only works with the program {CUSTOM}",
                hint=f"remove --{option}, or use `benchdock parse {CUSTOM} {arguments.log} "
                "--pattern ...`",
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
