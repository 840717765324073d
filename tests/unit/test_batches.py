"""`run --fit-batch` and `--find-batch`: which batches are tried, and what is said of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.cli import main
from orchestrator.errors import ExitStatus
from orchestrator.result import Failure, Metric, Result
from orchestrator.run import batches, benchmark, series
from tests import fakes
from tests.support import stand_in

WORDS = ["run", "deep_mnist", "-f", "pytorch", "--gpus=none", "--runtime=host"]
VIEWS = series.in_views(stand_in.View)
WORDS += ["--option=behaviour=good", "--quiet"]


class Machine:
    """Runs nothing: throughputs by batch come from a function, and memory ends somewhere."""

    def __init__(self, speed: Callable[[int], float], most: int) -> None:
        self.speed, self.most = speed, most
        self.ran: list[int] = []
        self.notes: list[tuple[str, ...]] = []

    def run(
        self, request: Any, _view: Any, *, decided: Any = None, share: Any = None
    ) -> tuple[Result, ExitStatus]:
        batch = request.batch or 64
        self.ran.append(batch)
        self.notes.append(decided.notes if decided else ())
        fits = batch <= self.most
        failure = None if fits else Failure(kind="out_of_memory", message="too little memory")
        unit = "samples/s"
        found = {"throughput": Metric(value=self.speed(batch), unit=unit)} if fits else {}
        result = Result(
            benchdock="0.1.0",
            run=f"run-{len(self.ran)}",
            status="ok" if fits else "failed",
            failure=failure,
            request=request,
            plan=fakes.plan(batch=batch),
            metrics=found,
        )
        return result, ExitStatus.OK if fits else ExitStatus.BENCHMARK_FAILED


@pytest.fixture
def machine(tmp_path, monkeypatch):
    def made(speed: Callable[[int], float] = lambda batch: 10.0, most: int = 10**6) -> Machine:
        found = Machine(speed, most)
        monkeypatch.setattr(benchmark, "run", found.run)
        return found

    with stand_in.home(tmp_path):
        yield made


@pytest.mark.parametrize(
    ("asked", "most", "tried"),
    [(128, 1000, [128]), (128, 40, [128, 64, 32]), (5, 1, [5, 2, 1]), (4, 0, [4, 2, 1])],
)
def test_the_batch_is_halved_until_it_fits(machine, asked, most, tried):
    seen = machine(most=most)
    result, status = batches.Fit(stand_in.View).run(stand_in.request(batch=asked), "")
    assert seen.ran == tried
    assert (status is ExitStatus.OK) == (most > 0)
    assert result.request.batch == tried[-1]


def test_the_default_batch_is_halved_too_and_the_result_says_so(machine):
    seen = machine(most=20)
    batches.Fit(stand_in.View).run(stand_in.request(batch=None), "")
    assert seen.ran == [64, 32, 16]
    assert "the batch is 16 because 64 ran out of memory (--fit-batch)" in seen.notes[-1]
    assert seen.notes[0] == ()


def test_other_runs_of_the_series_have_the_batch_that_fits(machine, capsys):
    seen = machine(most=8)
    assert main([*WORDS, "--batch=32", "--runs=3", "--fit-batch"]) == ExitStatus.OK
    assert seen.ran == [32, 16, 8, 8, 8]
    assert "3 of 3 runs measured" in capsys.readouterr().out


def test_a_failure_of_another_kind_is_not_tried_again(machine, monkeypatch):
    seen = machine()
    failure = Failure(kind="crashed", message="no")

    def run(request, *_, **__):
        seen.ran.append(request.batch)
        failed = Result(benchdock="0.1.0", status="failed", request=request, failure=failure)
        return failed, ExitStatus.BENCHMARK_FAILED

    monkeypatch.setattr(benchmark, "run", run)
    assert main([*WORDS, "--batch=32", "--fit-batch"]) == ExitStatus.BENCHMARK_FAILED
    assert seen.ran == [32]


def saturating(batch: int) -> float:
    return min(100.0, 20.0 * batch)


def test_batches_are_doubled_until_that_gains_nothing_and_repeated_in_passes(machine):
    seen = machine(saturating)
    found = batches.find(stand_in.request(batch=None), 3, VIEWS)
    tried = [1, 2, 4, 8, 16, 32]
    assert seen.ran == tried * 3
    assert found.status is ExitStatus.OK
    assert (found.best.batch, found.enough.batch) == (8, 8)
    assert [len(one.results) for one in found.tried] == [3] * 6


def test_the_search_starts_with_the_requests_batch(machine):
    seen = machine(saturating)
    batches.find(stand_in.request(batch=6), 1, VIEWS)
    assert seen.ran == [6, 12, 24]


def test_memory_ends_the_search_and_the_batch_is_not_repeated(machine, capsys):
    seen = machine(lambda batch: 10.0 * batch, most=4)
    assert main([*WORDS, "--find-batch", "--runs=2"]) == ExitStatus.OK
    assert seen.ran == [1, 2, 4, 8, 1, 2, 4]
    told = capsys.readouterr()
    assert "the fastest batch is 4: 40.00 samples/s" in told.out
    assert "too little memory" in told.out.splitlines()[5]
    assert told.err == ""


def test_a_search_that_was_interrupted_says_so_and_shows_what_it_has(machine, monkeypatch, capsys):
    seen = machine(saturating)

    def run(request, *words, **more):
        result, status = seen.run(request, *words, **more)
        if len(seen.ran) < 8:
            return result, status
        failure = Failure(kind="interrupted", message="interrupted by SIGINT")
        failed = result.model_copy(update={"status": "failed", "failure": failure, "metrics": {}})
        return failed, ExitStatus.INTERRUPTED

    monkeypatch.setattr(benchmark, "run", run)
    assert main([*WORDS, "--find-batch"]) == ExitStatus.INTERRUPTED
    assert seen.ran == [1, 2, 4, 8, 16, 32, 1, 2]
    told = capsys.readouterr()
    assert told.err == "benchdock: interrupted by SIGINT\n"
    assert "the fastest batch is 8" in told.out


def test_a_smaller_batch_that_is_as_fast_is_named(machine, capsys):
    machine(lambda batch: {1: 50.0, 2: 99.5}.get(batch, 100.0))
    assert main([*WORDS, "--find-batch", "--runs=1"]) == ExitStatus.OK
    told = capsys.readouterr().out
    assert "the fastest batch is 4: 100.0 samples/s" in told
    assert "batch 2 is as fast within 1 %: 99.50 samples/s" in told


def test_nothing_that_fits_is_a_failure(machine, capsys):
    machine(most=0)
    words = [*WORDS, "--find-batch", "--json"]
    assert main(words) == ExitStatus.BENCHMARK_FAILED
    told = json.loads(capsys.readouterr().out)
    assert (told["best"], told["batches"][0]["failure"]) == (None, "too little memory")


@pytest.mark.parametrize("option", ["--fit-batch", "--find-batch"])
def test_a_dry_run_has_no_result_to_look_at(machine, capsys, option):
    machine()
    assert main([*WORDS, option, "--dry-run"]) == ExitStatus.BAD_REQUEST
    assert f"remove {option} or --dry-run" in capsys.readouterr().err


def test_one_of_the_two(machine, capsys):
    machine()
    assert main([*WORDS, "--fit-batch", "--find-batch"]) == ExitStatus.BAD_REQUEST
    assert "not allowed with" in capsys.readouterr().err
