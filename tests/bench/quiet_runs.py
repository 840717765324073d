"""How often a quiet CPU run gets a verdict that it should not: `make quiet-runs RUNS=200`.

Each run is the same short benchmark in its image, on one CPU. Of the verdicts, only the statistical
reasons count as false: a busy host is what it says. The load is recorded, because no run is quiet
on a busy machine.

A virtual machine changes its speed with its neighbours, and a drift or two speeds that follow are
true. A witness takes 1 % of the same CPU for a loop that is timed in CPU time, fifty times a
second: only while it keeps its speed is the machine quiet.

    python -m tests.bench.quiet_runs 200 [more options of `benchdock run`]
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from backends.harness.events import TAG
from orchestrator import stats
from orchestrator.paths import PROJECT, RunFolder, runs

WORDS = ("run", "deep_mnist", "-f", "pytorch", "--phase", "inference", "--gpus", "none")
STEPS = ("--steps", "500", "--batch", "8", "--threads", "1")
STATISTICAL = ("drift", "two_speeds", "few_steps")
BUSY = ("busy_host", "cpu_stolen")
ALLOWED = 0.01
# The share by which the witness' speed varies without a neighbour; with one it was 50 % and more.
STEADY = 0.05
TURNS, PAUSE = 10_000, 0.02  # of the witness' loop, some 0.15 ms; seconds
BLOCK = 7  # loops, of which the median counts


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A run's reasons beyond notes, its load, and how far the CPU's speed varied meanwhile."""

    reasons: frozenset[str]
    load: float
    varied: float

    @property
    def quiet(self) -> bool:
        """Return whether nothing else was busy, and the CPU kept its speed."""
        return not self.reasons & {*BUSY} and self.varied <= STEADY

    @property
    def false(self) -> bool:
        """Return whether this quiet run has a statistical reason."""
        return self.quiet and bool(self.reasons & {*STATISTICAL})


class Witness:
    """Times a loop on one CPU until the `with` block ends."""

    def __init__(self, cpu: int) -> None:
        self._cpu = cpu
        self._ended = threading.Event()
        self._looks: list[tuple[float, float]] = []
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        os.sched_setaffinity(0, {self._cpu})  # of this thread
        while not self._ended.wait(PAUSE):
            begin = time.thread_time()
            for _ in range(TURNS):
                pass
            self._looks.append((time.monotonic(), time.thread_time() - begin))

    def varied(self, begin: float, end: float) -> float:
        """Return by what share the slowest block of loops was slower than the fastest."""
        seconds = [took for now, took in self._looks if begin <= now <= end]
        blocks = [seconds[at : at + BLOCK] for at in range(0, len(seconds) - BLOCK + 1, BLOCK)]
        medians = [stats.median(block) for block in blocks]
        return max(medians) / min(medians) - 1


def seen(more: tuple[str, ...]) -> Seen:
    """Make one run beside a witness. Raises CalledProcessError if it fails."""
    cpu = min(os.sched_getaffinity(0))
    argv = [
        sys.executable, "-m", "orchestrator", *WORDS, *STEPS, f"--prefix=taskset -c {cpu}", *more,
        "--json", "--quiet",
    ]  # fmt: skip
    with Witness(cpu) as witness:
        done = subprocess.run(
            argv,
            cwd=PROJECT,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            check=True,
        )
    found: dict[str, Any] = json.loads(done.stdout)
    return Seen(
        reasons=frozenset(
            one["code"] for one in found["verdict"]["reasons"] if one["level"] != "note"
        ),
        load=found["monitor"].get("load.mean", {}).get("value", os.getloadavg()[0]),
        varied=witness.varied(*_window(found["run"])),
    )


def _window(run: str) -> tuple[float, float]:
    """Return the begin of the first and the end of the last step, on the monotonic clock."""
    log = RunFolder(runs() / run).log.read_text("utf-8")
    told = [json.loads(line.removeprefix(TAG)) for line in log.splitlines() if line.startswith(TAG)]
    blocks = [event for event in told if event["event"] == "steps"]
    return blocks[0]["ended"] - blocks[0]["block_seconds"], blocks[-1]["ended"]


def main() -> int:
    """Make the runs; return 1 if too many of the quiet ones have a false verdict."""
    count, more = int(sys.argv[1]), tuple(sys.argv[2:])
    made = []
    for number in range(count):
        one = seen(more)
        made.append(one)
        words = ", ".join(sorted(one.reasons)) or "none"
        print(
            f"run {number + 1}: load {one.load:.1f}, the CPU's speed varied by "
            f"{100 * one.varied:.0f} %, reasons: {words}",
            flush=True,
        )
    quiet, false = sum(one.quiet for one in made), sum(one.false for one in made)
    print(f"{count} runs, {quiet} of them quiet; {false} quiet ones with a statistical reason")
    print(f"reasons of all runs: {dict(Counter(word for one in made for word in one.reasons))}")
    return 1 if false > ALLOWED * quiet else 0


if __name__ == "__main__":
    sys.exit(main())
