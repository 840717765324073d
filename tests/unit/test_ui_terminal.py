"""Views on a real pseudo terminal."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PROGRAM = """
import contextlib, sys, time
from orchestrator import ui
from orchestrator.parsers.contract import Progress
from orchestrator.signals import interruptible
from orchestrator.errors import Interrupted
view = ui.choose()
with contextlib.closing(view):
    view.stage("starting the container")
    view.progress(Progress(stage="timing", steps_done=3, steps_total=9, last_lines=("a line",)))
    try:
        with interruptible():
            time.sleep(float(sys.argv[1]))
    except Interrupted:
        sys.exit(130)
"""


def run(term: str, seconds: float, *, interrupt_at: bytes = b"") -> tuple[int, bytes]:
    """Run the program on a terminal; send SIGINT once it has written `interrupt_at`."""
    master, slave = pty.openpty()
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(seconds)],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        cwd=ROOT,
        env=os.environ | {"TERM": term, "LANG": "C.UTF-8"},
    )
    os.close(slave)
    told, sent, deadline = b"", False, time.monotonic() + 30
    with contextlib.closing(os.fdopen(master, "rb", buffering=0)):
        while time.monotonic() < deadline:
            if select.select([master], [], [], 0.1)[0]:
                try:
                    block = os.read(master, 65536)
                except OSError:  # how a terminal's end is told on Linux
                    break
                told += block
            if interrupt_at and interrupt_at in told and not sent:
                program.send_signal(signal.SIGINT)
                sent = True
        return program.wait(10), told


@pytest.mark.slow
def test_dumb_terminal_gets_no_control_codes() -> None:
    code, told = run("dumb", 0.1)
    assert code == 0
    assert b"starting the container" in told
    assert b"3 of 9 steps" in told
    assert b"\x1b" not in told


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.6, 60.0])
def test_live_view_gives_the_terminal_back(seconds: float) -> None:
    """At its end, and where Ctrl-C ends it."""
    interrupt_at = b"3 of 9 steps" if seconds == 60.0 else b""
    code, told = run("xterm-256color", seconds, interrupt_at=interrupt_at)
    assert code == (130 if interrupt_at else 0)
    assert b"3 of 9 steps" in told
    hidden, shown = told.rfind(b"\x1b[?25l"), told.rfind(b"\x1b[?25h")
    assert 0 <= hidden < shown
