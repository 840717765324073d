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
    from orchestrator import cli

    cli.entry()
