"""The result that a log contains, without request, plan or machine."""

from __future__ import annotations

from orchestrator.result import Measurement, Result
from orchestrator.version import VERSION


def as_result(measurement: Measurement) -> Result:
    """Return the result of what was read from a log."""
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
