"""Turns SIGINT and SIGTERM into one exception, so that every `with` block cleans up."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from orchestrator.errors import Interrupted


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise Interrupted once, on the first SIGINT or SIGTERM; later ones wait for the clean-up.

    A second Ctrl-C while the container is being stopped must not leave it behind. The handlers
    that were there before come back at the end.
    """
    caught = False

    def handle(number: int, _frame: FrameType | None) -> None:
        nonlocal caught
        if not caught:
            caught = True
            raise Interrupted(number)

    previous = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
