"""The verdict on a result: one test per reason, its way into every document, and the gate."""

import json
import math
import re
from dataclasses import replace
from random import Random

import pytest

from orchestrator.cli import main
from orchestrator.errors import ExitStatus
from orchestrator.machine.disturbances import GpuSeen, Seen, in_words
from orchestrator.machine.facts import MachineFacts
from orchestrator.machine.gpu_facts import Gpu, GpuHealth, GpuPulse, GpuReport
from orchestrator.machine.monitor import Monitor
from orchestrator.machine.tally import GpuTally
from orchestrator.machine.watched_gpu import Throttling
from orchestrator.metric import Metric
from orchestrator.paths import PROJECT, RunFolder, runs
from orchestrator.request import Request
from orchestrator.result import Environment, Failure, Result, StepSamples
from orchestrator.results.comparison import compare, compare_groups
from orchestrator.run import judging
from orchestrator.run.filing import to_json
from orchestrator.trust.assessment import REASONS, assess
from orchestrator.trust.facts import Clock, Facts, Filled
from orchestrator.trust.steps import steps_for
from orchestrator.trust.verdict import Code, Reason, Verdict
from orchestrator.ui.words import rows
from tests.fakes import plan
from tests.simulations.verdicts import Noise, drifting, of_two_speeds
from tests.support import stand_in
from tests.support.results import result

WORDS = ["run", "deep_mnist", "-f", "pytorch", "--batch=2", "--steps=4", "--gpus=none"]
WORDS += ["--runtime=host", "--option=behaviour=good"]
STEADY = tuple(Noise(0.005).run(Random(1), 100))
BUSY = "other processes used 40 % of the CPU before the run: load 2.0 on 2 cores"
IN_USE = "GPU 0 was in use before the run (process 7)"
SILENT = "GPU 0 stopped answering the monitor: GPU is lost"
STOLEN = "other virtual machines took 9 % of this one's CPU time"


def throttled(reason, samples, looks, *, streak=None, gpu="NVIDIA H100"):
    one = Throttling(
        gpu="gpu0",
        reason=reason,
        share=samples / looks,
        samples=samples,
        streak=streak or samples,
    )
    seen = Seen(throttling=(one,))
    return Facts(on_cpu=False, seconds=STEADY, seen=seen, gpus={"gpu0": gpu})


def seen(*, on_cpu=True, **changes):
    return Facts(on_cpu=on_cpu, seconds=STEADY, seen=Seen(**changes))


def board(before=None, after=None, **link):
    """Return the facts of one GPU, with its health before and after."""
    one = GpuSeen(before=GpuHealth(**before or {}), after=GpuHealth(**after or {}), **link)
    return seen(on_cpu=False, gpus={"gpu0": one})


def steps(seconds):
    return Facts(on_cpu=True, seconds=tuple(seconds))


def told(facts):
    """Return the verdict and the codes with their levels."""
    found = assess(facts)
    return found.trust, {(one.code, one.level) for one in found.reasons}


CASES = {
    Code.DRIFT: (steps(drifting(Noise(0.005), Random(1), 100)), "suspect"),
    Code.TWO_SPEEDS: (steps(of_two_speeds(Noise(0.005), Random(1), 100)), "suspect"),
    Code.FEW_STEPS: (steps(STEADY[:9]), "suspect"),
    Code.THROTTLED: (throttled("hardware thermal slowdown", 5, 100), "suspect"),
    Code.LOW_CLOCK: (
        Facts(on_cpu=False, clocks=(Clock(gpu="gpu0", now=1500, usual=1700),)),
        "suspect",
    ),
    Code.FOREIGN_PROCESS: (seen(on_cpu=False, in_use=(IN_USE,)), "suspect"),
    Code.GPU_SILENT: (seen(on_cpu=False, silent=(SILENT,)), "suspect"),
    Code.GPU_IDLE: (throttled("idle", 20, 100), "note"),
    Code.POWER_LIMIT: (board({"power_limit": 500.0, "power_limit_default": 700.0}), "suspect"),
    Code.XID: (seen(on_cpu=False, xids=(("gpu0", 79, 1),)), "invalid"),
    Code.MEMORY_ERRORS: (board({"ecc_uncorrected": 1}, {"ecc_uncorrected": 2}), "invalid"),
    Code.BOARD_STATE: (board(after={"recovery": 1}), "suspect"),
    Code.PCIE_LINK: (board({"pcie_width_max": 16}, pcie_width=8.0), "note"),
    Code.BUSY_HOST: (seen(busy_before=BUSY), "suspect"),
    Code.CPU_STOLEN: (seen(stolen=STOLEN), "suspect"),
    Code.SLOW_INPUT: (Facts(on_cpu=False, seconds=STEADY, fed={"gpu0": 0.5}), "note"),
    Code.MEMORY_FULL: (
        Facts(on_cpu=False, memory=(Filled(what="the memory limit", used=98, total=100),)),
        "note",
    ),
    Code.LIMIT_MISSED: (
        Facts(on_cpu=True, seconds=STEADY, missed=("--memory (2 GiB) was not applied",)),
        "suspect",
    ),
    Code.ISOLATION: (
        Facts(on_cpu=True, seconds=STEADY, shared="pyxis isolates a container less: its network"),
        "note",
    ),
}


@pytest.mark.parametrize("code", Code)
def test_each_reason_is_found_and_nothing_else(code):
    facts, level = CASES[code]
    trust, found = told(facts)
    # Steps that drift or jump are also fewer than one needs.
    more = {("few_steps", "note")} if code in (Code.DRIFT, Code.TWO_SPEEDS) else set()
    assert (trust, found - more) == ("valid" if level == "note" else level, {(code, level)})
    reason = assess(facts).reasons[0]
    assert re.fullmatch(r"[^\n.]*\S[^\n]*[^.\n]", reason.text)


def test_there_is_a_function_per_code():
    assert sorted(one.__name__ for one in REASONS) == sorted(Code)


def test_a_steady_run_on_a_quiet_machine_is_valid():
    assert assess(steps(STEADY)) == Verdict(trust="valid")


def test_a_program_without_step_times_has_no_reasons_about_steps():
    assert assess(steps(())).reasons == ()


@pytest.mark.parametrize("reason", ["power cap", "sync boost"])
def test_the_normal_states_of_a_busy_gpu_are_notes(reason):
    assert told(throttled(reason, 100, 100)) == ("valid", {("throttled", "note")})
    assert told(throttled(reason, 1, 100)) == ("valid", set())


@pytest.mark.parametrize(
    ("samples", "looks", "trust", "level"),
    [
        (1, 1001, "valid", None),
        (2, 1000, "valid", "note"),
        (20, 1000, "valid", "note"),
        (21, 1000, "suspect", "suspect"),
        (100, 1000, "suspect", "suspect"),
        (101, 1000, "invalid", "invalid"),
        (1, 3, "valid", "note"),
    ],
)
@pytest.mark.parametrize(
    "reason", ["software thermal slowdown", "hardware thermal slowdown", "hardware power brake"]
)
def test_throttling_counts_by_its_share(reason, samples, looks, trust, level):
    expected = {("throttled", level)} if level else set()
    assert told(throttled(reason, samples, looks)) == (trust, expected)


@pytest.mark.parametrize(
    ("share", "trust", "level"),
    [
        (0.001, "valid", None),
        (0.02, "valid", "note"),
        (0.1, "suspect", "suspect"),
        (0.11, "invalid", "invalid"),
    ],
)
def test_what_the_driver_counts_needs_no_samples(share, trust, level):
    one = Throttling(gpu="gpu0", reason="hardware slowdown", share=share, counted=True)
    facts = Facts(on_cpu=False, seconds=STEADY, seen=Seen(throttling=(one,)))
    assert told(facts) == (trust, {("throttled", level)} if level else set())


@pytest.mark.parametrize("reason", ["application clocks", "board limit", "reason 0x800"])
def test_settings_and_unknown_reasons_are_notes(reason):
    assert told(throttled(reason, 100, 100)) == ("valid", {("throttled", "note")})
    assert reason in assess(throttled(reason, 100, 100)).reasons[0].text


@pytest.mark.parametrize(
    ("xid", "count", "level"),
    [
        *(
            (number, 1, "note")
            for number in (13, 31, 43, 45, 68, 109, 8, 32, 69, 94, 63, 92, 154, 162)
        ),
        *(
            (number, 1, "invalid")
            for number in (46, 48, 62, 64, 74, 79, 95, 119, 120, 140, 144, 150, 172)
        ),
        (13, 2, "note"),
        (109, 3, "suspect"),
        (999, 1, "suspect"),
    ],
)
def test_an_xid_counts_by_whose_fault_it_is(xid, count, level):
    facts = seen(on_cpu=False, xids=(("gpu0", xid, count),))
    (reason,) = assess(facts).reasons
    assert (reason.level, f"Xid {xid}" in reason.text) == (level, True)


@pytest.mark.parametrize(
    ("facts", "level"),
    [
        (board({"ecc_corrected": 1}, {"ecc_corrected": 5}), "note"),
        (board({"ecc_corrected": 5}, {"ecc_corrected": 5}), None),
        (board({}, {"ecc_uncorrected": 5}), None),
        (board(after={"remap_pending": True}), "note"),
        (board(after={"pages_pending": True}), "note"),
        (board(after={"remap_failed": True}), "suspect"),
        (board(after={"fabric": 3, "fabric_degraded": True}), "suspect"),
        (board(after={"fabric": 2}), "note"),
        (board(after={"fabric": 0}), None),
        (board(after={"recovery": 99}), "suspect"),
        (board({"power_limit": 700.0, "power_limit_default": 700.0}), None),
        (board({"pcie_generation_max": 5}, pcie_generation=5.0), None),
        (board({"pcie_replays": 3}, {"pcie_replays": 82}), None),
        (board({"pcie_replays": 3}, {"pcie_replays": 83}), "suspect"),
    ],
)
def test_the_health_of_a_board_counts(facts, level):
    assert {one.level for one in assess(facts).reasons} == ({level} if level else set())


def test_a_slow_link_matters_if_data_is_read():
    facts = replace(CASES[Code.PCIE_LINK][0], reads_data=True)
    (reason,) = assess(facts).reasons
    assert (reason.level, reason.text) == (
        "suspect",
        "GPU 0 had a PCIe link of 8 lanes instead of 16 lanes",
    )


def test_a_change_of_the_clock_is_not_a_slowdown():
    """The general bit is set for a moment whenever the clock changes."""
    facts = throttled("hardware slowdown", 30, 100, streak=1)
    assert told(facts) == ("valid", {("throttled", "note")})
    assert told(throttled("hardware slowdown", 30, 100, streak=2))[0] == "invalid"


@pytest.mark.parametrize("gpu", ["Tesla T4", "Tesla K80"])
def test_boards_that_are_always_hot_are_never_invalid(gpu):
    facts = throttled("hardware thermal slowdown", 90, 100, gpu=gpu)
    assert assess(facts).trust == "suspect"


@pytest.mark.parametrize("what", [{"busy_before": BUSY}, {"stolen": STOLEN}])
def test_a_busy_host_hardly_matters_to_a_gpu(what):
    assert assess(seen(on_cpu=False, **what)).trust == "valid"


@pytest.mark.parametrize(
    ("cv", "steps_needed"), [(0.005, 1), (0.01, 4), (0.02, 16), (0.03, 35), (0.05, 97), (0.1, 385)]
)
def test_the_number_of_steps_for_one_percent(cv, steps_needed):
    """Of independent steps; the correlation of a sample is never quite 0."""
    one = steps_for(0.01, [1 + cv * source for source in _standard(4000)])
    assert steps_needed * 0.95 <= one <= max(steps_needed * 1.1, steps_needed + 1)


def _standard(count):
    """Return independent values with mean 0 and standard deviation 1."""
    source = Random(3)
    values = [source.gauss(0, 1) for _ in range(count)]
    mean = math.fsum(values) / count
    sigma = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (count - 1))
    return [(value - mean) / sigma for value in values]


def test_the_missing_steps_are_said():
    (reason,) = assess(steps(Noise(0.04).run(Random(1), 20))).reasons
    found = re.search(r"raise --steps to (\d+) \((\d+) more\) to know it within 1 %", reason.text)
    assert (reason.code, reason.level) == ("few_steps", "note")
    assert int(found[1]) - int(found[2]) == 20


def test_a_throughput_that_nobody_knows_is_suspect():
    seconds = [0.1, 0.9] * 6
    assert ("few_steps", "suspect") in told(steps(seconds))[1]


def test_a_drift_says_which_way():
    up = drifting(Noise(0.005), Random(1), 100)
    assert "slower from the first third" in assess(steps(up)).reasons[0].text
    assert "raise --warmup" in assess(steps(up[::-1])).reasons[0].text


def test_the_worst_reason_decides_and_comes_first():
    note, bad, worst = (
        Reason(code=level, level=level, text=f"a {level}")
        for level in ("note", "suspect", "invalid")
    )
    found = Verdict.of([note, bad, worst])
    assert (found.trust, found.reasons) == ("invalid", (worst, bad, note))
    assert found.in_words() == "invalid: a invalid; a suspect (note: a note)"
    assert found.in_words(("a invalid",)) == "invalid: invalid; a suspect (note: a note)"
    assert Verdict.of([note]).in_words() == "valid (note: a note)"
    assert [found.reaches(one) for one in ("valid", "suspect", "invalid")] == [False, False, True]


def test_the_monitor_counts_streaks():
    tally = GpuTally()
    for reasons in (("a",), ("a", "b"), (), ("b",), ("b",), ("b",), ("a",)):
        tally.pulse("gpu0", GpuPulse(reasons=reasons))
    assert tally.longest == {"a": 2, "b": 3}


@pytest.mark.slow
def test_what_the_monitor_saw_is_among_its_warnings(tmp_path):
    from tests.support.waiting import wait_for
    from tests.unit.test_monitor import FakeGpus, host, monitor

    def look(uuid, count):
        if uuid == "GPU-2":
            raise _gone()
        return GpuPulse(reasons=("hardware thermal slowdown",))

    gpus = FakeGpus(look)
    gpus.users = (_process(7),)
    watching = monitor(tmp_path / "monitor.jsonl", host(0.4, steal=0.5), gpus=gpus)
    with watching:
        watching.stage("timing")
        wait_for(lambda: gpus.counts.get("GPU-1", 0) > 3)
    found, warnings = watching.seen(), watching.warnings()
    assert [one.gpu for one in found.throttling] == ["gpu1"]
    assert found.throttling[0].streak == found.throttling[0].samples > 2
    assert len(found.in_use) == 2
    assert "GPU 2 stopped answering" in found.silent[0]
    sentences = (found.busy_before, found.stolen, *found.in_use, *found.silent)
    assert all(sentences)
    assert {*sentences, in_words(found.throttling[0])} <= {*warnings}


def _gone():
    from orchestrator.machine.gpu_facts import GpuGoneError

    return GpuGoneError("GPU is lost")


def _process(pid):
    from orchestrator.machine.gpu_facts import GpuProcess

    return GpuProcess(pid=pid, memory=None)


def on_gpu(**changes):
    """Return a result of training on real data on the second of two GPUs of 1,000 bytes."""
    gpus = tuple(
        Gpu(index=index, uuid=f"GPU-{index}", name="NVIDIA H100", memory_total=1000)
        for index in range(2)
    )
    machine = MachineFacts.of_this_machine(GpuReport(state="ok", reason="", gpus=gpus))
    usual = {
        "status": "ok",
        "request": Request(model="x", framework="pytorch", phase="training", data=PROJECT),
        "plan": plan(device="gpu", gpus=("GPU-1",)),
        "environment": Environment.of(machine),
        "monitor": {
            "gpu0.utilisation.mean": Metric(value=10, unit="%"),
            "gpu1.utilisation.mean": Metric(value=63, unit="%"),
        },
        "metrics": {"peak_memory": Metric(value=980, unit="bytes")},
        "steps": (StepSamples(first=0, seconds=STEADY, samples=1),),
    }
    return Result(benchdock="0.1.0", **usual | changes)


def test_the_facts_are_those_of_the_gpus_of_the_run():
    found = judging.facts(on_gpu(), Seen())
    assert not found.on_cpu
    assert found.gpus == {"gpu1": "NVIDIA H100"}
    assert found.fed == {"gpu1": 0.63}
    assert found.memory == (Filled(what="the memory of the GPU", used=980, total=1000),)
    assert found.seconds == STEADY
    words = assess(found).in_words()
    assert "GPU 1 was busy for only 63 % of the time" in words
    assert "the memory of the GPU was nearly full: 98.0 % was used" in words


@pytest.mark.parametrize("missing", ["monitor", "metrics", "environment", "steps"])
def test_a_fact_that_is_not_known_leads_to_no_reason(missing):
    default = Result.model_fields[missing].get_default(call_default_factory=True)
    verdict = judging.judged(on_gpu(**{missing: default}), None).verdict
    assert verdict.trust == "valid"
    assert len(verdict.reasons) < 2 or missing == "steps"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("now", "levels"),
    [(1700, []), (1650, []), (1640, ["note"]), (1531, ["note"]), (1529, ["suspect"])],
)
def test_the_clock_is_compared_with_this_machines_own(monkeypatch, tmp_path, now, levels):
    monkeypatch.setenv("BENCHDOCK_HOME", str(tmp_path))

    def at(number, clock, **changes):
        clocks = {"gpu1.sm_clock.mean": Metric(value=clock, unit="MHz")}
        return on_gpu(run=f"2026010{number}T120000-pytorch-alexnet-0", monitor=clocks, **changes)

    def levels_of(one):
        found = judging.judged(one, None).verdict.reasons
        return [reason.level for reason in found if reason.code == "low_clock"]

    file(at(1, 1690), at(2, 1710), at(3, 900, plan=plan(device="gpu", gpus=("GPU-1",), batch=64)))
    assert levels_of(at(9, now)) == []  # two runs are no history
    file(at(4, 1700))
    assert levels_of(at(9, now)) == levels


def file(*results):
    for one in results:
        folder = RunFolder(runs() / one.run)
        folder.root.mkdir(parents=True)
        folder.result.write_text(to_json(one))


def test_synthetic_data_needs_no_input():
    request = Request(model="x", framework="pytorch", phase="training")
    assert judging.facts(on_gpu(request=request), Seen()).fed == {}


def test_the_memory_of_the_host_and_a_limit_are_known_on_a_cpu():
    limits = replace_limits(plan(device="cpu", gpus=()), memory=1000)
    environment = Environment.made_of({"memory_total": 4000})
    monitor = {"memory_available.min": Metric(value=100, unit="bytes")}
    found = judging.facts(
        on_gpu(plan=limits, environment=environment, monitor=monitor), Seen()
    ).memory
    assert [(one.what, one.used, one.total) for one in found] == [
        ("the memory limit", 980, 1000),
        ("the memory of this machine", 3900, 4000),
    ]


def replace_limits(planned, **changes):
    return planned.model_copy(update={"limits": planned.limits.model_copy(update=changes)})


def test_a_failed_run_has_no_verdict():
    failed = on_gpu(status="failed", failure=Failure(kind="crashed", message="no"))
    assert judging.judged(failed, None).verdict is None
    assert "verdict" not in json.loads(to_json(failed))


def test_codes_of_later_versions_are_read():
    document = json.loads(to_json(judging.judged(on_gpu(), None)))
    document["verdict"]["reasons"].append({"code": "xid", "level": "invalid", "text": "Xid 79"})
    assert Result.model_validate(document).verdict.reasons[-1].words == "xid"


def test_a_verdict_is_a_line_that_repeats_no_warning():
    one = Reason(code="busy_host", level="suspect", text=BUSY)
    shown = result(verdict=Verdict.of([one]), warnings=(BUSY,))
    assert ("verdict", "suspect: busy host") in rows(shown)
    shown = result(verdict=Verdict.of([one]), warnings=())
    assert ("verdict", f"suspect: {BUSY}") in rows(shown)


def test_a_comparison_names_results_that_are_not_valid():
    doubtful = Verdict.of([Reason(code="busy_host", level="suspect", text=BUSY)])
    good, bad = result(verdict=Verdict(trust="valid")), result(run="s", verdict=doubtful)
    assert f"b is suspect: {BUSY}" in compare(good, bad).caveats
    assert not any("is suspect" in text for text in compare(good, good).caveats)
    assert f"b's run s is suspect: {BUSY}" in compare_groups((good,), (good, bad)).caveats


@pytest.fixture
def home(monkeypatch, tmp_path):
    monkeypatch.setattr(Monitor, "seen", lambda _: Seen())
    with stand_in.home(tmp_path):
        yield tmp_path


@pytest.mark.slow
def test_the_verdict_is_filed_listed_and_shown(home, capsys):
    assert main([*WORDS, "--json"]) == ExitStatus.OK
    printed = json.loads(capsys.readouterr().out)
    (folder,) = runs().iterdir()
    filed = json.loads(RunFolder(folder).result.read_text())
    assert filed["verdict"] == printed["verdict"]
    assert filed["verdict"]["trust"] == "suspect"
    assert [one["code"] for one in filed["verdict"]["reasons"]] == ["few_steps"]
    assert filed["verdict"]["reasons"][0]["text"] in filed["warnings"]
    main(["results", "--json"])
    assert json.loads(capsys.readouterr().out)["runs"][0]["trust"] == "suspect"
    main(["results", "show", folder.name, "--json"])
    assert json.loads(capsys.readouterr().out)["result"]["verdict"] == filed["verdict"]
    main(["results", "show", folder.name])
    assert re.search(r"^  verdict +suspect: few steps$", capsys.readouterr().out, re.MULTILINE)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("required", "status"), [("valid", ExitStatus.GATE_MISSED), ("suspect", ExitStatus.OK)]
)
def test_the_gate(home, capsys, required, status):
    assert main([*WORDS, "--require", required, "--quiet"]) == status
    lines = [line for line in capsys.readouterr().err.splitlines() if "--require" in line]
    assert len(list(runs().iterdir())) == 1
    if status is ExitStatus.OK:
        assert not lines
    else:
        assert len(lines) == 1
        assert lines[0].startswith("benchdock: --require valid is not met: the result is suspect: ")


def test_a_dry_run_has_no_verdict_to_require(home, capsys):
    assert main([*WORDS, "--require", "valid", "--dry-run"]) == ExitStatus.BAD_REQUEST
    assert capsys.readouterr().err == (
        "benchdock: --require valid needs a result, but --dry-run measures nothing; remove "
        "--require or --dry-run\n"
    )


def test_a_run_that_failed_keeps_its_status(home, capsys):
    words = [word.replace("behaviour=good", "behaviour=exit_1") for word in WORDS]
    assert main([*words, "--require", "valid", "--quiet"]) == ExitStatus.BENCHMARK_FAILED
    assert "--require" not in capsys.readouterr().err


def test_each_run_of_a_series_is_judged():
    good, bad = Verdict(trust="valid"), CASES[Code.BUSY_HOST][0]
    three = [result(run=f"r{n}", verdict=one) for n, one in enumerate((good, assess(bad), good))]
    assert judging.missed(three, "valid") == (
        f"--require valid is not met by 1 of 3 runs: r1 is suspect: {BUSY}"
    )
    assert judging.missed(three, "suspect") == ""
