"""Reads logs of our parity program: one `parity` event per model and level."""

from __future__ import annotations

import math

from pydantic import ConfigDict, field_serializer

from orchestrator.parsers import crash
from orchestrator.parsers.contract import ParseHints, Progress
from orchestrator.parsers.events import TAG, is_whole
from orchestrator.parsers.failures import told
from orchestrator.parsers.lines import SelectedLines, clean, printable
from orchestrator.request import LenientRecord
from orchestrator.result import Failure, Measurement

program = "parity"

LONGEST_EVENT = 1 << 16


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


class Parser:
    """Collects cells into `Measurement.begin["cells"]`; whether they hold is not judged here."""

    def __init__(self, hints: ParseHints) -> None:
        del hints
        self._lines = SelectedLines([TAG], limit=LONGEST_EVENT)
        self._cells: list[ParityCell] = []
        self._error: Failure | None = None
        self.taken = 0
        self.first_taken: tuple[int, str] | None = None

    def feed(self, block: bytes) -> None:
        """Take the next bytes of the log, cut anywhere."""
        for line in self._lines.feed(block):
            self._line(clean(line))

    @property
    def progress(self) -> Progress:
        """Return how many comparisons are done."""
        return Progress(
            stage="comparing" if self._cells else "starting",
            steps_done=len(self._cells),
            last_lines=self._lines.recent.lines(10),
        )

    def finish(self, exit_code: int | None = None) -> Measurement:
        """Return the cells; a failure if the program stopped early."""
        for line in self._lines.finish():
            self._line(clean(line))
        cells = [cell.model_dump(mode="json") for cell in self._cells]
        return Measurement(
            program=program, begin={"cells": cells}, failure=self._failure(exit_code)
        )

    def _line(self, line: bytes) -> None:
        # A library may have left text without a line end before it.
        line = line[line.find(TAG) :]
        text = line[len(TAG) :]
        try:
            if is_whole(line) is False:
                raise ValueError("damaged by other output")
            self._cells.append(ParityCell.model_validate_json(text))
            self.taken += 1
            self.first_taken = self.first_taken or (self._lines.number, printable(line)[:300])
        except ValueError:  # pydantic's are such, too
            # Of the other events only errors matter.
            self._error = told(line) or _unread(text)

    def _failure(self, exit_code: int | None) -> Failure | None:
        if self._error is not None:
            return self._error
        # It exits with 1 if a comparison does not hold; that is a valid answer.
        if self._cells and exit_code in (None, 0, 1):
            return None
        found = crash.evidence(self._lines.recent.lines(crash.EVIDENCE_LINES))
        return found or Failure(kind="no_result", message="the parity program broke off")


def _unread(text: bytes) -> Failure:
    shown = printable(text)[:300]
    return Failure(kind="crashed", message=f"a line cannot be read: {shown}", evidence=shown)
