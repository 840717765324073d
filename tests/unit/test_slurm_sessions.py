"""A session on a cluster makes every run once, whatever becomes of tasks, nodes and watchers."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.errors import ExitStatus, Interrupted, MachineError
from orchestrator.paths import RunFolder, runs
from orchestrator.record_files import read_file
from orchestrator.request import Request
from orchestrator.result import Result
from orchestrator.slurm import arrays, task
from orchestrator.slurm.folder import ClusterFolder
from orchestrator.slurm.programs import UnheardError
from orchestrator.slurm.queue import Task
from orchestrator.slurm.task import Given
from orchestrator.store import rows
from orchestrator.suites import journal
from tests.support import slurm_cases
from tests.support.fake_slurm import FakeSlurm, Fate
from tests.support.sessions import Bench
from tests.support.suites import HEAD, loaded

SUITE = (
    f"{HEAD}defaults: {{framework: pytorch}}\nrepeat: 2\ncontrol: [{{model: resnet50}}]\n"
    "groups: {a: {matrix: {model: [vgg16, alexnet], batch: [2, 4]}}}\n"
)
RUNS = 11


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setenv("BENCHDOCK_HOME", str(tmp_path / "home"))
    one = Bench.of(loaded(tmp_path, SUITE))
    yield one
    check(one)


def check(bench: Bench) -> None:
    """Every result that counts is of one end in the journal, and no run has two."""
    found: dict[str, str] = {}
    for folder in runs().iterdir() if runs().exists() else ():
        told = json.loads((folder / "result.json").read_text())
        if told["status"] == "ok" and folder.name not in bench.state.forgotten:
            note = json.loads((folder / "session.json").read_text())
            key = f"{note['request']} {note['pass']}"
            assert key not in found, f"{folder} repeats {found[key]}"
            found[key] = folder.name
            assert note["slurm"]["node"] in {"n1", "n2", "n3"}
    ended = {
        f"{digest} {round_}": end.run
        for (digest, round_), end in bench.state.ended.items()
        if end.status == "ok"
    }
    assert ended == {key: run for key, run in found.items() if key in ended}


def go(bench: Bench, slurm: FakeSlurm, **told: object) -> ExitStatus:
    return bench.go(lanes=slurm_cases.lanes(bench, slurm), **told)  # type: ignore[arg-type]


def first(fate: Fate, model: str = "vgg16") -> FakeSlurm:
    """Return a cluster on which the first attempt at runs of a model has a fate."""
    seen: Counter[tuple[str, object]] = Counter()

    def decide(request: Request, given: Given) -> Fate:
        seen[request.model, (request.batch, given.array)] += 1
        once = seen[request.model, (request.batch, given.array)] == 1 and int(given.array) <= 5
        return fate if request.model == model and once else None

    return FakeSlurm(fate=decide)


def change_ends(
    monkeypatch: pytest.MonkeyPatch, change: Callable[[task.End], dict[str, float]]
) -> None:
    """Change what tasks file."""
    placed = task.placed

    def changed(*told: Any) -> task.End:
        end = placed(*told)
        return end.model_copy(update=change(end))

    monkeypatch.setattr(task, "placed", changed)


def test_passes_and_controls_run_in_the_order_of_one_machine(bench: Bench) -> None:
    slurm = FakeSlurm()
    assert go(bench, slurm) is ExitStatus.OK
    models = [model for model, _ in slurm.ran]
    once = ["vgg16", "vgg16", "alexnet", "alexnet"]
    assert models == ["resnet50", *once, "resnet50", *once, "resnet50"]
    assert list(slurm.after.values()) == [(), ("1",), ("2",), ("3",), ("4",)]
    assert bench.state.finished
    assert bench.state.count("ok") == RUNS


def test_the_journal_names_job_node_and_attempt(bench: Bench) -> None:
    go(bench, FakeSlurm())
    events = list(journal.read(bench.where.journal))
    sent = [one for one in events if one["event"] == "submit"]
    assert [(one["job"], one["runs"]) for one in sent] == [
        ("1", 1), ("2", 4), ("3", 1), ("4", 4), ("5", 1),
    ]  # fmt: skip
    end = next(one for one in events if one["event"] == "end")
    assert (end["job"], end["node"], end["attempt"]) == ("1_0", "n1", 0)


def test_the_node_is_part_of_the_place_of_a_series(bench: Bench) -> None:
    """Nodes that share a system image have one machine id."""
    go(bench, FakeSlurm())
    machines: dict[str, set[str]] = {}
    for folder in map(RunFolder, runs().iterdir()):
        node = json.loads(folder.session.read_text())["slurm"]["node"]
        row = rows.of(folder, read_file(Result, folder.result), imported=False)
        machines.setdefault(node, set()).add(row.machine["key"])
        assert "node" not in row.session
    assert all(key.endswith(f" {node}") for node, (key,) in machines.items())
    assert len(machines) == 3


@pytest.mark.parametrize("state", ["REQUEUED", "NODE_FAIL", "FAILED"])
def test_a_run_whose_task_died_is_made_again_and_counted_once(bench: Bench, state: str) -> None:
    slurm = first(state)
    assert go(bench, slurm) is ExitStatus.OK
    assert bench.state.count("ok") == RUNS
    assert len(slurm.ran) > RUNS
    kinds = Counter(
        json.loads((one / "result.json").read_text()).get("status")
        for one in runs().iterdir()
        if (one / "result.json").exists()
    )
    assert kinds == {"ok": RUNS, "failed": len(slurm.ran) - RUNS}


def test_an_attempt_says_which_requeue_it_is(bench: Bench) -> None:
    slurm = first("REQUEUED")
    go(bench, slurm)
    again = [given for _, given in slurm.ran if given.attempt]
    assert {given.attempt for given in again} == {1}
    ends = [one for one in journal.read(bench.where.journal) if one["event"] == "end"]
    assert sum(one["attempt"] == 1 for one in ends) == len(again)


def test_a_result_that_was_filed_before_the_task_died_counts(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a full disk, or if the node dies between the result and the end."""
    file = task.Attempts.file
    lost: list[str | None] = []

    def sometimes(self: task.Attempts, name: str, end: task.End) -> bool:
        if not lost and end.status == "ok":
            lost.append(end.run)
            raise OSError(28, "No space left on device")
        return file(self, name, end)

    monkeypatch.setattr(task.Attempts, "file", sometimes)

    class Full(FakeSlurm):
        def _run(self, one: Task) -> None:
            try:
                super()._run(one)
            except OSError:
                self._set(one, "FAILED")

    slurm = Full()
    assert go(bench, slurm) is ExitStatus.OK
    assert len(slurm.ran) == RUNS
    assert lost[0] in {end.run for end in bench.state.ended.values()}


def test_a_signal_just_after_a_result_was_filed_does_not_repeat_the_run(bench: Bench) -> None:
    """As `benchmark.run` does for a signal that came while it filed its result."""

    class Late(FakeSlurm):
        def _file(self, request: Request, on_folder: task.OnFolder, fate: Fate) -> Result:
            result = super()._file(request, on_folder, None)
            if fate == "late":
                raise Interrupted(15)
            return result

        def _run(self, one: Task) -> None:
            super()._run(one)
            if one.id == "2_0" and one.id not in self.restarts:
                self.restarts[one.id] = 1
                place = next(at for at, told in enumerate(self.queue) if told.id == one.id)
                self.queue[place] = replace(one, state="PENDING")

    first_of_all = ("2", 0, 0)
    slurm = Late(
        fate=lambda _, told: (
            "late" if (told.array, told.index, told.attempt) == first_of_all else None
        )
    )
    assert go(bench, slurm) is ExitStatus.OK
    assert len(slurm.ran) == RUNS + 1
    assert len(list(runs().iterdir())) == RUNS


def test_a_time_limit_is_a_failure_and_is_not_tried_again(bench: Bench) -> None:
    slurm = first("TIMEOUT")
    assert go(bench, slurm) is ExitStatus.BENCHMARK_FAILED
    assert {end.kind for end in bench.state.ended.values()} == {None, "timeout"}
    assert len(slurm.ran) == RUNS


def test_memory_that_ran_out_skips_larger_batches_and_cancels_their_tasks(bench: Bench) -> None:
    slurm = first("out_of_memory")
    assert go(bench, slurm) is ExitStatus.BENCHMARK_FAILED
    skipped = [end for end in bench.state.ended.values() if end.status == "skipped"]
    assert skipped
    assert all("ran out of memory" in end.message for end in skipped)
    assert bench.state.count("ok") == 3 + 4


def test_a_failure_of_the_node_is_tried_again_and_counts_after_three(bench: Bench) -> None:
    def decide(request: Request, given: Given) -> Fate:
        broken = request.model == "vgg16" and request.batch == 2
        return MachineError("the driver is gone") if broken else None

    slurm = FakeSlurm(fate=decide)
    assert go(bench, slurm) is ExitStatus.BENCHMARK_FAILED
    tried = [given for model, given in slurm.ran if model == "vgg16"]
    assert len(tried) == 2 + 2 * 3
    assert sum("the driver is gone; trying again" in line for line in bench.lines.said) == 4
    assert not bench.state.open


def test_a_node_that_fails_run_after_run_is_not_used_any_more(bench: Bench) -> None:
    def decide(_: Request, given: Given) -> Fate:
        return MachineError("n2 is broken") if given.node == "n2" else None

    slurm = FakeSlurm(fate=decide, node_of=lambda index, _: "n2" if index else "n1")
    assert go(bench, slurm) is ExitStatus.OK
    assert "n2 is not used any more: n2 is broken" in bench.lines.said
    assert slurm.excluded == ["n2"]
    last = max(slurm.orders.values()).with_suffix(".sbatch").read_text()
    assert "#SBATCH --exclude=n2\n" in last


def test_nodes_that_all_fail_end_the_session(bench: Bench) -> None:
    slurm = FakeSlurm(fate=lambda *_: MachineError("no driver"))
    with pytest.raises(MachineError, match="each node failed 3 runs in a row: no driver"):
        go(bench, slurm)
    assert not any(one.is_live for one in slurm.queue)
    assert go(bench, FakeSlurm()) is ExitStatus.OK
    assert bench.state.count("ok") == RUNS


@pytest.mark.parametrize("forgets", [False, True])
def test_what_somebody_cancelled_is_left_and_a_resumed_session_makes_it(
    bench: Bench, forgets: bool
) -> None:
    slurm = first("interrupted")
    slurm.forgets = forgets
    assert go(bench, slurm) is ExitStatus.OK
    assert not bench.state.finished
    assert bench.state.count("ok") == RUNS - 4
    assert any("its task was cancelled in Slurm" in line for line in bench.lines.said)
    rest = FakeSlurm()
    assert go(bench, rest) is ExitStatus.OK
    assert bench.state.finished
    assert [model for model, _ in rest.ran] == ["vgg16"] * 4


def test_a_task_that_was_cancelled_before_it_started_is_left_too(bench: Bench) -> None:
    def cancel(_request: Request, given: Given) -> Fate:
        slurm.cancel([f"{given.array}_{given.index + 1}"])
        return None

    slurm = FakeSlurm(cancel)
    assert go(bench, slurm) is ExitStatus.OK
    assert not bench.state.finished
    assert bench.state.count("ok") == len(slurm.ran)
    assert any("its task was cancelled in Slurm" in line for line in bench.lines.said)
    assert not any("does not know its task" in line for line in bench.lines.said)


def test_a_watcher_that_died_loses_nothing_and_submits_nothing_twice(bench: Bench) -> None:
    class Killed(FakeSlurm):
        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            if len(self.ran) == 3:
                raise KeyboardInterrupt

    slurm = Killed()
    with pytest.raises(KeyboardInterrupt):
        go(bench, slurm)
    while len(slurm.ran) < 6:  # the tasks go on
        FakeSlurm.sleep(slurm, 1.0)
    assert bench.state.count("ok") < 6
    assert go(bench, slurm) is ExitStatus.OK
    assert len(slurm.orders) == 5
    assert len(slurm.ran) == bench.state.count("ok") == RUNS


def test_ctrl_c_leaves_the_tasks_and_says_how_to_end_them(bench: Bench) -> None:
    class Stopped(FakeSlurm):
        def sleep(self, seconds: float) -> None:
            raise Interrupted(2)

    slurm = Stopped()
    with pytest.raises(Interrupted):
        go(bench, slurm)
    cancel = f"`benchdock suite --cancel --name {bench.where.name}` ends them"
    assert bench.lines.said[-1] == f"its tasks go on in Slurm; {cancel}"
    assert all(one.is_live for one in slurm.queue)
    slurm.__class__ = FakeSlurm  # type: ignore[assignment]
    assert go(bench, slurm) is ExitStatus.OK
    assert len(slurm.ran) == RUNS


def test_two_submitters_make_every_run_once(bench: Bench) -> None:
    """If the lock does not work, the claims still do."""
    slurm = FakeSlurm()
    one = slurm_cases.lanes(bench, slurm, detach=True)
    bench.go(lanes=one)
    other = FakeSlurm(orders={"9": Path()}, after={"9": ()})  # it does not see the first one's jobs
    bench.go(lanes=slurm_cases.lanes(bench, other, detach=True))
    for _ in range(2 * RUNS):
        slurm.sleep(1.0)
        other.sleep(1.0)
    assert len(slurm.ran) == len(other.ran) == RUNS
    assert go(bench, slurm) is ExitStatus.OK
    assert len(list(runs().iterdir())) == RUNS


def test_only_one_process_watches_a_session(bench: Bench) -> None:
    where = ClusterFolder.of(bench.where)
    with where.watched():
        assert re.fullmatch(r"process \d+ on \S+", where.watcher())
        with pytest.raises(MachineError, match="watches this session"), where.watched():
            pass
    assert where.watcher() == ""


@pytest.mark.parametrize("heard", [False, True])
def test_a_submission_without_an_answer_is_looked_for_before_it_is_repeated(
    bench: Bench, heard: bool
) -> None:
    class Unheard(FakeSlurm):
        def submit(self, script: Path, *, after: object = ()) -> str:
            if heard and not self.orders:
                super().submit(script)
                raise UnheardError("Socket timed out")
            return super().submit(script, after=after)  # type: ignore[arg-type]

    slurm = Unheard(down=0 if heard else 2)
    assert go(bench, slurm) is ExitStatus.OK
    assert len(slurm.orders) == 5
    assert len(slurm.ran) == RUNS


def test_a_controller_that_is_away_is_waited_for(bench: Bench) -> None:
    class Away(FakeSlurm):
        def tasks(self, names: object) -> list[Task]:
            if 10 < self.clock < 40:
                raise UnheardError("no Slurm controller answers: connect failure")
            return super().tasks(names)  # type: ignore[arg-type]

    slurm = Away(fate=lambda *_: "NODE_FAIL" if slurm.clock < 20 else None)
    assert go(bench, slurm) is ExitStatus.OK
    waits = [line for line in bench.lines.said if "waiting for it" in line]
    assert waits == ["no Slurm controller answers: connect failure; waiting for it"]


@pytest.mark.parametrize("ended", [False, True])
def test_a_task_that_slurm_holds_after_a_crash_does_not_keep_others_waiting(
    bench: Bench, ended: bool
) -> None:
    """It holds tasks that it could not start, and such that ran to their end."""

    class Holding(FakeSlurm):
        def _run(self, one: Task) -> None:
            self.__class__ = FakeSlurm if one.job == "2" else Holding  # type: ignore[assignment]
            if ended or one.job != "2":
                FakeSlurm._run(self, one)
            if one.job == "2":
                place = next(at for at, told in enumerate(self.queue) if told.id == one.id)
                reason = "launch failed requeued held"
                self.queue[place] = replace(self.queue[place], state="PENDING", reason=reason)

    assert go(bench, Holding()) is ExitStatus.OK
    assert bench.state.count("ok") == RUNS
    assert bench.state.finished


def test_a_stop_cancels_what_waits_and_finishes_what_runs(bench: Bench) -> None:
    slurm = FakeSlurm()
    assert go(bench, slurm, stopped=lambda: len(slurm.ran) >= 2) is ExitStatus.OK
    assert not any(one.is_live for one in slurm.queue)
    assert bench.state.count("ok") == len(slurm.ran) < RUNS
    rest = FakeSlurm()
    go(bench, rest)
    assert len(slurm.ran) + len(rest.ran) == RUNS


def test_failed_runs_or_all_run_again(bench: Bench) -> None:
    go(bench, first("timeout"))
    failed = bench.state.count("failed")
    again = FakeSlurm()
    assert go(bench, again, rerun="failed") is ExitStatus.OK
    assert len(again.ran) == failed > 0
    every = FakeSlurm()
    assert go(bench, every, rerun="all") is ExitStatus.OK
    assert len(every.ran) == RUNS


def test_a_budget_costs_repeats_and_keeps_the_last_control(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    change_ends(monkeypatch, lambda _: {"seconds": 1.0})
    bench.budget = 8.5
    bench.known = {cell.digest: 1.0 for cell in bench.cells}
    slurm = FakeSlurm()
    one = slurm_cases.lanes(bench, slurm)

    class Clock:
        clock = 0.0
        ran = slurm.ran

        def now(self) -> float:
            return float(len(slurm.ran))

        def sleep(self, _: float) -> None:
            raise AssertionError

        def __call__(self, *_: object) -> object:
            raise AssertionError

    assert bench.go(Clock(), lanes=one) is ExitStatus.OK  # type: ignore[arg-type]
    models = [model for model, _ in slurm.ran]
    assert models[-1] == "resnet50"
    assert len(models) == 8
    skipped = {end.message for end in bench.state.ended.values() if end.status == "skipped"}
    assert skipped == {"the budget of this session is used up"}


def test_a_second_end_is_set_aside_and_not_counted(bench: Bench) -> None:
    """An attempt that was only paused finishes after another one took over."""
    slurm = FakeSlurm()
    go(bench, slurm)
    where = ClusterFolder.of(bench.where)
    path = where.orders("0001-gpu1")
    heading, order = arrays.read(path, 0)
    given = Given(job="1", array="1", index=0, attempt=0, node="n1", gpus="0")
    work = task.Work(where.attempts, heading, order, given)
    filed = work._attempts.end(work._name)
    assert filed is not None
    folder = next(one for one in runs().iterdir() if one.name != filed.run)
    end = task.End(status="ok", run=folder.name)
    assert work._file(1, end) is None
    assert not folder.exists()
    assert (where.root / "second" / folder.name / "result.json").exists()
    (where.root / "second" / folder.name).rename(folder)


def test_a_clock_that_is_wrong_is_noted_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    change_ends(monkeypatch, lambda end: {"clock": end.clock - 3600})
    assert go(bench, FakeSlurm()) is ExitStatus.OK
    told = [line for line in bench.lines.said if line.startswith("the clock of ")]
    assert sorted(line.split()[3] for line in told) == ["n1", "n2", "n3"]
