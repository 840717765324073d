"""Turns the signals that end a command into one exception, so that every `with` block cleans up."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from orchestrator.errors import Interrupted

# Ctrl-C, Ctrl-\, the system, a closed terminal or ssh connection, a batch system whose CPU time is
# used up.
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGXCPU)


class _Watch:
    """The signals of one `interruptible` block; `holds` counts the blocks that delay them."""

    def __init__(self) -> None:
        self.caught: int | None = None
        self.raised = False
        self.holds = 0

    def handle(self, number: int, _frame: FrameType | None) -> None:
        if self.caught is None:
            self.caught = number
            self.tell()

    def tell(self) -> None:
        """Raise for the caught signal, once, unless signals are delayed."""
        if self.caught is not None and not self.raised and not self.holds:
            self.raised = True
            raise Interrupted(self.caught)


# The innermost block is last. The first one belongs to code that cannot be interrupted.
_watches = [_Watch()]


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise Interrupted once, on the first signal that ends a command; ignore later ones.

    A second Ctrl-C while the container is being stopped must not leave it behind. A SIGHUP that is
    ignored stays ignored, as nohup requires. The previous handlers are restored at the end.
    """
    watch = _Watch()
    _watches.append(watch)
    previous = {
        number: signal.signal(number, watch.handle)
        for number in ENDING
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        _watches.remove(watch)


@contextmanager
def held() -> Iterator[None]:
    """Delay signals until the end of the block, so that it is completed first.

    Raises Interrupted at the end if a signal came meanwhile.
    """
    watch = _watches[-1]
    watch.holds += 1
    try:
        yield
    finally:
        watch.holds -= 1
    watch.tell()


@contextmanager
def released() -> Iterator[None]:
    """Let signals interrupt inside `held`. Raises Interrupted, also for one that was delayed."""
    watch = _watches[-1]
    holds, watch.holds = watch.holds, 0
    try:
        watch.tell()
        yield
    finally:
        watch.holds = holds
