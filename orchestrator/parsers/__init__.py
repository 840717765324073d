"""One module per benchmark program; each turns the program's log into a measurement."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import BinaryIO, cast

from orchestrator.errors import RequestError, unknown
from orchestrator.log_formats import LOG_FORMATS
from orchestrator.parsers.collected import CollectedLog
from orchestrator.parsers.contract import LogParser, ParseHints, ParserModule, Progress, Stage
from orchestrator.parsers.detection import find
from orchestrator.parsers.encodings import text_blocks
from orchestrator.result import Measurement

__all__ = [
    "LOG_FORMATS",
    "LogParser",
    "ParseHints",
    "ParserModule",
    "Progress",
    "Stage",
    "blocks",
    "module",
    "parse",
    "parse_any",
    "parser_for",
]


def module(program: str) -> ParserModule:
    """Import a program's module. Raises RequestError if there is none."""
    if program not in LOG_FORMATS:
        raise unknown("program", program, LOG_FORMATS, listing="benchdock parse --help")
    return cast(ParserModule, import_module(f"orchestrator.parsers.{program}"))


def parser_for(program: str, hints: ParseHints | None = None) -> LogParser:
    """Return a new parser of a program's log. Raises RequestError if there is none."""
    return module(program).Parser(hints or ParseHints())


def parse(
    program: str,
    source: Path | BinaryIO,
    hints: ParseHints | None = None,
    *,
    exit_code: int | None = None,
) -> Measurement:
    """Read a whole log, from a file or an open binary stream.

    Raises RequestError for an unknown program, an unreadable file, or a block that a log with a
    result does not have. Nothing in a log raises: it becomes a failure or a warning of the
    measurement.
    """
    log = CollectedLog(lambda: parser_for(program, hints))
    for block in blocks(source):
        log.feed(block)
    return _checked(log.finish(exit_code), hints)


def parse_any(source: Path | BinaryIO, hints: ParseHints | None = None) -> Measurement:
    """Read a whole log of an unknown program, and find which one wrote it.

    The measurement's `program` names it, `begin["known_by"]` is the number and text of the line
    that identifies it. Raises RequestError as `parse` does, and for a log that no program or that
    several could have written.
    """
    return _checked(find(blocks(source), lambda name: parser_for(name, hints)), hints)


def blocks(source: Path | BinaryIO) -> Iterator[bytes]:
    """Yield the text of a log in UTF-8, from a file or an open binary stream.

    Raises RequestError for a file that cannot be read or decoded, and for a device that never ends.
    """
    if not isinstance(source, Path):
        yield from text_blocks(source, "-")
        return
    try:
        with source.open("rb") as stream:
            _refuse_device(stream, source)
            yield from text_blocks(stream, str(source))
    except OSError as error:
        raise RequestError(f"cannot read {str(source)!r}: {error.strerror}") from error


def _refuse_device(stream: BinaryIO, path: Path) -> None:
    """Refuse a device, such as /dev/zero, except a terminal and /dev/null, which end."""
    seen = os.fstat(stream.fileno())
    ends = stream.isatty() or seen.st_rdev == os.stat(os.devnull).st_rdev
    if stat.S_ISBLK(seen.st_mode) or (stat.S_ISCHR(seen.st_mode) and not ends):
        raise RequestError(f"{path} is a device", hint="use a file, or - to read a pipe")


def _checked(found: Measurement, hints: ParseHints | None) -> Measurement:
    if hints is not None and hints.block is not None:
        _check_block(found, hints.block)
    return found


def _check_block(found: Measurement, asked: int) -> None:
    """Refuse a missing block. A log without any result is a failure, whichever block is wanted."""
    blocks = found.begin.blocks or ()
    held = len(blocks) or 1
    has_result = found.failure is None or any(not block["problem"] for block in blocks)
    if asked <= held or not has_result:
        return
    if held == 1:
        raise RequestError(
            f"block {asked} does not exist: the log contains 1 run", hint="remove --block"
        )
    raise RequestError(
        f"block {asked} does not exist: the log contains {held} runs",
        hint=f"use --block 1 to --block {held}",
    )
