"""One module per benchmark program, which turns the program's log into a measurement."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import BinaryIO, cast

from orchestrator.errors import RequestError, unknown
from orchestrator.parsers.contract import LogParser, ParseHints, ParserModule, Progress, Stage
from orchestrator.programs import PROGRAMS
from orchestrator.result import Measurement

__all__ = [
    "PROGRAMS",
    "LogParser",
    "ParseHints",
    "ParserModule",
    "Progress",
    "Stage",
    "module",
    "parse",
    "parser_for",
]

BLOCK = 1 << 20


def module(program: str) -> ParserModule:
    """Import a program's module. Raises RequestError where there is none."""
    if program not in PROGRAMS:
        raise unknown("program", program, PROGRAMS, listing="benchdock parse --help")
    return cast(ParserModule, import_module(f"orchestrator.parsers.{program}"))


def parser_for(program: str, hints: ParseHints | None = None) -> LogParser:
    """Return a new parser of a program's log. Raises RequestError where there is none."""
    return module(program).Parser(hints or ParseHints())


def parse(
    program: str,
    source: Path | BinaryIO,
    hints: ParseHints | None = None,
    *,
    exit_code: int | None = None,
) -> Measurement:
    """Read a whole log, from a file or an open binary stream.

    Raises RequestError for an unknown program, a file that cannot be read, or a block that a log
    with a result does not have; whatever the log holds is no exception but a failure or a warning
    in the measurement.
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
    found = parser.finish(exit_code)
    if hints is not None and hints.block is not None:
        _check_block(found, hints.block)
    return found


def _feed(parser: LogParser, stream: BinaryIO) -> None:
    while block := stream.read(BLOCK):
        parser.feed(block)


def _check_block(found: Measurement, asked: int) -> None:
    """Refuse a block that is not there. A log without any result is a failure whatever is asked."""
    blocks = found.begin.get("blocks", [])
    held = len(blocks) or 1
    has_result = found.failure is None or any(not block["problem"] for block in blocks)
    if asked <= held or not has_result:
        return
    if held == 1:
        raise RequestError(
            f"there is no block {asked}: the log holds 1 run", hint="leave --block away"
        )
    raise RequestError(
        f"there is no block {asked}: the log holds {held} runs",
        hint=f"give --block 1 to --block {held}",
    )
