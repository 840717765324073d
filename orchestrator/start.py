"""The program's first lines, before anything is imported that takes time."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from types import FrameType
from typing import NoReturn


def _leave(_number: int, _frame: FrameType | None) -> NoReturn:
    """End on a Ctrl-C: nothing has begun that would have to be cleaned up."""
    with suppress(OSError):
        os.write(2, b"benchdock: interrupted\n")
    os._exit(130)


def entry() -> NoReturn:
    """Run as a program. A Ctrl-C while modules are loaded must not show their innards."""
    # Ignored in a script's background job: then it stays so.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _leave)
    try:
        from orchestrator import cli
    except ModuleNotFoundError as error:
        _refuse(error)
    cli.entry()


def _refuse(error: ModuleNotFoundError) -> NoReturn:
    """End for want of a module of benchdock's or of a package that it needs."""
    from orchestrator import installation

    fault = installation.fault(error)
    os.write(2, f"benchdock: {fault}\n".encode())
    os._exit(3)
