"""The rule that judges nights: what it says, of which nights, and how often it errs."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.nights import CONTROL, judge
from orchestrator.nights.history import levels
from orchestrator.nights.weeks import advise, group
from tests.simulations.machines import tell
from tests.simulations.nights import WORLDS, fleet, ramps

BASE, MIXED = WORLDS[0], WORLDS[2]


def night(*runs, verdict="ok", accepted=False):
    return {"runs": list(runs), "verdict": verdict, "accepted": accepted}


def around(value, spread=0.005):
    """Return five runs around a value."""
    return [value * (1 + spread * step) for step in (-1, -0.5, 0, 0.5, 1)]


QUIET = [night(*around(100 * (1 + 0.001 * (-1) ** n))) for n in range(20)]


def never(count):
    raise AssertionError("a quiet night was run again")


def more(value):
    return lambda count: [value] * count


def test_a_quiet_night_is_ok_without_more_runs():
    judged = judge(QUIET, around(100.2), never)
    assert (judged.verdict, judged.extra, judged.nights) == ("ok", (), 20)
    assert judged.value == pytest.approx(100.2, rel=1e-3)
    assert judged.baseline == pytest.approx(100, rel=1e-2)
    assert judged.sentence.endswith(f"within the limit of {100 * judged.limit:.1f} %")


@pytest.mark.parametrize(("factor", "verdict"), [(0.95, "regressed"), (1.05, "improved")])
def test_a_change_is_confirmed_by_more_runs(factor, verdict):
    judged = judge(QUIET, around(100 * factor), more(100 * factor))
    assert judged.verdict == verdict
    assert len(judged.extra) == 5
    assert judged.change == pytest.approx(factor - 1, abs=2e-3)
    assert "confirmed by 5 more runs" in judged.sentence


def test_a_disturbed_night_is_cleared_and_its_place_is_that_of_the_new_runs():
    judged = judge(QUIET, around(95), more(100))
    assert judged.verdict == "ok"
    assert judged.value == pytest.approx(100, rel=1e-3)
    assert "not confirmed" in judged.sentence


def test_what_stays_open_is_ambiguous_after_all_stages():
    judged = judge(QUIET, around(95), more(98.9))
    assert judged.verdict == "ambiguous"
    assert len(judged.extra) == 15


def test_runs_that_failed_again_leave_it_open():
    judged = judge(QUIET, around(95), lambda count: [])
    assert (judged.verdict, judged.extra) == ("ambiguous", ())


@pytest.mark.parametrize(("history", "tonight"), [([], [100.0]), (QUIET[:2], [100.0]), (QUIET, [])])
def test_too_little_is_no_verdict(history, tonight):
    judged = judge(history, tonight, never)
    assert judged.verdict == "no data"
    assert judged.change is None
    assert judged.sentence.startswith("no verdict")


def test_regressed_and_invalid_nights_do_not_move_the_baseline():
    bad = [night(*around(90), verdict="regressed"), night(*around(50), verdict="invalid")]
    assert judge(QUIET + bad * 10, around(100), never).baseline == pytest.approx(100, rel=1e-2)


def test_an_accepted_night_is_the_new_level():
    history = [*QUIET, night(*around(90), verdict="regressed", accepted=True)]
    judged = judge(history, around(90), never)
    assert (judged.verdict, judged.nights) == ("ok", 1)
    assert judge(history, around(100), more(100)).verdict == "improved"


def test_an_improvement_that_holds_three_nights_is_the_new_level():
    faster = night(*around(105), verdict="improved")
    assert judge([*QUIET, faster, faster], around(105), more(105)).verdict == "improved"
    held = [*QUIET, faster, faster, faster]
    assert judge(held, around(105), never).verdict == "ok"
    assert judge(held, around(100), more(100)).verdict == "regressed"
    broken = [*QUIET, faster, faster, night(*around(100)), faster]
    assert len(levels(broken)) == 1


def test_a_control_is_judged_more_sharply():
    steady = [night(*around(100, 0.001)) for _ in range(20)]
    assert judge(steady, around(98.6, 0.001), more(98.6)).verdict == "ambiguous"
    control = judge(steady, around(98.6, 0.001), more(98.6), rule=CONTROL)
    assert control.verdict == "regressed"


def test_a_noisy_series_says_what_it_can_show():
    noisy = [night(*around(100, 0.04)) for _ in range(20)]
    judged = judge(noisy, around(97, 0.04), more(97))
    assert judged.verdict != "regressed"
    assert judged.resolution > 0.02


def test_neighbours_that_drift_make_a_young_series_careful():
    young = [night(*around(100)) for _ in range(4)]
    single = judge(young, around(97), more(97))
    assert single.verdict == "regressed"
    assert judge(young, around(97), more(97), neighbours=0.01).limit > single.limit


_RUNS = st.lists(st.floats(1e-3, 1e9), max_size=12)
_NIGHT = st.fixed_dictionaries(
    {
        "runs": _RUNS,
        "verdict": st.sampled_from(("ok", "regressed", "improved", "ambiguous", "no data")),
        "accepted": st.booleans(),
    }
)


@given(history=st.lists(_NIGHT, max_size=12), tonight=_RUNS, again=_RUNS)
def test_any_history_gets_a_verdict(history, tonight, again):
    judged = judge(history, tonight, lambda count: again[:count])
    assert judged.sentence
    numbers = (judged.value, judged.baseline, judged.change, judged.limit, judged.resolution)
    assert all(number is None or math.isfinite(number) for number in numbers)
    assert (judged.change is None) == (judged.verdict == "no data")


def test_a_lasting_step_is_advised_and_one_bad_night_is_not():
    wave = [0.001 * math.sin(1.7 * n) for n in range(40)]
    assert advise(wave) is None
    assert advise([*wave[:-1], -0.2]) is None
    stepped = [value - (0.01 if n >= 30 else 0) for n, value in enumerate(wave)]
    found = advise(stepped)
    assert found is not None
    assert (found.first, round(found.step, 3)) == (30, -0.01)


def test_a_group_does_not_move_when_a_member_is_missing():
    slow, fast = dict.fromkeys(range(5), 1.0), dict.fromkeys((0, 1, 2, 4), 9.0)
    assert group([slow, fast, {}]) == [0.0] * 5


@pytest.mark.slow
def test_the_rule_errs_as_seldom_as_its_page_says():
    seen = fleet(BASE)
    assert seen.false_share <= 0.002 + 1 / seen.nights
    assert seen.found_share(-0.03) >= 0.95
    assert seen.found_share(-0.05) == 1
    assert seen.extra_share <= 0.08


@pytest.mark.slow
def test_it_holds_for_steady_and_noisy_series_together():
    seen = fleet(MIXED, nights=40)
    assert len(seen.false) <= 1
    assert seen.found_share(-0.03) >= 0.75


@pytest.mark.slow
def test_a_slow_ramp_is_found_in_the_mean_of_ten_series():
    found, false = ramps(BASE, groups=6)
    assert (found, false) == (1, 0)


@pytest.mark.slow
def test_a_slower_machine_is_told_from_a_slower_framework():
    nothing, machine, framework, both = (
        tell(machine=of_machine, framework=of_framework, nights=100)
        for of_machine, of_framework in ((0, 0), (-0.02, 0), (0, -0.03), (-0.03, -0.06))
    )
    assert (nothing.out, nothing.slower) == (0, 0)
    assert machine.out_share >= 0.99
    assert machine.machine_share == 1
    assert framework.out_share <= 0.01
    assert framework.slower_share >= 0.95
    assert framework.machine_share == 0
    assert (both.out_share, both.machine_share) == (1, 0)
