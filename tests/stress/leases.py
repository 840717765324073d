"""SIGKILL at random moments of processes that want GPUs: two never have the same one."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from orchestrator.paths import PROJECT
from tests.stress.kills import environment

GPUS = tuple(f"GPU-{number:08d}" for number in range(4))
MOST_AT_ONCE = 5
# Holds some GPUs for a while. Each has a file that says which process has it: another that is not
# gone has the same GPU.
HOLDER = """
import json, os, sys, time
from pathlib import Path
from orchestrator import shared_lock
from orchestrator.machine import leases
from orchestrator.machine.processes import Owner
folder, seconds, gpus = Path(sys.argv[1]), float(sys.argv[2]), sys.argv[3:]
shared_lock.FOLDERS = (folder,)
here = Owner.here()
try:
    with leases.held(gpus, f"process {os.getpid()}"):
        for gpu in gpus:
            path = folder / f"holder-{gpu}"
            other = path.read_text() if path.exists() else ""
            if other and not Owner.of(json.loads(other)).is_gone(here):
                os._exit(9)
            path.write_text(json.dumps(here.labels()))
        time.sleep(seconds)
        for gpu in gpus:
            (folder / f"holder-{gpu}").write_text("")
except leases.TakenError:
    os._exit(3)
"""
OUTCOMES = {0: "held", 3: "refused", 9: "shared", -signal.SIGKILL: "killed"}


def attack(starts: int, seed: int, home: Path) -> Counter[str]:
    """Start and kill processes; return what became of them. Raises AssertionError."""
    chance = random.Random(seed)
    locks = home / "locks"
    locks.mkdir(parents=True)
    locks.chmod(0o1777)
    seen: Counter[str] = Counter()
    running: list[tuple[subprocess.Popen[bytes], float]] = []
    for _ in range(starts):
        gpus = chance.sample(GPUS, chance.choice((1, 1, 2, 4)))
        process = _start(home, chance.uniform(0.0, 0.3), gpus)
        # Half of them are killed; importing takes a tenth of a second.
        until = time.monotonic() + (chance.uniform(0.0, 0.5) if chance.random() < 0.5 else 60.0)
        running.append((process, until))
        while len(running) >= MOST_AT_ONCE:
            running = _still(running, seen)
    while running:
        running = _still(running, seen)
    assert not seen["shared"], f"two runs shared a GPU (seed {seed}): {seen}"
    return seen


def _start(home: Path, seconds: float, gpus: list[str]) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-c", HOLDER, str(home / "locks"), str(seconds), *gpus]
    return subprocess.Popen(words, env=environment(home), cwd=PROJECT, stdin=subprocess.DEVNULL)


def _still(
    running: list[tuple[subprocess.Popen[bytes], float]], seen: Counter[str]
) -> list[tuple[subprocess.Popen[bytes], float]]:
    """Kill those whose time has come, count those that ended, return the others."""
    left = []
    for process, until in running:
        if process.poll() is None and time.monotonic() >= until:
            process.kill()
            process.wait()
        if process.returncode is None:
            left.append((process, until))
        else:
            seen[OUTCOMES[process.returncode]] += 1
    time.sleep(0.005)
    return left
