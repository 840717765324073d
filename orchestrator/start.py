"""The program's first lines, before any slow import."""

from __future__ import annotations

import gc
import os
import signal
from contextlib import suppress
from types import FrameType
from typing import NoReturn


def _leave(_number: int, _frame: FrameType | None) -> NoReturn:
    """Exit on Ctrl-C: nothing has started that needs cleaning up."""
    with suppress(OSError):
        os.write(2, b"benchdock: interrupted\n")
    os._exit(130)


def hurry() -> None:
    """Save a third of the import time; code that runs for long turns garbage collection on again.

    Imports allocate a lot and leave no garbage, and pydantic would read the metadata of every
    installed package to find plug-ins.
    """
    gc.disable()
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "1")


def entry() -> NoReturn:
    """Run as a program. A Ctrl-C during imports must not print a traceback."""
    hurry()
    # A script's background job ignores it; then it stays ignored.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _leave)
    try:
        from orchestrator import cli
    except ModuleNotFoundError as error:
        _refuse(error)
    cli.entry()


def _refuse(error: ModuleNotFoundError) -> NoReturn:
    """Exit because a module of benchdock or a package it needs is missing."""
    from orchestrator import installation

    fault = installation.fault(error)
    os.write(2, f"benchdock: {fault}\n".encode())
    os._exit(3)
