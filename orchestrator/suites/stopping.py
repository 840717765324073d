"""Stops a session after the run that is going on: SIGUSR1."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager


class Stop:
    """Whether somebody asked to stop."""

    def __init__(self) -> None:
        self.asked = False

    def __call__(self) -> bool:
        """Whether somebody asked."""
        return self.asked

    def ask(self, *_: object) -> None:
        """Remember it; the signal's number and frame do not matter."""
        self.asked = True


@contextmanager
def on_signal() -> Iterator[Stop]:
    """Let SIGUSR1 ask to stop, until the end of the block."""
    stop = Stop()
    before = signal.signal(signal.SIGUSR1, stop.ask)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGUSR1, before)
