"""Runs a program on the host and stays until all its processes are gone.

It is started as a separate process, with `python -I -S keeper.py LIFELINE PROGRAM...`, and imports
only the standard library. As a sub-reaper, it becomes the parent of every process whose own parent
has ended, whatever its session, group or environment. LIFELINE is the descriptor of a pipe that its
benchdock holds open: when the pipe closes everything is killed, so nothing outlives a killed
benchdock either.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

PR_SET_CHILD_SUBREAPER = 36
KILL_PATIENCE = 5.0  # seconds; a process in an uninterruptible driver call outlives it
PAUSE = 0.005
# These signals are meant for the program, and delivered to it: the keeper must not die of them.
_DEAF_TO = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
# Python ignores these, but a program expects to die of them.
_USUAL = (*_DEAF_TO[:2], signal.SIGQUIT, signal.SIGPIPE, signal.SIGXFSZ)


def start(argv: list[str], hung_up: Callable[[], None]) -> int:
    """Start the program in a new session; return its process number."""
    pid = os.fork()
    if pid:
        return pid
    try:
        os.setsid()
        signal.set_wakeup_fd(-1)
        for number in _USUAL:
            signal.signal(number, signal.SIG_DFL)
        hung_up()
        os.execv(argv[0], argv)
    except OSError as error:
        print(f"{argv[0]}: {error.strerror}", file=sys.stderr, flush=True)
    finally:
        os._exit(127)


class ProcessFamily:
    """The program and all processes it started; `code` is the program's exit code once known."""

    def __init__(self, leader: int) -> None:
        self._leader = leader
        self.code: int | None = None
        self.is_empty = False

    def bury(self) -> None:
        """Collect all processes that have died."""
        try:
            while (found := os.waitpid(-1, os.WNOHANG))[0]:
                if found[0] == self._leader:
                    code = os.waitstatus_to_exitcode(found[1])
                    self.code = code if code >= 0 else 128 - code
        except ChildProcessError:
            self.is_empty = True

    def end(self) -> None:
        """Kill until none is left: some may fork between the look and the kill."""
        deadline = time.monotonic() + KILL_PATIENCE
        self.bury()
        while not self.is_empty and time.monotonic() < deadline:
            for pid in descendants(os.getpid()):
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(PAUSE)
            self.bury()


def descendants(root: int) -> list[int]:
    """Return the descendants of a process, including zombies."""
    children: dict[int, list[int]] = {}
    for name in filter(str.isdecimal, os.listdir("/proc")):
        with suppress(OSError), open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as f:
            # The name, in parentheses, may contain anything; after the last parenthesis come
            # numbers.
            parent = int(f.read().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(name))
    found, left = [], [root]
    while left:
        mine = children.pop(left.pop(), [])
        found += mine
        left += mine
    return found


def main(words: list[str]) -> NoReturn:
    """Run the program of `words` under the lifeline's descriptor; exit with its status."""
    lifeline, argv = int(words[0]), words[1:]
    os.set_inheritable(lifeline, False)
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    awake, wake = os.pipe()
    os.set_blocking(wake, False)
    before = signal.getsignal(signal.SIGHUP)
    for number in _DEAF_TO:
        signal.signal(number, signal.SIG_IGN)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    # Under nohup the program ignores SIGHUP, as it would without a keeper.
    family = ProcessFamily(start(argv, lambda: _restore(before)))
    while family.code is None:
        ready, _, _ = select.select((lifeline, awake), (), ())
        if awake in ready:
            os.read(awake, 4096)
        family.bury()
        if lifeline in ready:
            break
    family.end()
    os._exit(137 if family.code is None else family.code)


def _restore(hung_up: object) -> None:
    if hung_up is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


if __name__ == "__main__":
    main(sys.argv[1:])
