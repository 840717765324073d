"""Reads logs of our probe: one `probe` event per figure."""

from __future__ import annotations

from orchestrator.ceilings import Ceiling
from orchestrator.parsers.answers import AnswerParser
from orchestrator.parsers.contract import ParseHints

program = "probe"


class Parser(AnswerParser[Ceiling]):
    """Collects figures into `Measurement.begin["ceilings"]`."""

    def __init__(self, hints: ParseHints) -> None:
        del hints
        super().__init__(program, "ceilings", Ceiling, "probing", fine=(0,))
