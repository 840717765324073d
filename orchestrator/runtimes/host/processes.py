"""Finds and ends the processes of an execution on the host.

All descendants of the keeper belong to the program, in whatever session (see `keeper`). If the
keeper itself was killed, they can still be recognized by a random token that each inherits in its
environment.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from orchestrator.machine.processes import living
from orchestrator.runtimes.host.keeper import descendants

TOKEN = "BENCHDOCK_EXECUTION"
_KILL_PATIENCE = 5.0  # seconds; a process in an uninterruptible driver call outlives it
_KILL_PAUSE = 0.01


def _processes() -> Iterator[int]:
    return (int(entry) for entry in os.listdir("/proc") if entry.isdigit())


def members(token: str, root: int | None = None) -> list[int]:
    """Return the living processes that carry a token, or are `root`, of its group or descent."""
    mark = f"{TOKEN}={token}".encode()
    family = {root, *descendants(root)} if root is not None else set()
    found = []
    for pid in _processes():
        seen = living(pid)
        if seen is None or pid == os.getpid():
            continue
        if pid in family or (root is not None and seen.group == root) or _carries(pid, mark):
            found.append(pid)
    return found


def _carries(pid: int, mark: bytes) -> bool:
    try:
        return mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:  # another user's, or gone
        return False


def end(token: str, root: int | None) -> list[int]:
    """Kill everything that belongs to an execution, the `root` last; return what would not die.

    While the root lives, orphans stay its descendants.
    """
    deadline = time.monotonic() + _KILL_PATIENCE
    # Again until none is left: a process may have forked between the look and the kill.
    while left := members(token, root):
        if time.monotonic() > deadline:
            return left
        for pid in [one for one in left if one != root] or left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(_KILL_PAUSE)
    return []
