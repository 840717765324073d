"""The keeper as a program: what it passes on, and that no process of its program is left."""

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from orchestrator.runtimes.host import keeper


@contextmanager
def kept(script, *, argv=None, prefix=()):
    """Start the keeper over a shell script; it watches the other end of `.lifeline`."""
    theirs, ours = os.pipe()
    # With site-packages (no -S), so that `make coverage` sees it; it imports nothing from there.
    command = [*prefix, sys.executable, "-I", keeper.__file__, str(theirs)]
    process = subprocess.Popen(
        [*command, *(argv or ("/bin/sh", "-c", script))],
        pass_fds=[theirs],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(theirs)
    with process, os.fdopen(ours, "wb") as lifeline:
        yield SimpleNamespace(process=process, lifeline=lifeline)


def gone(pid):
    """Wait until a process is gone or dead; False if it lives on."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            with open(f"/proc/{pid}/stat") as stat:
                if stat.read().rpartition(")")[2].split()[0] in "ZX":
                    return True
        except FileNotFoundError:
            return True
        time.sleep(0.01)
    return False


@pytest.mark.parametrize(
    ("script", "code"), [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137), ("kill -15 $$", 143)]
)
def test_it_exits_as_its_program_does(script, code):
    with kept(script) as started:
        assert started.process.wait(20) == code


def test_a_program_that_cannot_be_started_is_named():
    with kept("", argv=("/absent/program",)) as started:
        out, err = started.process.communicate(timeout=20)
        assert (started.process.returncode, out) == (127, "")
        assert err == "/absent/program: No such file or directory\n"


def test_what_the_program_leaves_behind_is_killed():
    with kept("setsid sleep 300 & echo $!") as started:
        left = int(started.process.stdout.readline())
        assert started.process.wait(20) == 0
        assert gone(left)


def test_all_is_killed_when_the_lifeline_breaks():
    script = "trap '' TERM; setsid sh -c 'trap \"\" TERM; echo $$; sleep 300' & sleep 300; :"
    with kept(script) as started:
        child = int(started.process.stdout.readline())
        started.lifeline.close()
        assert started.process.wait(20) == 137
        assert gone(child)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT])
def test_signals_to_the_keeper_do_not_end_it(number):
    with kept("echo ready; read line < /dev/null; sleep 0.2; exit 3") as started:
        assert started.process.stdout.readline() == "ready\n"
        started.process.send_signal(number)
        assert started.process.wait(20) == 3


@pytest.mark.parametrize(("prefix", "code"), [((), 129), (("nohup",), 0)])
def test_the_program_ignores_a_hang_up_only_under_nohup(prefix, code):
    with kept("kill -HUP $$; exit 0", prefix=prefix) as started:
        assert started.process.wait(20) == code


def test_the_descendants_of_a_process_are_found():
    with kept("sleep 300 & sh -c 'sleep 300; :' & echo ready; wait") as started:
        started.process.stdout.readline()
        time.sleep(0.1)
        assert len(keeper.descendants(started.process.pid)) == 4
        assert started.process.pid in keeper.descendants(os.getpid())
