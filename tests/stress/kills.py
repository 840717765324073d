"""Signals at random moments of a run: everything that can be filed is filed, and nothing is left
behind.
"""

from __future__ import annotations

import os
import random
import secrets
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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
LONGEST = 1.5  # s until the blow, from the interpreter's start or from the making of the run folder


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


@contextmanager
def _hearing() -> Iterator[None]:
    """Start what hears all signals: a shell's background job or nohup would have some ignored."""
    deaf = [number for number in SIGNALS[1:] if signal.getsignal(number) is signal.SIG_IGN]
    for number in deaf:
        signal.signal(number, signal.SIG_DFL)
    try:
        yield
    finally:
        for number in deaf:
            signal.signal(number, signal.SIG_IGN)


def _notes(home: Path) -> set[Path]:
    return set((home / "unfinished").glob("*.json"))


def _await_begin(process: subprocess.Popen[bytes], home: Path, before: set[Path]) -> None:
    while process.poll() is None and not _notes(home) - before:
        time.sleep(0.002)


def blow(
    number: signal.Signals,
    after: float,
    home: Path,
    more: Sequence[str] = (),
    *,
    begun: bool = False,
) -> int:
    """Hit one run, `after` seconds from its start, or from when it has `begun` to be one.

    Returns its exit status. Raises AssertionError if it is not as it must be.
    """
    mark = f"9{secrets.randbelow(10**8):08}"
    known, notes = set((home / "runs").glob("*")), _notes(home)
    with _hearing():
        process = subprocess.Popen(
            command(mark, more),
            env=environment(home),
            cwd=PROJECT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    if begun:
        _await_begin(process, home, notes)
    time.sleep(after)
    process.send_signal(number)
    _, err = process.communicate(timeout=120)
    status = process.returncode
    told = f"{number.name} after {after:.3f} s: status {status}, {err.decode()}"
    new = set((home / "runs").glob("*")) - known
    # Python's own start is not ours: there a signal ends it as it ends any other, or with a trace.
    early = not new and (status == -number or b"orchestrator" not in err)
    if number != signal.SIGKILL:
        assert status in (0, 128 + number) or (early and status != 70), told
        for run in new:
            assert (run / "result.json").is_file(), told
    assert b"Traceback" not in err or early, told
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
        # Most of the time is the interpreter's: three in four come later.
        begun = count // len(SIGNALS) % 4 != 3
        status = blow(kind, chance.uniform(0.0, LONGEST), home, more, begun=begun)
        seen[f"{kind.name} -> {status}"] += 1
    listing = [sys.executable, "-m", "orchestrator", "results", "--all"]
    subprocess.run(listing, env=environment(home), cwd=PROJECT, check=True, capture_output=True)
    for run in (home / "runs").glob("*"):
        assert (run / "result.json").is_file(), f"{run} has no result"
        assert not list(run.glob(".*")), f"{run} keeps a reserve"
    assert not list((home / "unfinished").glob("*"))
    return seen
