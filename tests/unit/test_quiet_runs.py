"""Tells a machine that changes its speed from steps that differ by chance."""

import random

from tests.bench.quiet_runs import PHASES, Seen, alternation

DRAWN = random.Random(7)


def steps(*means):
    return [DRAWN.gauss(mean, 0.02) for mean in means]


def test_steps_by_chance_have_no_phases():
    for _ in range(200):
        assert alternation(steps(*[1.0] * 300)) > PHASES
        assert alternation(steps(*DRAWN.choices((1.0, 1.1), k=300))) > PHASES


def test_phases_of_a_machine_are_seen():
    assert alternation(steps(*[1.0] * 150, *[1.04] * 150)) < PHASES
    assert alternation(steps(*[1.0] * 120, *[1.1] * 30, *[1.0] * 150)) < PHASES


def test_equal_steps_have_no_phases():
    assert alternation([1.0] * 50) == 0.0


def test_phases_excuse_no_reason_and_a_busy_host_does():
    def told(*reasons):
        return Seen(reasons=frozenset(reasons), load=0.5, alternation=-9.0).told

    assert told("drift")
    assert not told("drift", "busy_host")
    assert not told()
