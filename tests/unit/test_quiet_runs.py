"""Tells a machine that changes its speed from steps that differ by chance."""

import random

from tests.bench.quiet_runs import Seen, alike, drifts_twice, report

DRAWN = random.Random(7)


def steps(*means):
    return [DRAWN.gauss(mean, 0.02) for mean in means]


def run(*reasons, seconds=()):
    return Seen(reasons=frozenset(reasons), load=0.5, seconds=seconds)


def test_a_drift_by_chance_is_in_one_half_at_most():
    assert sum(drifts_twice(steps(*[1.0] * 300)) for _ in range(1000)) <= 5
    slow_odd = [
        one + 0.05 * (number > 150 and number % 2) for number, one in enumerate(steps(*[1.0] * 300))
    ]
    assert not drifts_twice(slow_odd)


def test_a_machine_that_gets_slower_drifts_in_both_halves():
    assert drifts_twice(steps(*[1.0] * 150, *[1.04] * 150))
    assert drifts_twice(steps(*[1.04] * 150, *[1.0] * 150))


def test_two_speeds_by_chance_are_not_side_by_side():
    for _ in range(200):
        assert alike(steps(*DRAWN.choices((1.0, 1.2), k=300))) < 0.5


def test_two_speeds_of_a_machine_are_side_by_side():
    assert alike(steps(*[1.0] * 120, *[1.2] * 60, *[1.0] * 120)) > 0.5


def test_equal_steps_show_nothing():
    assert alike([1.0] * 50) == 0.0
    assert not drifts_twice([1.0] * 50)


def test_only_a_quiet_run_has_a_false_reason():
    chance = steps(*[1.0] * 300)
    assert run("drift", "two_speeds", "few_steps", seconds=chance).false == {
        "drift", "two_speeds", "few_steps",
    }  # fmt: skip
    assert not run("drift", "busy_host", seconds=chance).false
    assert not run(seconds=chance).false
    drifting = steps(*[1.0] * 150, *[1.1] * 150)
    assert not run("drift", seconds=drifting).false
    assert not run("few_steps", seconds=drifting).false  # what drifts has no certain mean


def test_one_false_reason_in_a_hundred_quiet_runs_is_allowed():
    chance = steps(*[1.0] * 300)
    good, wrong = run(seconds=chance), run("drift", seconds=chance)
    assert report([good] * 99 + [wrong])
    assert not report([good] * 98 + [wrong] * 2)
    assert not report([good] * 98 + [run("busy_host", seconds=chance), wrong])
