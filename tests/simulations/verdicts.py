"""Verdicts on simulated step times: clean runs, runs that drift, and runs with two speeds."""

import math
from dataclasses import dataclass
from random import Random

from orchestrator.trust.assessment import assess
from orchestrator.trust.facts import Facts

STEP = 0.1  # seconds


@dataclass(frozen=True)
class Noise:
    """Log-normal steps; `outliers` is the share of those that take 1.5 times as long."""

    cv: float
    correlation: float = 0.0
    outliers: float = 0.0

    def run(self, source, count):
        found, off = [], source.gauss(0, 1)
        for _ in range(count):
            slow = 1.5 if source.random() < self.outliers else 1.0
            found.append(STEP * slow * math.exp(self.cv * off))
            fresh = math.sqrt(1 - self.correlation**2) * source.gauss(0, 1)
            off = self.correlation * off + fresh
        return found


CLEAN = tuple(
    Noise(cv, *more) for cv in (0.005, 0.01, 0.03) for more in ((0.0, 0.0), (0.0, 0.02), (0.7, 0.0))
)


def clean(noise, source, count):
    return noise.run(source, count)


def drifting(noise, source, count):
    """Return steps that get slower by 6 % between the middles of the first and last third."""
    return [
        one * (1 + 0.06 * 1.5 * number / count)
        for number, one in enumerate(noise.run(source, count))
    ]


def of_two_speeds(noise, source, count):
    """Return steps of which 30 % are slower by 8 %."""
    return [one * (1.08 if source.random() < 0.3 else 1) for one in noise.run(source, count)]


def share_of(make, noise, count, *, code=None, runs=200, seed=1):
    """Return the share of runs that are not valid, or that have a reason of this code."""
    source = Random(f"{seed} {noise} {count}")
    found = 0
    for _ in range(runs):
        verdict = assess(Facts(on_cpu=True, seconds=make(noise, source, count)))
        codes = [one.code for one in verdict.reasons]
        found += verdict.trust != "valid" if code is None else code in codes
    return found / runs
