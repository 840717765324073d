"""How often a quiet CPU run gets a verdict that it should not: `make quiet-runs RUNS=200`.

Each run is the same short benchmark in its image. Of the verdicts, only the statistical reasons
count as false: a busy host is what it says. The load is recorded, because no run is quiet on a busy
machine.

    python -m tests.bench.quiet_runs 200 [more options of `benchdock run`]
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from typing import Any

from orchestrator.paths import PROJECT

WORDS = ("run", "deep_mnist", "-f", "pytorch", "--phase", "inference", "--gpus", "none")
STEPS = ("--steps", "200", "--batch", "8")
STATISTICAL = ("drift", "two_speeds", "few_steps")
BUSY = ("busy_host", "cpu_stolen")
ALLOWED = 0.01


def result(more: tuple[str, ...]) -> dict[str, Any]:
    """Make one run. Raises CalledProcessError if it fails."""
    argv = [sys.executable, "-m", "orchestrator", *WORDS, *STEPS, *more, "--json", "--quiet"]
    done = subprocess.run(argv, cwd=PROJECT, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main() -> int:
    """Make the runs; return 1 if too many of the quiet ones have a false verdict."""
    count, more = int(sys.argv[1]), tuple(sys.argv[2:])
    quiet, false, said = 0, 0, Counter[str]()
    for number in range(count):
        found = result(more)
        reasons = {one["code"] for one in found["verdict"]["reasons"] if one["level"] != "note"}
        busy, wrong = reasons & {*BUSY}, reasons & {*STATISTICAL}
        quiet += not busy
        false += bool(wrong and not busy)
        said.update(reasons)
        load = found["monitor"].get("load.mean", {}).get("value", os.getloadavg()[0])
        words = ", ".join(sorted(reasons)) or "none"
        print(f"run {number + 1}: load {load:.1f}, reasons: {words}", flush=True)
    print(f"{count} runs, {quiet} of them quiet; {false} quiet ones with a statistical reason")
    print(f"reasons of all runs: {dict(said)}")
    return 1 if false > ALLOWED * quiet else 0


if __name__ == "__main__":
    sys.exit(main())
