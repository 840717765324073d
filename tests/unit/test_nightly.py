"""A night runs its suite, confirms suspects at its end, and says what it means."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import pytest

from orchestrator.errors import EngineError, ExitStatus, Interrupted
from orchestrator.nightly import causes, night
from orchestrator.nights import CONTROL, SERIES, Judgement, decisions, files, past, telling
from orchestrator.request import Request
from orchestrator.suites.models import Gate
from tests.support.fleet import MACHINE, SUITE, Fleet, of, verdicts
from tests.support.nights import decision, series
from tests.support.nights import night as told
from tests.support.sessions import Act


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a home with four quiet nights."""
    root = tmp_path_factory.mktemp("quiet")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCHDOCK_HOME", str(root / "home"))
        Fleet(root).nights(4)
    return root / "home"


@pytest.fixture
def fleet(quiet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fleet:
    """Return a fleet after four quiet nights."""
    shutil.copytree(quiet, tmp_path / "home")
    monkeypatch.setenv("BENCHDOCK_HOME", str(tmp_path / "home"))
    return Fleet(tmp_path)


ALL = {"resnet50": "ok", "vgg16": "ok", "alexnet": "ok"}


def test_the_first_three_nights_have_no_verdict_and_the_fourth_is_quiet(fleet: Fleet) -> None:
    fourth, *others = files.newest("nightly")
    assert [set(verdicts(one).values()) for one in others] == [{"no data"}] * 3
    assert (verdicts(fourth), [len(one.runs) for one in fourth.series]) == (ALL, [6, 5, 5])
    assert telling.is_quiet(fourth)
    assert telling.subject(fourth) == "nightly: 3 of 3 series ran; the machine is as before"
    assert telling.exit_status(fourth) is ExitStatus.OK


def test_a_slower_series_is_confirmed_the_same_night_at_its_end(fleet: Fleet) -> None:
    fleet.nights(2)
    fleet.factors["vgg16"] = 0.95
    slow = fleet.night()
    assert verdicts(slow) == {**ALL, "vgg16": "regressed"}
    one = of(slow, "vgg16")
    assert [request.model for request in fleet.ran[16:]] == ["vgg16"] * 5
    assert [run.extra for run in one.runs] == [False] * 5 + [True] * 5
    assert one.judgement.change == pytest.approx(-0.05, abs=0.01)
    assert (one.cause, one.judgement.nights) == ("framework", 6)
    assert telling.exit_status(slow) is ExitStatus.GATE_MISSED
    lines = telling.lines(slow)
    assert lines[0].startswith("nightly: 3 of 3 series ran; 1 got slower: vgg16 pytorch -")
    assert lines[0].endswith("; the machine is as before")
    assert "confirmed by 5 more runs" in lines[1]
    assert lines[2] == f"if it is meant to be so: benchdock accept {one.key} --why REASON"


def test_suspects_are_run_again_in_passes(fleet: Fleet) -> None:
    fleet.factors = {"vgg16": 0.95, "alexnet": 0.94}
    slow = fleet.night()
    keys = [one.key for one in telling.changed(slow, "regressed")]
    assert set(keys) == {of(slow, "vgg16").key, of(slow, "alexnet").key}
    accept = f"benchdock accept {' '.join(keys)} --why REASON"
    assert f"if it is meant to be so: {accept}" in telling.lines(slow)
    assert [request.model for request in fleet.ran[16:]] == ["vgg16", "alexnet"] * 5


def test_a_disturbance_is_cleared_and_leaves_no_trace_in_the_history(fleet: Fleet) -> None:
    fleet.factors["vgg16"] = 0.95

    def over_after_the_passes(request: Request, number: int) -> Act:
        if number > 16:
            fleet.factors.clear()
        return None

    fleet.act = over_after_the_passes
    cleared = fleet.night()
    assert verdicts(cleared) == ALL
    assert of(cleared, "vgg16").judgement.value == pytest.approx(100, rel=0.005)
    known = past.of(files.newest("nightly"), MACHINE).history(of(cleared, "vgg16").key)
    assert len(known[-1]["runs"]) == 5
    assert min(known[-1]["runs"]) > 98


def test_a_regression_stays_one_until_it_is_accepted(fleet: Fleet) -> None:
    fleet.factors["vgg16"] = 0.95
    key = of(fleet.night(), "vgg16").key
    again = fleet.night()
    assert of(again, "vgg16").judgement.verdict == "regressed"
    decisions.append("nightly", decision(again.number, key))
    after = fleet.night()
    assert verdicts(after) == ALL
    assert of(after, "vgg16").judgement.baseline == pytest.approx(95, rel=0.005)
    assert [one.why for one in of(after, "vgg16").decisions] == ["new driver"]
    assert of(fleet.night(), "vgg16").decisions == ()


def test_a_slower_machine_is_not_a_slower_framework_and_its_night_does_not_count(
    fleet: Fleet,
) -> None:
    fleet.factors["machine"] = 0.95
    slow = fleet.night()
    assert set(verdicts(slow).values()) == {"regressed"}
    assert {one.cause for one in slow.series} == {"machine"}
    assert telling.subject(slow).endswith(slow.uncounted.replace("was", "is"))
    assert slow.uncounted.endswith("% slower")
    fleet.factors.clear()
    assert {one.judgement.nights for one in fleet.night().series} == {4}


def test_failed_runs_keep_a_series_out_and_say_why(fleet: Fleet) -> None:
    fleet.act = lambda request, _: "crashed" if request.model == "vgg16" else None
    failed = fleet.night()
    one = of(failed, "vgg16")
    assert one.judgement.sentence == "no verdict: no run worked"
    assert (one.uncounted, failed.uncounted) == ("5 of 5 runs failed", "5 of 16 runs failed")
    assert telling.exit_status(failed) is ExitStatus.BENCHMARK_FAILED
    assert "vgg16 pytorch: 5 of 5 runs failed or missing: crashed: it is crashed" in telling.lines(
        failed
    )
    fleet.act = lambda _request, _number: None
    assert of(fleet.night(), "vgg16").judgement.nights == 4


def test_an_engine_that_is_gone_ends_the_night_with_one_line(fleet: Fleet) -> None:
    fleet.act = lambda _request, _number: EngineError("the engine does not answer")
    dead = fleet.night()
    assert (
        "3 runs in a row failed because of this machine: the engine does not answer"
        in (dead.problems[0])
    )
    assert telling.subject(dead).startswith("nightly: 0 of 3 series ran; 3 runs in a row failed")
    assert (telling.exit_status(dead), dead.uncounted) == (
        ExitStatus.BENCHMARK_FAILED,
        "3 of 3 runs failed",
    )


def test_a_signal_ends_the_night_and_what_was_measured_is_judged(fleet: Fleet) -> None:
    fleet.factors["vgg16"] = 0.9
    fleet.act = lambda _request, number: Interrupted(15) if number == 12 else None
    cut = fleet.night()
    assert fleet.interrupted is not None
    assert len(fleet.ran) == 12
    assert of(cut, "vgg16").judgement.verdict == "ambiguous"
    assert cut.problems == ("the night was interrupted by SIGTERM",)


def test_a_short_budget_costs_repeats_and_leaves_a_tenth_for_suspects(fleet: Fleet) -> None:
    fleet.factors["vgg16"] = 0.95
    fleet.budget = 13.0
    short = fleet.night()
    planned = [run for one in short.series for run in one.runs if not run.extra]
    assert sum(run.status == "completed" for run in planned) == 11
    assert all(any(run.throughput for run in one.runs) for one in short.series)
    assert [request.model for request in fleet.ran[11:]] == ["vgg16", "vgg16"]
    assert telling.exit_status(short) is ExitStatus.BENCHMARK_FAILED
    assert telling.lines(short)[-1] == (
        "5 runs of 3 series did not start: the budget of this session is used up"
    )
    assert (short.uncounted, {one.uncounted for one in short.series}) == (None, {None})


def test_somebody_may_stop_a_night(fleet: Fleet) -> None:
    fleet.stopped = lambda: True
    assert fleet.night().problems == ("somebody stopped the night",)


def test_what_cannot_run_here_is_missing(tmp_path: Path, fleet: Fleet) -> None:
    fleet.text = SUITE.replace("{model: alexnet}", "{model: alexnet, framework: mxnet}")
    found = of(fleet.night(), "alexnet")
    assert [run.message for run in found.runs] == ["mxnet is not here"]
    assert found.uncounted == "1 of 1 run failed"


def test_a_series_that_lost_its_history_is_told_once(fleet: Fleet) -> None:
    before = of(next(files.newest("nightly")), "vgg16").key
    fleet.image = "sha256:a"  # with a plan, what runs is known better than by its request
    (told, *others) = (line for line in fleet.night().problems if "vgg16" in line)
    assert told.startswith("vgg16 pytorch is a new series without history")
    assert f"it was {before} and is vgg16-pytorch-training-" in told
    assert (others, fleet.night().problems) == ([], ())


def test_a_series_that_left_the_suite_is_told_once(fleet: Fleet) -> None:
    fleet.text = SUITE.replace("{model: vgg16}, ", "")
    assert fleet.night().problems == ("no longer in the suite: vgg16 pytorch",)
    assert fleet.night().problems == ()


def test_a_muted_series_is_judged_but_not_reported(fleet: Fleet) -> None:
    key = of(next(files.newest("nightly")), "vgg16").key
    until = date(2026, 11, 5)
    decisions.append("nightly", decision(4, key, kind="mute", why="known", until=until))
    fleet.factors["vgg16"] = 0.95
    muted = fleet.night()
    one = of(muted, "vgg16")
    assert (one.judgement.verdict, one.muted) == ("regressed", "known")
    assert (telling.is_quiet(muted), telling.exit_status(muted)) == (True, ExitStatus.OK)
    assert not telling.is_quiet(fleet.night())


def judged(verdict: str, change: float, limit: float = 0.02) -> Judgement:
    return Judgement(verdict=verdict, change=change, limit=limit)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("controls", "machine"),
    [
        ([], None),
        ([judged("no data", 0)], None),
        ([judged("ok", -0.001)], 0.0),
        ([judged("regressed", -0.03), judged("regressed", -0.02)], -0.025),
        ([judged("regressed", -0.03), judged("ok", 0)], 0.0),
        ([judged("regressed", -0.03), judged("improved", 0.03)], 0.0),
        ([judged("improved", 0.03)], 0.03),
    ],
)
def test_the_machine_is_off_if_all_controls_agree(
    controls: list[Judgement], machine: float | None
) -> None:
    assert causes.machine_change(controls) == (
        machine if machine is None else pytest.approx(machine)
    )


@pytest.mark.parametrize(
    ("verdict", "change", "machine", "cause"),
    [
        ("ok", -0.01, -0.03, None),
        ("regressed", -0.03, None, None),
        ("regressed", -0.03, 0.0, "framework"),
        ("regressed", -0.03, -0.03, "machine"),
        ("regressed", -0.10, -0.03, "framework"),
        ("improved", 0.03, -0.03, "framework"),
    ],
)
def test_a_series_is_off_because_of_the_machine_only_if_it_is_off_as_much(
    verdict: str, change: float, machine: float | None, cause: str | None
) -> None:
    assert causes.of(judged(verdict, change), machine) == cause


def test_what_changed_since_the_baseline_is_listed() -> None:
    before = told(1, series(facts={"image": "sha256:a", "framework": "2.1"}), facts={"driver": "5"})
    found = causes.changes(
        {"image": "sha256:b", "framework": "2.1"}, {"driver": "6"}, (before, before.series[0])
    )
    assert [(one.label, one.before, one.after) for one in found] == [
        ("image", "sha256:a", "sha256:b"),
        ("driver", "5", "6"),
    ]


def test_the_suite_can_set_floor_and_further_runs() -> None:
    gate = Gate(slower=0.01, confirm=(3,))
    rule = night.rule_of(gate, is_control=False)
    assert (rule.floor, rule.suspect, rule.stages) == (0.01, 0.005, (3,))
    assert night.rule_of(gate, is_control=True).floor == CONTROL.floor
    assert night.rule_of(Gate(), is_control=False) == SERIES


def test_a_long_night_is_cut_to_fifteen_lines() -> None:
    many = told(1, *(series(f"s{n}", title=f"s{n}", runs=()) for n in range(40)))
    lines = telling.lines(many)
    assert len(lines) == 15
    assert lines[-1] == "and 27 more lines: `benchdock nightly status nightly`"
