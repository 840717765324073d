"""How often a quiet CPU run gets a verdict that it should not: `make quiet-runs RUNS=200`.

Each run is the same short benchmark in its image. Of the verdicts, only the statistical reasons
count as false: a busy host is what it says. The load is recorded, because no run is quiet on a busy
machine.

A virtual machine changes its speed with its neighbours, and a drift or two speeds that follow are
true. They show as phases: slow steps come one after the other, by the runs test of Wald and
Wolfowitz (1940). That excuses no reason, because most runs without one have phases too: 206 of 281
on such a machine. So it is only printed, and on such a machine this fails.

    python -m tests.bench.quiet_runs 200 [more options of `benchdock run`]
"""

from __future__ import annotations

import itertools
import json
import math
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from backends.harness.events import TAG
from orchestrator import stats
from orchestrator.paths import PROJECT, RunFolder, runs

WORDS = ("run", "deep_mnist", "-f", "pytorch", "--phase", "inference", "--gpus", "none")
STEPS = ("--steps", "500", "--batch", "8")
STATISTICAL = ("drift", "two_speeds", "few_steps")
BUSY = ("busy_host", "cpu_stolen")
ALLOWED = 0.01
# Standard errors: shuffled steps alternate so rarely in 3 of 100,000 runs.
PHASES = -4.0


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A run's reasons beyond notes, its load, and the statistic of the runs test of its steps."""

    reasons: frozenset[str]
    load: float
    alternation: float

    @property
    def quiet(self) -> bool:
        """Return whether nothing else was busy."""
        return not self.reasons & {*BUSY}

    @property
    def told(self) -> bool:
        """Return whether a quiet run has a statistical reason."""
        return self.quiet and bool(self.reasons & {*STATISTICAL})

    @property
    def has_phases(self) -> bool:
        """Return whether slow and fast steps alternate more rarely than by chance."""
        return self.alternation <= PHASES


def alternation(seconds: Sequence[float]) -> float:
    """Return how often steps cross the middle of the usual ones, in standard errors from chance."""
    ordered = sorted(seconds)
    middle = (stats.percentile(ordered, 10) + stats.percentile(ordered, 90)) / 2
    slow = [value > middle for value in seconds]
    count, above = len(slow), sum(slow)
    expected = 1 + 2 * above * (count - above) / count
    variance = (expected - 1) * (expected - 2) / (count - 1)
    crossings = 1 + sum(one != other for one, other in itertools.pairwise(slow))
    return (crossings - expected) / math.sqrt(variance) if variance > 0 else 0.0


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
        alternation=alternation(_steps(RunFolder(runs() / found["run"]))),
    )


def _steps(folder: RunFolder) -> list[float]:
    lines = folder.log.read_text("utf-8").splitlines()
    told = [json.loads(line.removeprefix(TAG)) for line in lines if line.startswith(TAG)]
    return [one for event in told if event["event"] == "steps" for one in event["seconds"]]


def main() -> int:
    """Make the runs; return 1 if too many of the quiet ones have a reason."""
    count, more = int(sys.argv[1]), tuple(sys.argv[2:])
    made = []
    for number in range(count):
        one = seen(more)
        made.append(one)
        words = ", ".join(sorted(one.reasons)) or "none"
        print(
            f"run {number + 1}: load {one.load:.1f}, alternation {one.alternation:+.1f}, "
            f"reasons: {words}",
            flush=True,
        )
    quiet = [one for one in made if one.quiet]
    told = [one for one in quiet if one.told]
    others = [one for one in quiet if not one.told]
    print(f"{count} runs, {len(quiet)} of them quiet; {len(told)} quiet ones with a reason")
    print(
        f"phases: {sum(one.has_phases for one in told)} of the {len(told)} quiet runs with a "
        f"reason, {sum(one.has_phases for one in others)} of the {len(others)} without"
    )
    print(f"reasons of all runs: {dict(Counter(word for one in made for word in one.reasons))}")
    return 1 if len(told) > ALLOWED * len(quiet) else 0


if __name__ == "__main__":
    sys.exit(main())
