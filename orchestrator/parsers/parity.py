"""Reads logs of our parity program: one `parity` event per model and level."""

from __future__ import annotations

import math

from pydantic import ConfigDict, field_serializer

from orchestrator.parsers.answers import AnswerParser
from orchestrator.parsers.contract import ParseHints
from orchestrator.request import LenientRecord

program = "parity"


class ParityCell(LenientRecord):
    """One comparison of a framework with the referee.

    `deviation` is the largest difference relative to the largest magnitude, None if the comparison
    was not made; `detail` names the first differing node if it fails.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=True)

    level: str
    model: str
    framework: str
    dtype: str = "float32"
    device: str = "cpu"
    fingerprint: str
    holds: bool
    deviation: float | None = None
    tolerance: float | None = None
    detail: str = ""

    @field_serializer("deviation", when_used="json")
    def _as_json(self, deviation: float | None) -> float | str | None:
        """Return a value that JSON can hold: nan and infinity become words."""
        if deviation is None or math.isfinite(deviation):
            return deviation
        return str(deviation)


class Parser(AnswerParser[ParityCell]):
    """Collects cells into `Measurement.begin["cells"]`; whether they hold is not judged here."""

    def __init__(self, hints: ParseHints) -> None:
        del hints
        # It exits with 1 if a comparison does not hold; that is a valid answer.
        super().__init__(program, "cells", ParityCell, "comparing", fine=(0, 1))
