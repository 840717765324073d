"""A session runs each run once, whatever ends it, and loses nothing."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from orchestrator.errors import (
    BenchdockError,
    EngineError,
    ExitStatus,
    ImageError,
    Interrupted,
    MachineError,
    RequestError,
)
from orchestrator.paths import RunFolder, runs, sessions
from orchestrator.request import Request
from orchestrator.run.filing import Desk, file_killed
from orchestrator.suites import folder, journal, resuming, state, stopping
from tests.support.sessions import Act, Bench, FakeRunner
from tests.support.suites import HEAD, loaded

SUITE = (
    f"{HEAD}defaults: {{framework: pytorch}}\nrepeat: 2\ncontrol: [{{model: resnet50}}]\n"
    "groups: {a: {matrix: {model: [vgg16, alexnet], batch: [2, 4]}}}\n"
)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setenv("BENCHDOCK_HOME", str(tmp_path / "home"))
    return Bench.of(loaded(tmp_path, SUITE))


def sized(tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setenv("BENCHDOCK_HOME", str(tmp_path / "home"))
    return Bench.of(loaded(tmp_path, text))


def names(runner: FakeRunner) -> list[str]:
    return [f"{request.model}/{request.batch or '-'}" for request in runner.ran]


PASS = ["vgg16/2", "vgg16/4", "alexnet/2", "alexnet/4"]
ALL = ["resnet50/-", *PASS, "resnet50/-", *PASS, "resnet50/-"]


def test_a_session_runs_in_passes_with_controls_first_and_last(bench: Bench) -> None:
    runner = FakeRunner()
    assert bench.go(runner) is ExitStatus.OK
    assert names(runner) == ALL
    assert bench.state.finished
    assert bench.lines.said[0] == "1/11 resnet50 pytorch/1 ok"


def test_each_run_folder_names_its_session(bench: Bench) -> None:
    bench.go()
    told = [json.loads((one / "session.json").read_text()) for one in sorted(runs().iterdir())]
    assert len(told) == 11
    assert {(one["name"], one["suite"], one["night"]) for one in told} == {
        ("nightly-20261130-0100", "nightly", "2026-11-30")
    }
    assert Counter(one["pass"] for one in told) == {1: 5, 2: 5, 3: 1}
    assert {one["digest"] for one in told} == {folder.read_facts(bench.where).digest}


def failing(**kinds: Act) -> FakeRunner:
    return FakeRunner(act=lambda request, _: kinds.get(request.model))


def test_a_failed_run_does_not_stop_the_rest(bench: Bench) -> None:
    runner = failing(vgg16="timeout")
    assert bench.go(runner) is ExitStatus.BENCHMARK_FAILED
    assert names(runner) == ALL
    assert (bench.state.count("ok"), bench.state.count("failed")) == (7, 4)


def test_a_refused_run_does_not_stop_the_rest(bench: Bench) -> None:
    runner = failing(vgg16=RequestError("no", hint="use another"))
    assert bench.go(runner) is ExitStatus.BENCHMARK_FAILED
    assert names(runner) == ALL
    assert "2/11 vgg16 pytorch batch=2/1 refused" in bench.lines.said


def test_larger_batches_are_skipped_after_one_ran_out_of_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (
        f"{HEAD}defaults: {{framework: pytorch}}\nrepeat: 2\n"
        "groups: {a: {matrix: {model: [vgg16, alexnet], batch: [1, 4, 2, 8, 16]}}}\n"
    )
    bench = sized(tmp_path, text, monkeypatch)
    runner = FakeRunner(
        act=lambda request, _: (
            "out_of_memory" if request.model == "vgg16" and (request.batch or 0) >= 4 else None
        )
    )
    assert bench.go(runner) is ExitStatus.BENCHMARK_FAILED
    assert [name for name in names(runner) if "vgg16" in name] == [
        *("vgg16/1", "vgg16/4", "vgg16/2"),
        *("vgg16/1", "vgg16/2"),
    ]
    assert len([name for name in names(runner) if "alexnet" in name]) == 10
    why = {end.message for end in bench.state.ended.values() if end.status == "skipped"}
    assert why == {"batch 4 of the same request ran out of memory"}
    # A resumed session knows it from the journal.
    again = FakeRunner()
    bench.go(again)
    assert again.ran == []


def test_only_failures_of_the_machine_are_tried_again(bench: Bench) -> None:
    runner = FakeRunner(act=lambda _, number: "engine" if number in (2, 3) else None)
    assert bench.go(runner) is ExitStatus.OK
    assert names(runner)[:4] == ["resnet50/-", "vgg16/2", "vgg16/2", "vgg16/2"]
    assert len(runner.ran) == 13
    assert runner.clock == 13 + 5 + 10
    assert "vgg16 pytorch batch=2: it is engine; trying again" in bench.lines.said


@pytest.mark.parametrize(
    "error", [EngineError("no engine", hint="start it"), ImageError("no image"), MachineError("x")]
)
def test_a_broken_machine_ends_the_session_and_nothing_counts(
    bench: Bench, error: BenchdockError
) -> None:
    broken = FakeRunner(act=lambda _, number: error if number > 1 else None)
    with pytest.raises(MachineError, match="3 runs in a row failed because of this machine"):
        bench.go(broken)
    assert len(broken.ran) == 1 + 9
    assert not bench.state.finished
    repaired = FakeRunner()
    assert bench.go(repaired) is ExitStatus.OK
    assert names(repaired) == ALL[1:]


def test_a_signal_ends_the_session_and_the_run_is_repeated(bench: Bench) -> None:
    interrupted = FakeRunner(
        act=lambda _, number: Interrupted(signal.SIGTERM) if number == 3 else None
    )
    with pytest.raises(Interrupted) as caught:
        bench.go(interrupted)
    assert caught.value.exit_status == 143
    rest = FakeRunner()
    assert bench.go(rest) is ExitStatus.OK
    assert names(rest) == ALL[2:]


def test_a_request_to_stop_ends_it_after_the_run(bench: Bench) -> None:
    runner = FakeRunner()
    assert bench.go(runner, stopped=lambda: len(runner.ran) == 4) is ExitStatus.OK
    assert len(runner.ran) == 4
    assert not bench.state.finished
    rest = FakeRunner()
    bench.go(rest)
    assert names(rest) == ALL[4:]
    assert bench.lines.said[-1].startswith("11/11 ")


def test_sigusr1_asks_to_stop() -> None:
    with stopping.on_signal() as stop:
        assert not stop()
        os.kill(os.getpid(), signal.SIGUSR1)
        assert stop()


def test_nothing_is_left_of_a_finished_session(bench: Bench) -> None:
    bench.go()
    runner = FakeRunner()
    assert bench.go(runner) is ExitStatus.OK
    assert runner.ran == []


def test_failed_runs_can_run_again(bench: Bench) -> None:
    bench.go(failing(vgg16="timeout"))
    runner = FakeRunner()
    assert bench.go(runner, rerun="failed") is ExitStatus.OK
    assert names(runner) == ["vgg16/2", "vgg16/4"] * 2
    assert bench.state.count("ok") == 11


def test_all_runs_can_run_again_and_that_can_be_resumed(bench: Bench) -> None:
    bench.go()
    some = FakeRunner()
    bench.go(some, rerun="all", stopped=lambda: len(some.ran) == 3)
    rest = FakeRunner()
    bench.go(rest)
    assert names(some) + names(rest) == ALL


def test_content_decides_what_is_done_not_the_file(tmp_path: Path, bench: Bench) -> None:
    bench.go(stopped=iter([False] * 5 + [True] * 99).__next__)
    changed = SUITE.replace("[vgg16, alexnet]", "[vgg19, vgg16]").replace(
        "batch:", "warmup: [1], batch:"
    )
    bench.loaded = loaded(tmp_path, changed.replace("warmup: [1], ", ""), "other.yaml")
    runner = FakeRunner()
    bench.go(runner)
    assert names(runner)[:2] == ["vgg19/2", "vgg19/4"]
    assert Counter(names(runner)) == {
        **dict.fromkeys(("vgg19/2", "vgg19/4"), 2),
        **dict.fromkeys(("vgg16/2", "vgg16/4"), 1),
        "resnet50/-": 2,
    }


def test_a_short_budget_costs_repeats_and_keeps_the_last_control(bench: Bench) -> None:
    bench.budget = 8.5
    bench.known = {cell.digest: 1.0 for cell in bench.cells}
    runner = FakeRunner()
    assert bench.go(runner) is ExitStatus.OK
    assert names(runner) == [*ALL[:7], "resnet50/-"]
    skipped = [end for end in bench.state.ended.values() if end.status == "skipped"]
    assert {end.message for end in skipped} == {"the budget of this session is used up"}
    assert len(skipped) == 3
    rest = FakeRunner()
    bench.go(rest)
    assert names(rest) == ALL[7:10]


def test_what_a_session_spent_is_known_to_the_next_process(bench: Bench) -> None:
    asked = iter([False, False, False, True])
    bench.go(stopped=lambda: next(asked))
    assert bench.state.spent == 3.0
    bench.go()
    assert bench.state.spent == len(ALL)
    with journal.Journal(bench.where.journal) as log:
        log.append("rerun", what="all")
    assert bench.state.spent == 0.0


def test_a_long_run_that_does_not_fit_makes_room_for_a_short_one(bench: Bench) -> None:
    bench.budget = 10
    bench.known = {
        cell.digest: 100.0 if cell.settings["model"] == "vgg16" else 1.0 for cell in bench.cells
    }
    runner = FakeRunner()
    bench.go(runner)
    assert names(runner) == [name for name in ALL if "vgg16" not in name]


def test_a_clock_that_jumps_changes_nothing(bench: Bench) -> None:
    runner = FakeRunner(seconds=lambda _: -3600.0)
    assert bench.go(runner) is ExitStatus.OK
    assert names(runner) == ALL


# What a kill leaves behind


def open_run(bench: Bench, *, filed: bool) -> RunFolder:
    """Leave a run as a kill during it does: started in the journal, with a folder."""
    cell = bench.cells[0]
    desk = Desk.open(Request(model="resnet50", framework="pytorch"))
    with journal.Journal(bench.where.journal) as log:
        log.append("begin", schema=1)
        log.append("start", digest=cell.digest, **{"pass": 1}, run=desk.folder.run_id)
    desk.close()
    if filed:
        (runs() / desk.folder.run_id / "result.json").write_text(
            json.dumps({"benchdock": "0", "status": "ok", "run": desk.folder.run_id})
        )
    return desk.folder


def test_a_result_that_was_filed_before_the_kill_is_not_lost(bench: Bench) -> None:
    kept = open_run(bench, filed=True)
    runner = FakeRunner()
    bench.go(runner)
    assert names(runner) == ALL[1:]
    assert bench.state.ended[bench.cells[0].digest, 1].run == kept.run_id


def test_a_run_without_a_result_runs_again(bench: Bench) -> None:
    open_run(bench, filed=False)
    runner = FakeRunner()
    bench.go(runner)
    assert names(runner) == ALL


@pytest.mark.parametrize("what", ["all", "result", "half"])
def test_a_run_folder_may_be_deleted(bench: Bench, what: str) -> None:
    gone = open_run(bench, filed=True)
    if what == "all":
        shutil.rmtree(gone.root)
    elif what == "result":
        gone.result.unlink()
    else:
        gone.result.write_text('{"benchdock": "0", "sta')
    runner = FakeRunner()
    bench.go(runner)
    assert names(runner) == ALL


@pytest.mark.parametrize("cut", [1, 5, 20])
def test_a_torn_last_line_is_ignored(bench: Bench, cut: int) -> None:
    bench.go(stopped=iter([False] * 3 + [True] * 9).__next__)
    text = bench.where.journal.read_bytes()
    before_stop = text[: text.rindex(b'{"event":"stop"')]
    bench.where.journal.write_bytes(before_stop[:-cut])  # of the end of the third run
    runner = FakeRunner()
    bench.go(runner)
    # Its result was filed, so it is not lost.
    assert names(runner) == ALL[3:]
    bench.go(FakeRunner(), rerun="all")
    assert bench.state.count("ok") == 11


def test_a_damaged_line_in_the_middle_is_refused(bench: Bench) -> None:
    bench.go()
    lines = bench.where.journal.read_bytes().splitlines(keepends=True)
    bench.where.journal.write_bytes(b"".join([*lines[:3], b"{x\n", *lines[4:]]))
    with pytest.raises(RequestError, match=r"journal.jsonl:4: this is not a line of a journal"):
        bench.go()


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ({"event": "begin", "schema": 9}, "written by another version of benchdock"),
        ({"event": "end", "digest": "x", "pass": "y"}, "cannot read the event 'end'"),
        ({"event": "end", "digest": "x", "pass": 1, "status": "odd"}, "status: it should be"),
        ({"event": "start", "digest": "x"}, "cannot read the event 'start'"),
    ],
)
def test_a_journal_of_another_version_is_refused(
    bench: Bench, line: dict[str, object], told: str
) -> None:
    bench.where.journal.write_text(json.dumps(line) + "\n")
    with pytest.raises(RequestError, match=told):
        bench.go()


def test_an_unknown_event_is_passed_over(bench: Bench) -> None:
    bench.where.journal.write_text('{"event":"later","x":1}\n')
    assert bench.go() is ExitStatus.OK


def test_a_full_disk_ends_the_session_in_one_line(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    runner = FakeRunner()

    def stopped() -> bool:
        if len(runner.ran) == 2:
            monkeypatch.setattr(journal.os, "write", full)
        return False

    with pytest.raises(MachineError, match=r"journal.jsonl: No space left on device; free some"):
        bench.go(runner, stopped=stopped)
    monkeypatch.undo()
    monkeypatch.setenv("BENCHDOCK_HOME", str(bench.where.root.parents[1]))
    rest = FakeRunner()
    bench.go(rest)
    assert names(rest) == ALL[2:]


# Folders


def test_two_sessions_at_once_are_refused(bench: Bench) -> None:
    with (
        folder.only_session("first"),
        pytest.raises(MachineError, match=r"session first \(process \d+\) is running") as caught,
        folder.only_session("second"),
    ):
        pass
    assert "kill -USR1" in str(caught.value)
    with folder.only_session("third"):
        pass


def test_sessions_of_one_minute_get_numbers(bench: Bench) -> None:
    again = Bench.of(bench.loaded)
    assert again.where.name == "nightly-20261130-0100-2"
    assert [one.name for one in folder.existing()] == [bench.where.name, again.where.name]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("nightly-20261130-0100", "exists already; use --resume --name nightly-20261130-0100"),
        ("../x", "'../x' is not a name for a session"),
        ("A", "is not a name for a session"),
        ("", "is not a name for a session"),
    ],
)
def test_a_name_that_cannot_be_used(bench: Bench, name: str, told: str) -> None:
    from datetime import datetime

    with pytest.raises(RequestError, match=None) as caught:
        folder.create(bench.loaded, datetime(2026, 11, 30, 1, 0), name)
    assert told in str(caught.value)


def test_an_unknown_session_has_a_suggestion(bench: Bench) -> None:
    with pytest.raises(RequestError, match="did you mean 'nightly-20261130-0100'"):
        folder.named("nightly-20261130-010")


def test_a_session_of_another_version_is_refused(bench: Bench) -> None:
    told = json.loads(bench.where.facts.read_text())
    bench.where.facts.write_text(json.dumps({**told, "schema": 2}))
    with pytest.raises(RequestError, match=r"schema: .*another version of benchdock"):
        folder.read_facts(bench.where)


def test_a_home_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "home").write_text("")
    monkeypatch.setenv("BENCHDOCK_HOME", str(tmp_path / "home"))
    with pytest.raises(MachineError, match="set BENCHDOCK_HOME to a writable folder"):
        Bench.of(loaded(tmp_path, SUITE))


# Real kills

PROGRAM = """
import sys, time, random
from pathlib import Path
from tests.support.sessions import Bench, FakeRunner, file_result
from tests.support.suites import HEAD
from orchestrator.suites import folder, loading
from orchestrator.run.filing import file_killed

class Slow(FakeRunner):
    def __call__(self, request, view, on_folder):
        def slowly(folder):
            on_folder(folder)
            time.sleep(0.004)
        return file_result(request, slowly)

file_killed()
(where,) = folder.existing()
bench = Bench(loaded=loading.load(Path(sys.argv[1])), where=where)
print("ready", flush=True)
bench.go(Slow())
print("finished", flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(int(os.environ.get("KILLS", "2"))))
def test_kills_at_any_moment_lose_nothing_and_repeat_nothing(
    bench: Bench, tmp_path: Path, seed: int
) -> None:
    """Each of up to ten kills is a SIGKILL between begin and end of a session of 11 runs."""
    import random

    chance = random.Random(seed)
    for _ in range(10):
        with subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(tmp_path / "suite.yaml")],
            stdout=subprocess.PIPE,
            text=True,
        ) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
            try:
                child.wait(chance.uniform(0.0, 0.05))
            except subprocess.TimeoutExpired:
                child.kill()
    file_killed()
    bench.go()
    ends = bench.state.ended
    assert bench.state.finished
    assert len(ends) == 11
    assert {end.status for end in ends.values()} == {"ok"}
    kept = Counter(told_status(one) for one in runs().iterdir())
    interrupted = kept.pop("interrupted", 0)
    # No run has two results, and none that was measured is missing from the journal.
    assert kept == {"ok": 11}
    assert interrupted <= 10
    assert {end.run for end in ends.values()} == {
        one.name for one in runs().iterdir() if told_status(one) == "ok"
    }
    # A kill may leave the file of a note that never got its name.
    notes = (sessions().parent / "unfinished").iterdir()
    assert [note for note in notes if not note.name.startswith(".")] == []


def told_status(one: Path) -> str:
    told = json.loads((one / "result.json").read_text())
    return str(told["failure"]["kind"] if told["failure"] else told["status"])


def test_what_is_done_is_known_by_content_and_pass(bench: Bench) -> None:
    from orchestrator.suites.turns import turns

    bench.go(stopped=iter([False] * 2 + [True] * 9).__next__)
    done = [turn.round for turn in turns(bench.cells) if bench.state.is_done(turn)]
    assert done == [1, 1]
    assert all(isinstance(key, tuple) for key in map(state.key_of, turns(bench.cells)))
    assert resuming.read(bench.where).begins == 1
