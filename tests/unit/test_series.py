"""`run --runs N`: separate runs, their summary, and how a series ends early."""

import json
import os
import signal
from pathlib import Path
from types import SimpleNamespace

import pytest

from orchestrator.cli import main
from orchestrator.errors import ExitStatus, MachineError
from orchestrator.paths import runs
from orchestrator.result import Failure, Metric, Result
from orchestrator.run import benchmark, series
from orchestrator.signals import interruptible
from tests.support import stand_in

WORDS = ["run", "deep_mnist", "-f", "pytorch", "--batch=2", "--steps=4", "--gpus=none"]
WORDS += ["--runtime=host", "--option=behaviour=good"]


@pytest.fixture
def home(tmp_path):
    with stand_in.home(tmp_path):
        yield tmp_path


def result(throughput, number=0, unit="samples/s"):
    failure = None if throughput else Failure(kind="timeout", message="too slow")
    told = {"throughput": Metric(value=throughput, unit=unit)} if throughput else {}
    return Result(
        benchdock="0.1.0",
        run=f"run-{number}",
        status="failed" if failure else "ok",
        failure=failure,
        request=stand_in.request(),
        metrics=told,
    )


def of(*throughputs, unit="samples/s"):
    results = tuple(result(value, number, unit) for number, value in enumerate(throughputs))
    return series.Series(asked=len(results), results=results, status=ExitStatus.OK)


@pytest.mark.slow
def test_runs_are_separate_and_summed_up_in_one_document(home, capsys):
    assert main([*WORDS, "--runs", "3", "--json"]) == ExitStatus.OK
    told = json.loads(capsys.readouterr().out)
    assert (told["status"], told["failure"], told["asked"]) == ("ok", None, 3)
    assert told["metrics"]["throughput"] == {"value": 4, "unit": "samples/s"}
    assert {run["folder"] for run in told["runs"]} == set(map(str, runs().iterdir()))
    for run in told["runs"]:
        assert run["status"] == "ok"
        assert run["throughput"]["value"] == 4
        filed = json.loads(Path(run["folder"], "result.json").read_text())
        assert filed["run"] == run["run"]
    assert told["request"]["model"] == "deep_mnist"


@pytest.mark.slow
def test_the_summary_is_shown_under_the_runs(home, capsys):
    assert main([*WORDS, "--runs", "2"]) == ExitStatus.OK
    out, err = capsys.readouterr()
    assert out.startswith("measured\n  what")
    assert out.count("median 500.0 ms") == 2
    assert "2 of 2 runs measured\n" in out
    assert "95 % interval over 2 whole runs: 4.000 to 4.000)" in out
    ids = sorted(folder.name for folder in runs().iterdir())
    assert f"benchdock compare {' '.join(ids)} --against RUN..." in out.replace(
        f"{ids[1]} {ids[0]}", f"{ids[0]} {ids[1]}"
    )
    assert "run 2 of 2" in err


@pytest.mark.slow
def test_quiet_shows_the_summary_and_nothing_else(home, capsys):
    assert main([*WORDS, "--runs", "2", "--quiet"]) == ExitStatus.OK
    out, err = capsys.readouterr()
    assert out.startswith("\n2 of 2 runs measured\n")
    assert err == ""


@pytest.mark.slow
def test_one_run_has_no_interval(home, capsys):
    assert main([*WORDS, "--runs", "1", "--json"]) == ExitStatus.OK
    told = json.loads(capsys.readouterr().out)
    assert sorted(told["metrics"]) == ["throughput", "throughput_median"]
    assert main([*WORDS, "--runs", "1", "--quiet"]) == ExitStatus.OK
    assert "one run says nothing about variation" in capsys.readouterr().out


def test_the_interval_is_students_over_whole_runs():
    metrics = of(9.0, 10.0, 11.0).metrics()
    seconds = [1 / 9, 1 / 10, 1 / 11]
    center, spread = sum(seconds) / 3, 0.01012
    assert metrics["throughput"].value == pytest.approx(1 / center)
    assert metrics["throughput_median"].value == 10
    assert metrics["throughput_cv"].value == pytest.approx(0.1)
    low, high = (metrics[f"throughput_ci95_{end}"].value for end in ("low", "high"))
    assert 1 / low == pytest.approx(center + 4.303 * spread / 3**0.5, rel=1e-3)
    assert 1 / high == pytest.approx(center - 4.303 * spread / 3**0.5, rel=1e-3)
    assert "throughput_ci95_high" not in of(1.0, 100.0).metrics()
    assert of(9.0, 10.0, unit="tokens/s").metrics()["throughput"].unit == "tokens/s"


def test_the_first_failure_ends_the_series_with_its_status(home, capsys, monkeypatch):
    outcomes = iter([(result(4.0), ExitStatus.OK), (result(0), ExitStatus.BENCHMARK_FAILED)])
    monkeypatch.setattr(benchmark, "run", lambda *_, **__: next(outcomes))
    assert main([*WORDS, "--runs", "5", "--json"]) == ExitStatus.BENCHMARK_FAILED
    out, err = capsys.readouterr()
    told = json.loads(out)
    assert (told["status"], told["failure"]["message"]) == ("failed", "too slow")
    assert [run["status"] for run in told["runs"]] == ["ok", "failed"]
    assert told["metrics"]["throughput"]["value"] == 4
    assert "benchdock: run 2 of 5 failed: too slow\n" in err


def test_what_is_refused_at_once_is_not_a_series(home, capsys):
    words = ["run", "no_such_network", *WORDS[2:], "--runs=3"]
    assert main([*words, "--json"]) == ExitStatus.BAD_REQUEST
    told = json.loads(capsys.readouterr().out)
    assert told["error"]["exit_status"] == ExitStatus.BAD_REQUEST
    assert "runs" not in told


def test_a_machine_that_gives_up_later_leaves_the_runs_before(home, monkeypatch):
    def run(*_, **__):
        if made:
            raise MachineError("the engine is gone")
        made.append(True)
        return result(4.0), ExitStatus.OK

    made = []
    monkeypatch.setattr(benchmark, "run", run)
    found = series.measure(stand_in.request(), 3, series.in_views(stand_in.View))
    assert found.status is ExitStatus.MACHINE_CANNOT
    assert found.ended == "run 2 of 3 failed: the engine is gone"
    assert len(found.measured) == 1


@pytest.mark.slow
def test_ctrl_c_stops_the_series_and_not_only_its_run(home, monkeypatch):
    started: list[stand_in.View] = []

    class View(stand_in.View):
        def stage(self, text):
            if text.startswith("running") and len(started) == 2:
                os.kill(os.getpid(), signal.SIGINT)

    def view():
        started.append(View())
        return started[-1]

    with interruptible():
        found = series.measure(stand_in.request(), 5, series.in_views(view))
    assert found.status is ExitStatus.INTERRUPTED
    assert len(started) == 2
    assert [one.status for one in found.results] == ["ok", "failed"]
    assert found.results[1].failure.kind == "interrupted"


def test_views_are_closed_whatever_comes(home, monkeypatch):
    closed = []

    def run(*_, **__):
        raise MachineError("no")

    monkeypatch.setattr(benchmark, "run", run)
    with pytest.raises(MachineError):
        series.measure(
            stand_in.request(),
            2,
            series.in_views(
                lambda: SimpleNamespace(note=lambda _: None, close=lambda: closed.append(1))
            ),
        )
    assert closed == [1]


def test_dry_run_says_how_many(home, capsys):
    assert main([*WORDS, "--runs", "5", "--dry-run"]) == ExitStatus.OK
    assert "5, one after the other" in capsys.readouterr().out
    assert not runs().exists()


@pytest.mark.parametrize("number", ["0", "-1", "two"])
def test_a_number_of_runs_that_is_none_is_refused(number, capsys):
    assert main([*WORDS, f"--runs={number}"]) == ExitStatus.BAD_REQUEST
    assert "argument --runs" in capsys.readouterr().err
