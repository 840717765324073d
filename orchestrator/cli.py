"""The command line: arguments in, exit status out. Imports nothing heavy."""

from __future__ import annotations

import itertools
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from typing import NoReturn

from orchestrator import output
from orchestrator.arguments.all import build_parser
from orchestrator.errors import (
    BenchdockError,
    ExitStatus,
    MachineError,
    RequestError,
    machine_fault,
)

# A run opens about this many files at once, with room for the program's libraries.
FEWEST_OPEN_FILES = 64


def main_inner(argv: Sequence[str] | None = None) -> ExitStatus:
    """Run one command. Raises BenchdockError."""
    words = sys.argv[1:] if argv is None else argv
    if any("\0" in word for word in words):  # only a caller in this process can pass one
        raise RequestError("an argument contains a NUL character", hint="remove it")
    parser = build_parser(only=_command(words))
    parser.refuse_unknown_options(itertools.takewhile(lambda word: word.startswith("-"), words))
    arguments = parser.parse_args(words)
    _check_process()
    handler = import_module(f"orchestrator.commands.{arguments.handler}")
    status: ExitStatus = handler.execute(arguments)
    return status


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; turn any outcome into one line and an exit status."""
    words = sys.argv[1:] if argv is None else argv
    try:
        status = _status(words)
    except KeyboardInterrupt:
        _say("benchdock: interrupted")
        status = ExitStatus.INTERRUPTED
    why = output.lost()
    if why is not None:
        _say(f"benchdock: cannot write the output: {why}")
        # A run's result is filed; for other commands the output is all there is.
        if not _files_results(words):
            status = ExitStatus.MACHINE_CANNOT
    return int(status)


def _status(words: Sequence[str]) -> ExitStatus:
    """Run a command and print what went wrong."""
    try:
        return main_inner(words)
    except BenchdockError as error:
        _tell(error, as_json="--json" in words)
        return error.exit_status
    except Exception as error:  # anything else is a bug in benchdock and is saved for a report
        if isinstance(error.__context__, KeyboardInterrupt):  # argparse stumbles over one
            raise KeyboardInterrupt from None
        if isinstance(error, OSError) and (fault := machine_fault(error)) is not None:
            _tell(fault, as_json="--json" in words)
            return fault.exit_status
        from orchestrator import installation

        if (broken := installation.fault(error)) is not None:
            _tell(broken, as_json="--json" in words)
            return broken.exit_status
        from orchestrator.bugs import report_bug

        _say(f"benchdock: {report_bug()}")
        return ExitStatus.BUG


def _command(words: Sequence[str]) -> str:
    """Return the word that names the command."""
    return next((word for word in words if not word.startswith("-")), "")


_FILING = ("run", "suite", "nightly", "replay", "parity")


def _files_results(words: Sequence[str]) -> bool:
    return _command(words) in _FILING and "--dry-run" not in words


def _say(line: str) -> None:
    """Write to standard error; if that fails, the exit status still says it."""
    with suppress(OSError):
        print(line, file=sys.stderr, flush=True)


def _tell(error: BenchdockError, *, as_json: bool) -> None:
    """Print one line that says what is wrong; with --json also a document with that line."""
    for line in error.details:
        _say(f"  | {line}")
    _say(f"benchdock: {error}")
    if as_json:
        import json

        told = {"message": error.what, "hint": error.hint, "exit_status": int(error.exit_status)}
        print(json.dumps({"schema": 1, "error": told}, indent=2))


def _check_process() -> None:
    """Raise MachineError if no command can work: too few open files, or a wrong clock."""
    import resource
    import time

    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if 0 <= allowed < FEWEST_OPEN_FILES:
        raise MachineError(
            f"only {allowed} files may be open at once; benchdock needs {FEWEST_OPEN_FILES}",
            hint="run `ulimit -n 1024` to allow more",
        )
    try:
        time.time()
    except OverflowError:
        raise MachineError(
            "this machine's clock is centuries ahead",
            hint="run `timedatectl set-ntp true` to set it",
        ) from None


def entry() -> NoReturn:
    """Run as a program. Exit without tearing down modules: the system frees them anyway."""
    output.open_streams()
    status = int(ExitStatus.INTERRUPTED)
    with suppress(KeyboardInterrupt):  # a second Ctrl-C while the first one is being reported
        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        status = main()
    with suppress(OSError):
        sys.stderr.flush()
    os._exit(status)
