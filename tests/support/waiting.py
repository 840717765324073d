"""Waits for something that another process or thread does."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE = 10.0  # seconds
_PAUSE = 0.005


def wait_for(condition: Callable[[], bool], patience: float = PATIENCE) -> None:
    """Return when the condition holds; fail if it does not within so many seconds."""
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, f"it did not happen within {patience:.0f} s"
        time.sleep(_PAUSE)
