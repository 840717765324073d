"""Waits for an engine that is away for a while: an upgrade, a restart, a crash."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from orchestrator.runtimes.docker.errors import LostError, RefusedError

Answer = TypeVar("Answer")


def _may_pass(error: BaseException) -> bool:
    """Whether asking again can help: no answer, or an engine that is starting or stopping."""
    return isinstance(error, LostError) or (isinstance(error, RefusedError) and error.status >= 500)


def patiently(
    call: Callable[[], Answer], *, patience: float, closing: threading.Event | None = None
) -> Answer:
    """Call until the engine answers, for at most `patience` seconds, or until `closing` is set.

    Raises the last RefusedError or LostError.
    """
    try:
        return call()
    except (LostError, RefusedError) as error:
        if not _may_pass(error):
            raise
    # tenacity takes 25 ms to import, so only if there is something to retry.
    import tenacity

    give_up = closing or threading.Event()
    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception(_may_pass),
        stop=tenacity.stop_after_delay(patience) | tenacity.stop_when_event_set(give_up),
        wait=tenacity.wait_exponential(multiplier=0.05, max=1),
        sleep=tenacity.sleep_using_event(give_up),
        reraise=True,
    )
    return retrying(call)
