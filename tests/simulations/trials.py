"""What is simulated: intervals of single runs, and comparisons of groups of runs."""

import math
from dataclasses import dataclass
from random import Random

from orchestrator import stats
from orchestrator.results.ratio import ratio
from tests.simulations.processes import PROCESSES

RUNS = 2000
COUNTS = (10, 20, 100, 1000)
WITHIN = 0.01  # noise of a run's steps
STEPS = 20
SPREADS = (0.0, 0.005, 0.01, 0.02)
GROUPS = ((2, 2), (2, 5), (3, 3), (5, 5), (10, 10))


@dataclass(frozen=True)
class Coverage:
    """Of so many simulated runs."""

    runs: int
    withheld: int
    covered: int

    @property
    def share(self):
        """Return the share of the intervals given that hold the truth."""
        return self.covered / (self.runs - self.withheld)

    @property
    def share_withheld(self):
        return self.withheld / self.runs


def coverage(name, count, *, runs=RUNS, seed=1):
    process, source = PROCESSES[name], Random(f"{seed} {name} {count}")
    withheld = covered = 0
    for _ in range(runs):
        try:
            low, high = stats.throughput_interval(process.run(source, count), count)
        except stats.NoInterval:
            withheld += 1
            continue
        covered += low <= 1 / process.truth <= high
    return Coverage(runs, withheld, covered)


def throughputs(source, runs, spread, *, faster=1.0):
    """Return the throughputs of separate runs whose true ones vary from run to run."""
    noise = WITHIN / math.sqrt(STEPS)
    return [
        faster * math.exp(source.gauss(0, spread)) / source.gauss(1, noise) for _ in range(runs)
    ]


def heavy(source, runs, spread):
    """Return throughputs of which every tenth was disturbed by five times the spread."""
    return [
        math.exp(source.gauss(0, spread) * (5 if source.random() < 0.1 else 1)) for _ in range(runs)
    ]


def seen(sides, spread, *, faster=1.0, runs=RUNS, seed=1, make=throughputs):
    """Return the share of comparisons that assert a difference."""
    source = Random(f"{seed} {sides} {spread} {faster} {make.__name__}")
    found = 0
    for _ in range(runs):
        a, b = (make(source, count, spread) for count in sides)
        found += ratio(a, [faster * value for value in b]).visible
    return found / runs
