"""The command line: arguments in, an exit status out. Imports nothing heavy."""

from __future__ import annotations

import gc
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

# What a run opens at once, with room for the program's libraries.
FEWEST_OPEN_FILES = 64


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
    if any("\0" in word for word in words):  # only a caller in this process can give one
        raise RequestError("an argument has a NUL character", hint="remove it")
    parser = build_parser()
    parser.refuse_unknown_options(itertools.takewhile(lambda word: word.startswith("-"), words))
    arguments = parser.parse_args(words)
    _check_process()
    handler = import_module(f"orchestrator.commands.{arguments.handler}")
    status: ExitStatus = handler.execute(arguments)
    return status


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and turn whatever comes of it into one line and an exit status."""
    words = sys.argv[1:] if argv is None else argv
    try:
        status = _status(words)
    except KeyboardInterrupt:
        _say("benchdock: interrupted")
        status = ExitStatus.INTERRUPTED
    why = output.lost()
    if why is not None:
        _say(f"benchdock: the output cannot be written: {why}")
        # What a run came to is filed; of other commands the output is all there is.
        if not _files_results(words):
            status = ExitStatus.MACHINE_CANNOT
    return int(status)


def _status(words: Sequence[str]) -> ExitStatus:
    """Run a command; tell what went wrong."""
    try:
        return main_inner(words)
    except BenchdockError as error:
        _tell(error, as_json="--json" in words)
        return error.exit_status
    except Exception as error:  # anything else is a bug of ours and is kept for a report
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


def _files_results(words: Sequence[str]) -> bool:
    command = next((word for word in words if not word.startswith("-")), "")
    return command in ("run", "replay", "parity") and "--dry-run" not in words


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


def _check_process() -> None:
    """Raise MachineError for what no command can work with: few open files, a clock gone mad."""
    import resource
    import time

    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if 0 <= allowed < FEWEST_OPEN_FILES:
        raise MachineError(
            f"only {allowed} files may be open at once, and benchdock needs {FEWEST_OPEN_FILES}",
            hint="allow more: `ulimit -n 1024`",
        )
    try:
        time.time()
    except OverflowError:
        raise MachineError(
            "this machine's clock is centuries ahead", hint="set it: `timedatectl set-ntp true`"
        ) from None


def entry() -> NoReturn:
    """Run as a program: leave without tearing down modules that the system frees anyway."""
    _hurry()
    output.open_streams()
    status = int(ExitStatus.INTERRUPTED)
    with suppress(KeyboardInterrupt):  # one more Ctrl-C, while the first is being told
        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        status = main()
    with suppress(OSError):
        sys.stderr.flush()
    os._exit(status)
