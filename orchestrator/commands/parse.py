"""`benchdock parse PROGRAM LOG`: a result from a log alone."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from orchestrator.errors import ExitStatus
from orchestrator.parsers import ParseHints, parse
from orchestrator.result import Measurement, Result
from orchestrator.run.filing import to_json
from orchestrator.ui.plain import result_lines
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


def explanation(program: dict[str, Any]) -> Iterator[str]:
    """Yield what tells how the number came about: estimator, windows and lines of the log."""
    chosen = bool(program.get("evidence")) or "blocks" not in program
    for index, block in enumerate([program] if chosen else program["blocks"], start=1):
        if not chosen:
            yield f"block {index}:\n"
        evidence = block.get("evidence", [])
        if evidence:
            yield f"the program's figure is of kind {block['estimator']}, over {block['scope']}\n"
        windows = block.get("windows")
        if windows:
            dropped = windows["dropped_first"], windows["dropped_last"]
            yield f"windows: {windows['used']} of {windows['count']} are used; left out are "
            yield f"the first {dropped[0]} and the last {dropped[1]} ({windows['why']})\n"
        for number, text in evidence:
            yield f"line {number}: {text}\n"


def execute(arguments: argparse.Namespace) -> ExitStatus:
    """Parse a log and print its result. Raises RequestError."""
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
