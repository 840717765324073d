"""Processes that step times may follow. Their mean is 1 s unless `truth` says otherwise."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from random import Random

NOISE = 0.05
SLOW = 1.5


@dataclass(frozen=True)
class Process:
    """`steps` yields step times without end; their long-run mean is `truth`."""

    steps: Callable[[Random], Iterator[float]]
    truth: float = 1.0

    def run(self, source: Random, count: int) -> list[float]:
        return list(islice(self.steps(source), count))


def independent(source):
    while True:
        yield source.gauss(1, NOISE)


def log_normal(source):
    while True:
        yield math.exp(source.gauss(0, 0.10))


def rare(source):
    """3 % of the steps take 1.5 times as long."""
    while True:
        yield source.gauss(1, NOISE) * (SLOW if source.random() < 0.03 else 1)


def autoregressive(correlation):
    def steps(source):
        off, fresh = source.gauss(0, NOISE), NOISE * math.sqrt(1 - correlation**2)
        while True:
            yield 1 + off
            off = correlation * off + source.gauss(0, fresh)

    return steps


def phases(share, *, length=10):
    """Two levels: slow phases of 10 steps on average, which take up a share of the steps."""
    leave = {True: 1 / length, False: share / (1 - share) / length}

    def steps(source):
        slow = source.random() < share
        while True:
            yield source.gauss(1, NOISE) * (SLOW if slow else 1)
            slow ^= source.random() < leave[slow]

    return steps


def equal_phases(share, *, length=10):
    """Blocks of exactly 10 steps, of which a share is slow; a run begins anywhere in one."""

    def steps(source):
        left = source.randrange(length)
        slow = source.random() < share
        while True:
            if left == 0:
                left, slow = length, source.random() < share
            left -= 1
            yield source.gauss(1, NOISE) * (SLOW if slow else 1)

    return steps


def alternating(source, *, length=10):
    """Exactly 10 fast steps, exactly 10 slow ones, and so on."""
    number = source.randrange(2 * length)
    while True:
        yield source.gauss(1, NOISE) * (SLOW if number // length % 2 else 1)
        number += 1


def mixed(share):
    """Return the mean of steps of which a share is slow."""
    return 1 + share * (SLOW - 1)


INDEPENDENT, LOG_NORMAL = "independent, normal", "independent, log-normal (10 %)"
PROCESSES = {
    INDEPENDENT: Process(independent),
    LOG_NORMAL: Process(log_normal, math.exp(0.10**2 / 2)),
    "AR(1), 0.5": Process(autoregressive(0.5)),
    "AR(1), 0.8": Process(autoregressive(0.8)),
    "AR(1), 0.95": Process(autoregressive(0.95)),
    "3 % of steps 1.5 times as long": Process(rare, mixed(0.03)),
    "slow half the time, phases of 10 steps on average": Process(phases(0.5), mixed(0.5)),
    "slow a tenth of the time, phases of 10 steps on average": Process(phases(0.1), mixed(0.1)),
    "slow half the time, blocks of exactly 10 steps": Process(equal_phases(0.5), mixed(0.5)),
    "slow a tenth of the time, blocks of exactly 10 steps": Process(equal_phases(0.1), mixed(0.1)),
    "exactly 10 fast, 10 slow steps, alternating": Process(alternating, mixed(0.5)),
}
