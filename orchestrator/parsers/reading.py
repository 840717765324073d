"""Reads logs of our programs that read the first images of a dataset: one `read` event."""

from __future__ import annotations

from typing import Literal

from orchestrator.parsers.answers import AnswerParser
from orchestrator.parsers.contract import ParseHints
from orchestrator.request import LenientRecord

program = "reading"


class ReadCell(LenientRecord):
    """How a framework read images, and SHA-256 of the labels and pixels of the first `samples`."""

    event: Literal["read"]
    framework: str
    format: str
    transform: str
    filter: str
    workers: int
    samples: int
    labels: str
    pixels: str


class Parser(AnswerParser[ReadCell]):
    """Collects what was read into `Measurement.begin["cells"]`."""

    def __init__(self, hints: ParseHints) -> None:
        del hints
        super().__init__(program, "cells", ReadCell, "comparing", fine=(0,))
