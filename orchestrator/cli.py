"""The command line: arguments in, an exit status out. Imports nothing heavy."""

from __future__ import annotations

import gc
import io
import itertools
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from typing import NoReturn

from orchestrator.arguments.all import build_parser
from orchestrator.errors import BenchdockError, ExitStatus


def _hurry() -> None:
    """Save a third of the time that imports take; who runs for long turns collection on again.

    Imports allocate much and leave no garbage to look for, and pydantic would read the metadata
    of every installed package in search of plug-ins.
    """
    gc.disable()
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "1")


def main_inner(argv: Sequence[str] | None = None) -> ExitStatus:
    """Carry out one command. Raises BenchdockError."""
    words = sys.argv[1:] if argv is None else argv
    parser = build_parser()
    parser.refuse_unknown_options(itertools.takewhile(lambda word: word.startswith("-"), words))
    arguments = parser.parse_args(words)
    handler = import_module(f"orchestrator.commands.{arguments.handler}")
    status: ExitStatus = handler.execute(arguments)
    return status


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and turn whatever comes of it into one line and an exit status."""
    words = sys.argv[1:] if argv is None else argv
    try:
        status = main_inner(words)
        sys.stdout.flush()
        return int(status)
    except BenchdockError as error:
        _tell(error, as_json="--json" in words)
        return int(error.exit_status)
    except KeyboardInterrupt:
        _say("benchdock: interrupted")
        return int(ExitStatus.INTERRUPTED)
    except BrokenPipeError:
        # The reader (head, less) has what it wanted; a second failure at shutdown must not show.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return int(ExitStatus.OK)
    except Exception as error:  # anything else is a bug of ours and is kept for a report
        if isinstance(error, OSError) and (why := _unwritable()) is not None:
            _say(f"benchdock: the output cannot be written: {why}")
            return int(ExitStatus.MACHINE_CANNOT)
        from orchestrator.bugs import report_bug

        _say(f"benchdock: {report_bug()}")
        return int(ExitStatus.BUG)


def _say(line: str) -> None:
    """Write to standard error; where that takes nothing, the exit status still tells."""
    with suppress(OSError):
        print(line, file=sys.stderr, flush=True)


def _tell(error: BenchdockError, *, as_json: bool) -> None:
    """Say in one line what is wrong; whoever wants a document has one with that line too."""
    for line in error.details:
        _say(f"  | {line}")
    _say(f"benchdock: {error}")
    if as_json:
        import json

        told = {"message": error.what, "hint": error.hint, "exit_status": int(error.exit_status)}
        print(json.dumps({"schema": 1, "error": told}, indent=2))


def _unwritable() -> str | None:
    """Return why standard output takes nothing (a full disk), None where it takes a line's end."""
    try:
        print(flush=True)
    except OSError as error:
        return error.strerror or str(error)
    return None


def _open_streams() -> None:
    """Replace standard streams that whoever started us has closed; let none fail on a letter."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115
    # Unbuffered (PYTHONUNBUFFERED), what was lost on a full disk would be forgotten at the end.
    if isinstance(sys.stdout, io.TextIOWrapper) and isinstance(sys.stdout.buffer, io.RawIOBase):
        buffer = io.BufferedWriter(sys.stdout.buffer)
        sys.stdout = io.TextIOWrapper(buffer, encoding=sys.stdout.encoding, line_buffering=True)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def entry() -> NoReturn:
    """Run as a program: leave without tearing down modules that the system frees anyway."""
    _hurry()
    _open_streams()
    status = main()
    with suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(status)
