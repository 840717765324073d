"""How often a quiet CPU run gets a verdict that it should not: `make quiet-runs RUNS=200`.

Each run is the same short benchmark in its image. Of the verdicts, only the statistical reasons
can be false: a busy host is what it says. The load is recorded, because no run is quiet on a busy
machine.

A virtual machine changes its speed with its neighbours, and then these reasons are true. The run
itself tells: every second step and the steps between them see the same machine, one after the
other, but share no chance. A reason counts as false unless both halves show what it says. A drift
must go the same way in both, by half its threshold and two standard errors (1 in 1,000 by chance).
Of two speeds, slow steps must stand beside slow steps: a correlation of 0.5 between a step and the
next. Too few steps is true if the run shows one of these, which makes its mean uncertain.
As a control, the same is asked of the steps in a random order and of runs without a reason.

    python -m tests.bench.quiet_runs 200 [more options of `benchdock run`]
"""

from __future__ import annotations

import json
import os
import random
import statistics
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from backends.harness.events import TAG
from orchestrator import stats
from orchestrator.paths import PROJECT, RunFolder, runs
from orchestrator.trust.steps import DRIFT

WORDS = ("run", "deep_mnist", "-f", "pytorch", "--phase", "inference", "--gpus", "none")
STEPS = ("--steps", "500", "--batch", "8")
STATISTICAL = ("drift", "two_speeds", "few_steps")
BUSY = ("busy_host", "cpu_stolen")
ALLOWED = 0.01
HALF_ERRORS = 2.0
ALIKE = 0.5


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A run's reasons beyond notes, its load, and its step times in seconds."""

    reasons: frozenset[str]
    load: float
    seconds: Sequence[float]

    @property
    def quiet(self) -> bool:
        """Return whether nothing else was busy."""
        return not self.reasons & {*BUSY}

    @property
    def statistical(self) -> frozenset[str]:
        """Return the statistical reasons of a quiet run."""
        return self.reasons & {*STATISTICAL} if self.quiet else frozenset()

    @property
    def false(self) -> frozenset[str]:
        """Return the statistical reasons that the halves of the run do not both show."""
        return frozenset(one for one in self.statistical if not shown_twice(one, self.seconds))


def shown_twice(reason: str, seconds: Sequence[float]) -> bool:
    """Return whether the odd and the even steps both show what a reason says."""
    shown = {"drift": drifts_twice(seconds), "two_speeds": alike(seconds) >= ALIKE}
    return any(shown.values()) if reason == "few_steps" else shown[reason]


def drifts_twice(seconds: Sequence[float]) -> bool:
    """Return whether both halves drift the same way."""
    odd, even = (
        stats.drift(half, least=DRIFT / 2, errors=HALF_ERRORS)
        for half in (seconds[::2], seconds[1::2])
    )
    return odd * even > 0


def alike(seconds: Sequence[float]) -> float:
    """Return the correlation of "slow" between each odd step and the even one after it."""
    ordered = sorted(seconds)
    middle = (stats.percentile(ordered, 10) + stats.percentile(ordered, 90)) / 2
    slow = [value > middle for value in seconds]
    odd, even = slow[: len(slow) // 2 * 2 : 2], slow[1::2]
    if len({*odd}) < 2 or len({*even}) < 2:
        return 0.0
    return statistics.correlation(odd, even)


def seen(more: tuple[str, ...]) -> Seen:
    """Make one run. Raises CalledProcessError if it fails."""
    argv = [sys.executable, "-m", "orchestrator", *WORDS, *STEPS, *more, "--json", "--quiet"]
    done = subprocess.run(argv, cwd=PROJECT, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return Seen(
        reasons=frozenset(
            one["code"] for one in found["verdict"]["reasons"] if one["level"] != "note"
        ),
        load=found["monitor"].get("load.mean", {}).get("value", os.getloadavg()[0]),
        seconds=_steps(RunFolder(runs() / found["run"])),
    )


def _steps(folder: RunFolder) -> list[float]:
    lines = folder.log.read_text("utf-8").splitlines()
    told = [json.loads(line.removeprefix(TAG)) for line in lines if line.startswith(TAG)]
    return [one for event in told if event["event"] == "steps" for one in event["seconds"]]


def report(made: Sequence[Seen]) -> bool:
    """Print the counts and the controls; return whether few enough reasons were false."""
    quiet = [one for one in made if one.quiet]
    told = [one for one in quiet if one.statistical]
    false = [one for one in quiet if one.false]
    print(
        f"{len(made)} runs, {len(quiet)} of them quiet: {len(told)} have a statistical reason, "
        f"{len(false)} a false one"
    )
    drawn = random.Random(1)
    shuffled = [drawn.sample(one.seconds, len(one.seconds)) for one in quiet]
    others = [one.seconds for one in quiet if not one.statistical]
    for name, control in (("in random order", shuffled), ("without a reason", others)):
        drifting = sum(map(drifts_twice, control))
        paired = sum(alike(seconds) >= ALIKE for seconds in control)
        print(
            f"control, {name}: of {len(control)} quiet runs, {drifting} drift in both halves and "
            f"{paired} have slow steps beside slow ones"
        )
    print(f"reasons of all runs: {dict(Counter(word for one in made for word in one.reasons))}")
    return len(false) <= ALLOWED * len(quiet)


def main() -> int:
    """Make the runs; return 1 if too many of the quiet ones have a false reason."""
    count, more = int(sys.argv[1]), tuple(sys.argv[2:])
    made = []
    for number in range(count):
        one = seen(more)
        made.append(one)
        words = ", ".join(sorted(one.reasons)) or "none"
        wrong = f"; false: {', '.join(sorted(one.false))}" if one.false else ""
        print(f"run {number + 1}: load {one.load:.1f}, reasons: {words}{wrong}", flush=True)
    return 0 if report(made) else 1


if __name__ == "__main__":
    sys.exit(main())
