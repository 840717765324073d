"""Finds and ends the processes of an execution on the host.

A process of the program may leave the process group (PyTorch's launcher starts workers in sessions
of their own), so every process also inherits a random token in its environment.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

TOKEN = "BENCHDOCK_EXECUTION"
_KILL_PATIENCE = 5.0  # seconds; a process in an uninterruptible driver call outlives it
_KILL_PAUSE = 0.01


@dataclass(frozen=True)
class Status:
    """What /proc tells of a living process; `start` is in clock ticks since boot."""

    state: str
    group: int
    start: int


def status(pid: int) -> Status | None:
    """Read /proc/PID/stat; None where there is no such process or it is dead."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return None
    # The name, in parentheses, may hold anything; what follows the last one is numbers.
    words = text.rpartition(")")[2].split()
    found = Status(state=words[0], group=int(words[2]), start=int(words[19]))
    return None if found.state in "ZX" else found


def _processes() -> Iterator[int]:
    return (int(entry) for entry in os.listdir("/proc") if entry.isdigit())


def members(token: str, group: int | None = None) -> list[int]:
    """Return the living processes that carry a token, or belong to a process group."""
    mark = f"{TOKEN}={token}".encode()
    found = []
    for pid in _processes():
        seen = status(pid)
        if seen is None or pid == os.getpid():
            continue
        if (group is not None and seen.group == group) or _carries(pid, mark):
            found.append(pid)
    return found


def _carries(pid: int, mark: bytes) -> bool:
    try:
        return mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:  # another user's, or gone
        return False


def end(token: str, group: int | None) -> list[int]:
    """Kill all that belongs to an execution; return what would not die."""
    deadline = time.monotonic() + _KILL_PATIENCE
    # Again until none is left: a process may have forked between the look and the blow.
    while left := members(token, group):
        if time.monotonic() > deadline:
            return left
        for pid in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(_KILL_PAUSE)
    return []
