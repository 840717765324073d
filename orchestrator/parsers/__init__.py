"""One module per benchmark program, which turns the program's log into a measurement."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from orchestrator.errors import RequestError, unknown
from orchestrator.parsers import benchdock, parity
from orchestrator.parsers.contract import LogParser, ParseHints, ParserModule, Progress, Stage
from orchestrator.result import Measurement

__all__ = [
    "PARSERS",
    "LogParser",
    "ParseHints",
    "ParserModule",
    "Progress",
    "Stage",
    "parse",
    "parser_for",
]

BLOCK = 1 << 20

_MODULES: tuple[ParserModule, ...] = (benchdock, parity)
PARSERS: dict[str, ParserModule] = {module.program: module for module in _MODULES}


def parser_for(program: str, hints: ParseHints | None = None) -> LogParser:
    """Return a new parser of a program's log. Raises RequestError where there is none."""
    module = PARSERS.get(program)
    if module is None:
        raise unknown("program", program, PARSERS, listing="benchdock parse --help")
    return module.Parser(hints or ParseHints())


def parse(
    program: str,
    source: Path | BinaryIO,
    hints: ParseHints | None = None,
    *,
    exit_code: int | None = None,
) -> Measurement:
    """Read a whole log, from a file or an open binary stream.

    Raises RequestError for an unknown program or a file that cannot be read; whatever the log
    holds is no exception but a failure or a warning in the measurement.
    """
    parser = parser_for(program, hints)
    if isinstance(source, Path):
        try:
            with source.open("rb") as stream:
                _feed(parser, stream)
        except OSError as error:
            raise RequestError(f"cannot read {str(source)!r}: {error.strerror}") from error
    else:
        _feed(parser, source)
    return parser.finish(exit_code)


def _feed(parser: LogParser, stream: BinaryIO) -> None:
    while block := stream.read(BLOCK):
        parser.feed(block)
