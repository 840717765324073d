"""`benchdock parse PROGRAM LOG`: a result from a log alone."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from orchestrator.errors import ExitStatus
from orchestrator.filing import to_json
from orchestrator.parsers import ParseHints, parse
from orchestrator.result import Measurement, Result
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


def execute(arguments: argparse.Namespace) -> ExitStatus:
    """Parse a log and print its result. Raises RequestError."""
    from orchestrator import ui

    hints = ParseHints(batch=arguments.batch, devices=arguments.devices)
    source = sys.stdin.buffer if arguments.log == "-" else Path(arguments.log)
    result = as_result(parse(arguments.program, source, hints=hints))
    if arguments.json:
        sys.stdout.write(to_json(result))
    else:
        view = ui.choose(quiet=True, verbose=False, result_on_stdout=True)
        view.result(result)
        view.close()
    return ExitStatus.BENCHMARK_FAILED if result.failure else ExitStatus.OK
