"""Signals at random moments of a run: what can be filed is, and nothing is left behind."""

from __future__ import annotations

import os
import random
import secrets
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from orchestrator.paths import PROJECT

SIGNALS = (
    signal.SIGKILL,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGXCPU,
)
LONGEST = 2.5  # s until the blow: from the interpreter's start to after the result


def environment(home: Path) -> dict[str, str]:
    """Return that of a benchdock with this home."""
    return {**os.environ, "BENCHDOCK_HOME": str(home)}


def command(mark: str, more: Sequence[str]) -> list[str]:
    """Return a run whose program, known by `mark`, takes half a second and leaves a child."""
    program = f"bash -c 'env -i setsid sleep {mark} & echo fps=1; sleep 0.5'"
    return [
        *(sys.executable, "-m", "orchestrator", "run", "mine", "-f", "custom", "--gpus=none"),
        *("--pattern=fps=(.)", f"--command={program}", *(more or ["--runtime=host"])),
    ]


def _alive(mark: str) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if words[:2] == [b"sleep", mark.encode()]:
            found.append(path.parent.name)
    return found


def blow(number: signal.Signals, after: float, home: Path, more: Sequence[str] = ()) -> int:
    """Hit one run; return its exit status. Raises AssertionError if it is not as it must be."""
    mark = f"9{secrets.randbelow(10**8):08}"
    known = set((home / "runs").glob("*"))
    process = subprocess.Popen(
        command(mark, more),
        env=environment(home),
        cwd=PROJECT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    time.sleep(after)
    process.send_signal(number)
    _, err = process.communicate(timeout=120)
    status = process.returncode
    told = f"{number.name} after {after:.3f} s: status {status}, {err.decode()}"
    new = set((home / "runs").glob("*")) - known
    if number != signal.SIGKILL:
        # Before anything has begun, a signal ends the process as it ends any other.
        assert status in (0, 128 + number) or (status == -number and not new), told
        for run in new:
            assert (run / "result.json").is_file(), told
    assert b"Traceback" not in err or not new, told
    deadline = time.monotonic() + 10
    while not more and _alive(mark):
        assert time.monotonic() < deadline, f"{told}: a child lives"
        time.sleep(0.05)
    return status


def attack(number: int, seed: int, home: Path, more: Sequence[str] = ()) -> Counter[str]:
    """Hit runs at random moments; return how often what came. Raises AssertionError.

    At the end one more run files those that were killed.
    """
    chance = random.Random(seed)
    seen: Counter[str] = Counter()
    for count in range(number):
        kind = SIGNALS[count % len(SIGNALS)]
        status = blow(kind, chance.uniform(0.0, LONGEST), home, more)
        seen[f"{kind.name} -> {status}"] += 1
    listing = [sys.executable, "-m", "orchestrator", "results", "--all"]
    subprocess.run(listing, env=environment(home), cwd=PROJECT, check=True, capture_output=True)
    for run in (home / "runs").glob("*"):
        assert (run / "result.json").is_file(), f"{run} has no result"
        assert not list(run.glob(".*")), f"{run} keeps a reserve"
    assert not list((home / "unfinished").glob("*"))
    return seen
