"""Sessions on a cluster: what Slurm is given, what it says, and one end for every run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import MachineError, RequestError
from orchestrator.request import Request
from orchestrator.slurm import arrays, attempts, deciding, fate, programs, site, task
from orchestrator.slurm.attempts import Attempts, Claim, End, Pulses
from orchestrator.slurm.deciding import NodeDecider
from orchestrator.slurm.programs import Answer, Slurm, UnheardError
from orchestrator.slurm.queue import HELD, Task, ended_tasks, numbers, read_queue
from orchestrator.slurm.site import Site
from orchestrator.suites.state import key_of
from orchestrator.suites.turns import Turn
from orchestrator.suites.turns import turns as all_turns
from tests.support.fake_slurm import NODES, FakeSlurm
from tests.support.slurm_cases import SCRIPTS, cells, turns

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.mark.parametrize("case", SCRIPTS)
def test_scripts_are_the_golden_ones(case: str) -> None:
    golden = GOLDEN / f"slurm-{case}.sbatch"
    script = SCRIPTS[case].render()
    if os.environ.get("BENCHDOCK_UPDATE_GOLDEN") == "1":
        golden.write_text(script, encoding="utf-8")
    assert script == golden.read_text(encoding="utf-8"), "BENCHDOCK_UPDATE_GOLDEN=1 rewrites it"


@pytest.mark.slow
@pytest.mark.parametrize("case", SCRIPTS)
def test_bash_and_shellcheck_agree_with_every_script(case: str) -> None:
    golden = GOLDEN / f"slurm-{case}.sbatch"
    subprocess.run(["bash", "-n", golden], check=True)
    shellcheck = Path(sys.executable).with_name("shellcheck")
    if not shellcheck.exists():
        pytest.skip("shellcheck is not in this virtual environment; `make setup` installs it")
    subprocess.run(
        [shellcheck, "--shell=bash", "--enable=all", "--exclude=SC2250,SC2310", golden], check=True
    )


def test_every_golden_script_has_a_case() -> None:
    assert {path.stem for path in GOLDEN.glob("*.sbatch")} == {f"slurm-{one}" for one in SCRIPTS}


# Answers of `squeue --json`, in the form of 22.05 and in that of 23.11.
PENDING = {
    "array_job_id": 7, "array_task_id": None, "array_task_string": "2-3,5", "job_id": 7,
    "name": "a", "job_state": "PENDING", "state_reason": "Resources", "nodes": "", "exit_code": 0,
}  # fmt: skip
RUNNING = {
    "array_job_id": 7, "array_task_id": 0, "array_task_string": "", "job_id": 8, "name": "a",
    "job_state": "RUNNING", "state_reason": "None", "nodes": "n1", "exit_code": 0,
}  # fmt: skip
FAILED = {
    "array_job_id": {"set": True, "infinite": False, "number": 7},
    "array_task_id": {"set": True, "infinite": False, "number": 1},
    "array_task_string": "", "job_id": 9, "name": "a", "job_state": ["FAILED"],
    "state_reason": "NonZeroExitCode", "nodes": "n2",
    "exit_code": {
        "status": ["ERROR"], "return_code": {"set": True, "infinite": False, "number": 72},
    },
}  # fmt: skip
OTHER = {"array_job_id": 0, "array_task_id": None, "job_id": 3, "name": "x", "job_state": "RUNNING"}


def test_the_queue_is_read_in_the_forms_of_several_releases() -> None:
    found = list(read_queue(json.dumps({"jobs": [PENDING, RUNNING, FAILED, OTHER]})))
    assert [(one.id, one.state, one.node, one.code) for one in found] == [
        ("7_2", "PENDING", "", 0),
        ("7_3", "PENDING", "", 0),
        ("7_5", "PENDING", "", 0),
        ("7_0", "RUNNING", "n1", 0),
        ("7_1", "FAILED", "n2", 72),
    ]
    assert [one.is_live for one in found] == [True] * 4 + [False]


def test_what_slurm_holds_is_known_by_the_description_of_its_state() -> None:
    told = {"state_reason": "JobHeldUser", "state_description": "launch failed requeued held"}
    (first, *_) = read_queue(json.dumps({"jobs": [PENDING | told]}))
    assert first.reason in HELD
    (first, *_) = read_queue(json.dumps({"jobs": [PENDING | {"state_reason": "JobHeldUser"}]}))
    assert first.reason not in HELD  # somebody wants it


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"jobs": [7]}', '{"jobs": [{"array_job_id": "x"}]}']
)
def test_an_answer_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(MachineError, match="cannot be read"):
        list(read_queue(text))


@given(st.sets(st.integers(0, 2000), min_size=1), st.integers(0, 9))
def test_ranges_of_tasks_are_read_as_slurm_writes_them(found: set[int], most: int) -> None:
    from orchestrator.machine.inventory import ranges

    text = ranges(found) + (f"%{most}" if most else "")
    assert numbers(text) == sorted(found)


def test_a_range_with_a_step_is_read() -> None:
    assert numbers("[0-6:3,9]") == [0, 3, 6, 9]


def test_accounting_is_read() -> None:
    text = "7_1|a|CANCELLED by 0|0:15|n1\n7_[2-5]|a|PENDING|0:0|None assigned\n7_6|a|FAILED|2:0|n2"
    # Tasks of an array that was cancelled before they started have one record, as 22.05 has it.
    more = (
        "\n7_7|a|RUNNING|0:0|n1\n8_[1-2,5%2]|b|CANCELLED by 0|0:0|None assigned\n9|c|FAILED|1:0|n1"
    )
    assert [(one.id, one.state, one.code) for one in ended_tasks(text + more)] == [
        ("7_1", "CANCELLED", 0),
        ("7_6", "FAILED", 2),
        *[(f"8_{index}", "CANCELLED", 0) for index in (1, 2, 5)],
    ]


def answering(*answers: Answer) -> Slurm:
    told = iter(answers)
    return Slurm(lambda _: next(told))


@pytest.mark.parametrize(
    ("said", "kind", "told"),
    [
        ("Invalid partition name specified", RequestError, "choose one with --partition"),
        ("Requested node configuration is not available", RequestError, "no node has this"),
        ("Invalid account or account/partition combination specified", RequestError, "account"),
        ("Invalid job array specification", RequestError, "MaxArraySize"),
        ("Unable to contact slurm controller (connect failure)", UnheardError, "scontrol ping"),
        ("Socket timed out on send/recv operation", UnheardError, "scontrol ping"),
    ],
)
def test_what_slurm_refuses_is_one_line_with_a_hint(
    said: str, kind: type[Exception], told: str
) -> None:
    slurm = answering(Answer(1, "", f"sbatch: error: Batch job submission failed: {said}\n"))
    with pytest.raises(kind) as caught:
        slurm.submit(Path("a.sbatch"))
    assert said in str(caught.value)
    assert told in str(caught.value)


def test_a_submission_returns_the_job_also_of_a_federation() -> None:
    assert answering(Answer(0, "12;west\n", "")).submit(Path("a")) == "12"


def test_a_machine_without_slurm_says_so() -> None:
    with pytest.raises(MachineError, match="squeue-that-is-not-there is not installed here"):
        programs.call(["squeue-that-is-not-there"])


def test_the_environment_of_an_enclosing_job_does_not_reach_slurms_programs() -> None:
    told = {"SLURM_JOB_ID": "1", "SLURM_CONF": "/c", "SQUEUE_FORMAT": "%i", "PATH": "/bin"}
    assert programs._environment(told) == {
        "SLURM_CONF": "/c", "PATH": "/bin", "SLURM_BITSTR_LEN": "0",
    }  # fmt: skip


def test_only_tasks_that_have_not_started_are_kept_away_from_a_node() -> None:
    asked: list[tuple[str, ...]] = []

    def call(argv: Sequence[str]) -> Answer:
        asked.append(tuple(argv))
        return Answer(0, "", "")

    states = ["RUNNING", "PENDING", "PENDING", "COMPLETED", "PENDING"]
    tasks = [Task(job="7", index=at, name="a", state=one) for at, one in enumerate(states)]
    Slurm(call).exclude(tasks, {"n2", "n1"})
    assert asked == [("scontrol", "update", "jobid=7_[1-2,4]", "excnodelist=n1,n2")]


def test_nodes_and_their_gpus_are_read() -> None:
    out = "n1|gpu*|gpu:h100:8(S:0-1)\nn2|gpu*|gpu:h100:4,gpu:t4:2\nn3|cpu|(null)\n"
    one, two, three = answering(Answer(0, out, "")).nodes()
    assert (one.most(), one.most("h100"), one.most("t4")) == (8, 8, 0)
    assert (two.most(), two.most("t4"), three.most()) == (6, 2, 0)
    assert (one.partition, one.is_default, three.is_default) == ("gpu", True, False)


def refused(tmp_path: Path, text: str) -> str:
    path = tmp_path / "slurm.toml"
    path.write_text(text)
    with pytest.raises(RequestError) as caught:
        site.load(str(path))
    return str(caught.value).replace(f"{path}: ", "")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("patience =", "Invalid value (at end of document)"),
        ("patence = 3", "patence: unknown key, did you mean 'patience'?"),
        ("patience = 'soon'", "patience: 'soon' is not a duration"),
        ("gres = 'gpu h100'", "gres: String should match pattern"),
        ("[sbatch]\narray = '0-3'", "sbatch: benchdock sets array itself; remove it"),
        ("[gpu]\n'--mem' = '3G'", "gpu: '--mem' is not an option; write it without dashes"),
        ('[cpu]\ncomment = "a\\nb"', "cpu: comment: 'a\\nb' contains a control character"),
    ],
)
def test_mistakes_in_a_site_file_are_one_line(tmp_path: Path, text: str, told: str) -> None:
    assert refused(tmp_path, text).startswith(told)


def test_the_command_line_goes_over_the_site(tmp_path: Path) -> None:
    path = tmp_path / "slurm.toml"
    path.write_text('patience = "3m"\n[sbatch]\npartition = "a"\n[cpu]\npartition = "b"\n')
    found = site.load(str(path))
    assert (found.patience, found.partition) == (180.0, "a")
    over = found.over(nodes="n1", options={"partition": "c"})
    assert (over.sbatch, over.cpu, over.nodes) == ({"partition": "c"}, {}, "n1")
    with pytest.raises(RequestError, match="benchdock sets requeue itself"):
        found.over(nodes="", options={"requeue": "no"})
    path.write_text(site.as_text(over))
    assert site.kept(path) == over


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(1, 4), st.booleans()), max_size=12),
    st.integers(1, 5),
)
def test_arrays_hold_every_run_once_in_order(told: list[tuple[int, int, bool]], most: int) -> None:
    made = [
        cell._replace(repeat=repeat, origin=cell.origin.__class__((), group, 5))
        for cell, (_, repeat, control) in zip(
            cells(*(f"m{at}" for at in range(len(told)))), told, strict=True
        )
        for group in ["control" if control else "a"]
    ]
    made.sort(key=lambda cell: not cell.is_control)
    gpus = {f"m{at}": count for at, (count, _, _) in enumerate(told)}
    queue = list(all_turns(made))
    found = list(arrays.divide(queue, gpus, most))
    divided = [key_of(turn) for one in found for turn in one.turns]
    assert Counter(divided) == Counter(map(key_of, queue))
    assert [one.part for one in found] == sorted(one.part for one in found)
    for one in found:
        assert 1 <= len(one.turns) <= most
        assert {gpus[turn.cell.digest] for turn in one.turns} == {one.gpus}
    for part in {one.part for one in found}:
        kinds = {
            (turn.round, turn.cell.is_control)
            for one in found
            if one.part == part
            for turn in one.turns
        }
        assert len(kinds) == 1  # one pass, and controls without the others


def request(**told: object) -> Request:
    return Request.model_validate({"model": "m", "framework": "custom", "command": "x", **told})


GIVEN = task.Given(job="9", array="7", index=0, attempt=0, node="n1", gpus="3,5")


def test_a_task_runs_on_the_gpus_that_slurm_gave_it() -> None:
    assert GIVEN.placed(request(devices=2), 2).gpus == (3, 5)
    assert GIVEN.placed(request(), 0).gpus == "none"
    uuid = "GPU-11111111-2222-3333-4444-555555555555"
    named = task.Given(**{**vars(GIVEN), "gpus": uuid})
    assert named.placed(request(gpus=(0,)), 1).gpus == (uuid,)


@pytest.mark.parametrize("gpus", ["", "3", "0,1,2", "NoDevFiles", "all"])
def test_a_task_with_other_gpus_than_it_needs_is_a_failure_of_its_node(gpus: str) -> None:
    told = task.Given(**{**vars(GIVEN), "gpus": gpus})
    with pytest.raises(MachineError, match="Slurm gave this task on n1 CUDA_VISIBLE_DEVICES="):
        told.placed(request(devices=2), 2)


def test_outside_of_a_task_nothing_runs() -> None:
    with pytest.raises(RequestError, match="not a task of an array"):
        task.Given.of({"SLURM_JOB_ID": "1"})


def heading(**told: object) -> arrays.Heading:
    usual = {"schema_version": 1, "benchdock": task.VERSION, "note": {}, "patience": 1, "wait": 0}
    return arrays.Heading.model_validate({**usual, **told})


@pytest.mark.parametrize(
    "told", [{"benchdock": "9.9"}, {"commit": "0" * 40}, {"schema_version": 2}]
)
def test_a_node_with_another_benchdock_makes_no_run(
    told: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task.inventory, "own_commit", lambda: "1" * 40)
    task.check(heading(), "n2")
    task.check(heading(commit="1" * 40), "n2")
    with pytest.raises(MachineError, match=r"n2 has benchdock .*; install the same on all nodes"):
        task.check(heading(**told), "n2")


def test_requests_travel_through_the_file_of_an_array(tmp_path: Path) -> None:
    sent = arrays.Sent(
        benchdock="1", commit=None, patience=3.0, wait=60.0, allow_shared=False,
        note=task.SessionNote(name="s", suite="a", digest="d", night="2026-11-30"),
    )  # fmt: skip
    asked = request(devices=2, timeout=60.0, env={"A": "b\nc"}, data=Path("/data"))
    array = arrays.Array(0, 2, turns("a", "b"))
    path = tmp_path / "0001.jsonl"
    limit = arrays.write(path, sent, array, {("a", 1): asked, ("b", 1): request(devices=2)})
    assert limit == 0.0  # one of them has no limit
    read, order = arrays.read(path, 0)
    assert (order.request, order.gpus, read.wait) == (asked, 2, 60.0)
    assert order.turn.round == 1
    assert arrays.keys(path) == {0: ("a", 1), 1: ("b", 1)}
    with pytest.raises(RequestError, match="task 2 has no request"):
        arrays.read(path, 2)
    with pytest.raises(RequestError, match="cannot read"):
        arrays.read(tmp_path / "absent", 0)


def claim(node: str = "n1", **told: Any) -> Claim:
    return Claim.model_validate({"job": "7_0", "attempt": 0, "node": node, **told})


def test_of_many_attempts_one_gets_the_run_and_one_files_its_end(tmp_path: Path) -> None:
    files = Attempts(tmp_path)
    got: list[tuple[bool, bool]] = []
    barrier = threading.Barrier(16)

    def attempt() -> None:
        barrier.wait()
        got.append((files.take("a-1", 1, claim()), files.file("a-1", End(status="ok"))))

    threads = [threading.Thread(target=attempt) for _ in range(16)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert [sum(column) for column in zip(*got, strict=True)] == [1, 1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a-1.1.claim", "a-1.end"]


def wait(files: Attempts, patience: float = 0.2, gone: bool = False) -> attempts.Numbered | None:
    return attempts.wait_for_turn(files, "a-1", claim("n2"), patience, lambda _: gone)


def test_an_attempt_that_lives_is_waited_for_whatever_the_clocks_say(tmp_path: Path) -> None:
    files = Attempts(tmp_path)
    files.take("a-1", 1, claim())
    path = tmp_path / "a-1.1.claim"
    over = threading.Event()

    def beat() -> None:  # with the clock of a node that is years behind
        for beats in range(10):
            os.utime(path, (beats, beats))
            over.wait(0.05)
        files.file("a-1", End(status="ok", node="n1"))

    thread = threading.Thread(target=beat)
    thread.start()
    assert wait(files) is None
    thread.join()


def test_a_silent_attempt_is_followed_and_learns_of_it(tmp_path: Path) -> None:
    files = Attempts(tmp_path)
    files.take("a-1", 1, claim())
    assert files.beat("a-1", 1)
    mine = wait(files)
    assert mine is not None
    assert (mine.number, mine.claim.node, mine.before and mine.before.node) == (2, "n2", "n1")
    assert not files.beat("a-1", 1)
    lost = threading.Event()
    with attempts.alive(files, "a-1", 1, 0.05, lost.set):
        assert lost.wait(5)


@pytest.mark.parametrize("told", [{"released": True}, {}])
def test_who_gave_up_or_is_gone_is_not_waited_for(tmp_path: Path, told: dict[str, Any]) -> None:
    files = Attempts(tmp_path)
    files.take("a-1", 1, claim(**told))
    mine = wait(files, patience=3600.0, gone=not told)
    assert mine is not None
    assert mine.number == 2


def test_silence_is_measured_by_the_own_clock_from_the_first_look(tmp_path: Path) -> None:
    files, clock = Attempts(tmp_path), [0.0]
    files.take("a-1", 1, claim())
    pulses = Pulses(files, 10.0, lambda: clock[0])
    seen = []
    for now in (0.0, 9.0, 11.0, 12.0, 20.0, 23.0):
        clock[0] = now
        if now == 11.0:
            files.beat("a-1", 1)
        seen.append(pulses.is_silent("a-1", 1))
    assert seen == [False, False, False, False, False, True]


@pytest.mark.parametrize(
    ("state", "code", "kind", "told"),
    [
        ("TIMEOUT", 0, "timeout", "Slurm's time limit ended it"),
        ("OUT_OF_MEMORY", 0, "out_of_memory", "more memory than its job may"),
        ("NODE_FAIL", 0, "engine", "node n1 failed"),
        ("FAILED", 72, "engine", "n1 does not see /shared; set BENCHDOCK_HOME"),
        ("FAILED", 127, "engine", "n1 does not have the Python of this benchdock"),
        ("FAILED", 3, "engine", "filed no result (FAILED, exit code 3); its output is in log"),
        ("CANCELLED", 0, None, ""),
        ("PREEMPTED", 0, None, ""),
    ],
)
def test_what_an_end_without_a_result_means(
    state: str, code: int, kind: str | None, told: str
) -> None:
    found = Task(job="7", index=0, name="a", state=state, node="n1", code=code)
    end = fate.fate_of(found, "log", "/shared")
    assert (end and end.kind) == kind
    assert end is None or told in end.message


def decided(**told: object) -> tuple[str, int] | str:
    usable = deciding.usable(FakeSlurm(), Site())  # type: ignore[arg-type]
    asked = request(pattern="(.)", runtime="host", **told)
    found = NodeDecider(usable).decide(asked)
    return found.why_not if found.refusal else (found.device, found.devices)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({}, ("gpu", 1)),
        ({"gpus": "none"}, ("cpu", 1)),
        ({"gpus": "all"}, ("gpu", 8)),
        ({"gpus": (0, 1)}, ("gpu", 2)),
        ({"devices": 4}, ("gpu", 4)),
    ],
)
def test_what_a_run_needs_on_a_cluster(told: dict[str, object], expected: object) -> None:
    assert decided(**told) == expected


def test_gpus_that_no_node_has_are_refused_before_anything_is_submitted() -> None:
    told = decided(devices=9)
    assert isinstance(told, str)
    assert told.startswith("no node of partition bench has 9 GPUs; the largest has 8")


def test_named_gpus_are_refused() -> None:
    uuid = "GPU-11111111-2222-3333-4444-555555555555"
    assert "Slurm chooses the GPUs" in str(decided(gpus=(uuid,)))


def usable(**told: object) -> deciding.Usable:
    return deciding.usable(FakeSlurm(), Site(**told))  # type: ignore[arg-type]


def test_a_partition_or_node_that_is_not_there_is_refused() -> None:
    with pytest.raises(RequestError, match="no partition 'gpu'; use one of bench"):
        usable(sbatch={"partition": "gpu"})
    with pytest.raises(RequestError, match="partition bench has no node n7"):
        usable(nodes="n1,n7")
    assert usable(nodes="n1,n3").excluded == {"n2"}
    assert usable().names == {node.name for node in NODES}


def test_the_last_control_is_a_part_of_its_own() -> None:
    (cell,) = cells("c")
    control = cell._replace(origin=cell.origin.__class__((), "control", 5))
    queue = [Turn(control, 1), *turns("a"), Turn(control, 2)]
    found = list(arrays.divide(queue, {"c": 1, "a": 8}, 99))
    assert [(one.part, one.what, one.resource) for one in found] == [
        (0, "1, controls", "gpu1"),
        (1, "1", "gpu8"),
        (2, "last controls", "gpu1"),
    ]
