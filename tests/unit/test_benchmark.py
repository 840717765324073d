"""From a request to a filed result, with a stand-in program on the host runtime."""

import errno
import json
import os
import signal
from dataclasses import replace

import pytest

from orchestrator.errors import ExitStatus, ImageError, Interrupted, MachineError, RequestError
from orchestrator.machine.facts import MachineFacts
from orchestrator.machine.gpu_facts import GpuReport
from orchestrator.machine.processes import Owner
from orchestrator.parsers import parse
from orchestrator.paths import PROJECT, RunFolder
from orchestrator.result import Result
from orchestrator.run import benchmark, conclusion
from orchestrator.run.facts import ThisMachine
from orchestrator.run.filing import to_json
from orchestrator.run.place import Place
from orchestrator.runtimes.host.runtime import HostRuntime
from orchestrator.signals import ENDING, interruptible
from tests.misbehaving import BEHAVIOUR, OPTIONS, PROGRAM
from tests.support.stand_in import View, request

FILES = {
    *("request.json", "launcher.sh", "log.txt", "out"),
    *("engine.log", "result.json", "monitor.jsonl"),
}


@pytest.fixture(autouse=True)
def stand_in(monkeypatch, tmp_path):
    monkeypatch.setitem(OPTIONS, "behaviour", BEHAVIOUR)
    monkeypatch.setenv("BENCHDOCK_HOME", str(tmp_path))

    def ready_place(*_):
        return Place(
            runtime="host", reason="test", python=str(PROGRAM), code=PROJECT
        ), HostRuntime()

    monkeypatch.setattr(benchmark, "ready_place", ready_place)


def folder(tmp_path):
    (found,) = (tmp_path / "runs").iterdir()
    return found


def test_a_measured_run_is_filed_whole(tmp_path):
    view = View()
    result, status = benchmark.run(request(), view)
    assert status is ExitStatus.OK
    assert result.status == "ok"
    assert result.metrics["throughput"].value == 4.0
    assert result.plan.runtime == "host"
    assert {"check", "image", "start", "run"} <= set(result.timings)
    assert view.results == [result]
    filed = folder(tmp_path)
    assert {path.name for path in filed.iterdir()} == FILES
    assert filed.joinpath("result.json").read_text() == to_json(result)
    again = parse("benchdock", filed / "log.txt")
    assert (again.metrics, again.steps) == (result.metrics, result.steps)


def test_a_failed_run_is_filed_whole_and_has_no_throughput(tmp_path):
    result, status = benchmark.run(request("nan"), View())
    assert status is ExitStatus.BENCHMARK_FAILED
    assert result.failure.kind == "no_result"
    assert "throughput" not in result.metrics
    assert {path.name for path in folder(tmp_path).iterdir()} == FILES


@pytest.mark.parametrize(
    ("error", "kind", "status"),
    [
        (ImageError("no image", details=("last line",)), "image", ExitStatus.MACHINE_CANNOT),
        (MachineError("no disk"), "engine", ExitStatus.MACHINE_CANNOT),
        (Interrupted(signal.SIGTERM), "interrupted", ExitStatus.TERMINATED),
    ],
)
def test_what_fails_before_the_start_is_filed_too(monkeypatch, tmp_path, error, kind, status):
    def refuse(*_):
        raise error

    monkeypatch.setattr(benchmark, "ready_place", refuse)
    view = View()
    result, found = benchmark.run(request(), view)
    assert found is status
    assert result.failure.kind == kind
    assert result.failure.message == str(error)
    assert view.notes == list(error.details)
    filed = folder(tmp_path)
    assert json.loads((filed / "result.json").read_text())["status"] == "failed"
    # All but the script, which nobody wrote.
    assert {path.name for path in filed.iterdir()} == FILES - {"launcher.sh"}


def a_bug(*_):
    raise KeyError("State")


def no_descriptors(*_):
    raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


def bug_of_the_monitor(monkeypatch):
    monkeypatch.setattr(benchmark.Monitor, "summary", a_bug)


def bug_of_the_place(monkeypatch):
    monkeypatch.setattr(benchmark, "ready_place", a_bug)


def bug_of_the_planner(monkeypatch):
    monkeypatch.setattr(benchmark, "make_plan", a_bug)


@pytest.mark.parametrize("bug", [bug_of_the_monitor, bug_of_the_place, bug_of_the_planner])
def test_a_bug_is_filed_and_then_reported(monkeypatch, tmp_path, bug):
    bug(monkeypatch)
    view = View()
    with pytest.raises(KeyError, match="State"):
        benchmark.run(request(), view)
    filed = Result.model_validate_json((folder(tmp_path) / "result.json").read_text())
    assert view.results == [filed]
    assert filed.status == "failed"
    assert filed.failure.message == "this is a bug in benchdock: KeyError: 'State'"
    assert list((tmp_path / "unfinished").iterdir()) == []


def test_what_the_machine_lacks_is_not_a_bug(monkeypatch, tmp_path):
    monkeypatch.setattr(benchmark, "ready_place", no_descriptors)
    result, status = benchmark.run(request(), View())
    assert status is ExitStatus.MACHINE_CANNOT
    assert result.failure.kind == "engine"
    assert "Too many open files; run `ulimit" in result.failure.message
    assert (folder(tmp_path) / "result.json").exists()


def test_a_result_that_no_json_can_hold_is_filed_without_what_it_cannot(monkeypatch, tmp_path):
    read = MachineFacts.of_this_machine
    monkeypatch.setattr(
        MachineFacts, "of_this_machine", lambda r: read(r).model_copy(update={"odd": "\udcff"})
    )
    with pytest.raises(ValueError, match="surrogates not allowed"):
        benchmark.run(request(), View())
    filed = Result.model_validate_json((folder(tmp_path) / "result.json").read_text())
    assert filed.status == "failed"
    assert "bug" in filed.failure.message


def test_a_result_from_which_nothing_can_be_derived_is_filed(monkeypatch, tmp_path):
    def refused(_result):
        raise RequestError("unknown model 'mine'")

    monkeypatch.setattr(conclusion, "derived", refused)
    benchmark.run(request(), View())
    filed = Result.model_validate_json((folder(tmp_path) / "result.json").read_text())
    assert filed.failure.message == "unknown model 'mine'"


@pytest.mark.slow
@pytest.mark.parametrize("number", ENDING)
def test_a_signal_before_the_run_can_be_stopped_is_filed(monkeypatch, tmp_path, number):
    """It comes between the folder's making and the first step, where nothing could clean up."""
    opened = benchmark.Desk.open

    def open_and_be_hit(asked):
        desk = opened(asked)
        os.kill(os.getpid(), number)
        return desk

    monkeypatch.setattr(benchmark.Desk, "open", open_and_be_hit)
    with interruptible():
        result, status = benchmark.run(request(), View())
    assert status == 128 + number
    assert result.failure.kind == "interrupted"
    assert (folder(tmp_path) / "result.json").exists()


def test_a_signal_while_the_result_is_filed_comes_after_it(monkeypatch, tmp_path):
    written = benchmark.Desk.file

    def be_hit_and_file(desk, result):
        os.kill(os.getpid(), signal.SIGTERM)
        return written(desk, result)

    monkeypatch.setattr(benchmark.Desk, "file", be_hit_and_file)
    view = View()
    with pytest.raises(Interrupted), interruptible():
        benchmark.run(request(), view)
    filed = Result.model_validate_json((folder(tmp_path) / "result.json").read_text())
    assert filed.status == "ok"
    assert view.results == [filed]


def test_a_run_whose_benchdock_was_killed_is_filed_by_the_next(tmp_path):
    run = RunFolder.named("deep_mnist", "pytorch")
    run.root.mkdir(parents=True)
    (tmp_path / "unfinished").mkdir()
    dead = replace(Owner.here(), start="1")
    (tmp_path / "unfinished" / f"{run.run_id}.json").write_text(json.dumps(dead.labels()))
    view = View()
    benchmark.run(request(), view)
    filed = Result.model_validate_json(run.result.read_text())
    assert filed.failure.kind == "interrupted"
    assert "was killed" in filed.failure.message
    assert any(run.run_id in note for note in view.notes)


def test_a_run_that_fell_back_to_the_cpu_says_so(monkeypatch, tmp_path):
    broken = GpuReport(state="not_loaded", reason="its kernel module is not loaded")
    monkeypatch.setattr(ThisMachine, "gpu", broken)
    asked = request(gpus=None, runtime="host")
    for result in (benchmark.dry_run(asked), benchmark.run(asked, View())[0]):
        assert any("its kernel module is not loaded" in doubt for doubt in result.warnings)


def test_what_only_a_broken_gpu_could_do_is_not_a_wrong_request(monkeypatch, tmp_path):
    broken = GpuReport(state="not_loaded", reason="its kernel module is not loaded")
    monkeypatch.setattr(ThisMachine, "gpu", broken)
    asked = request(gpus=None, dtype="float16")
    for start in (benchmark.dry_run, lambda one: benchmark.run(one, View())):
        with pytest.raises(MachineError, match="its kernel module is not loaded"):
            start(asked)
    assert not (tmp_path / "runs").exists()


def test_a_wrong_request_leaves_nothing(tmp_path):
    with pytest.raises(RequestError):
        benchmark.run(request(model="x"), View())
    assert not (tmp_path / "runs").exists()


def test_a_home_that_cannot_be_written_is_a_line(monkeypatch, tmp_path):
    blocked = tmp_path / "file"
    blocked.touch()
    monkeypatch.setenv("BENCHDOCK_HOME", str(blocked))
    with pytest.raises(MachineError, match="BENCHDOCK_HOME"):
        benchmark.run(request(), View())


def test_a_result_survives_the_round_trip(tmp_path):
    result, _ = benchmark.run(request(), View())
    assert Result.model_validate_json(to_json(result)) == result
