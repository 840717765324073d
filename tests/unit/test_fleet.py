"""Nodes are compared with their fleet: the slow ones are named, healthy ones are not."""

import json
import os
import stat
from datetime import timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.ceilings import Ceiling, DeviceCeilings
from orchestrator.cli import main, main_inner
from orchestrator.errors import ExitStatus, Interrupted, MachineError, RequestError
from orchestrator.fleet import clock, comparison, folder, measuring, programs, slurm, telling
from orchestrator.fleet.record import Clock, Seen
from orchestrator.fleet.telling import Fleet
from orchestrator.metric import Metric
from orchestrator.paths import nodes
from orchestrator.probing.measuring import Probed, Wanted
from orchestrator.request import Request
from orchestrator.result import Failure
from orchestrator.run import benchmark
from orchestrator.trust.verdict import Reason, Verdict
from orchestrator.ui.plain import SilentView
from orchestrator.version import VERSION
from tests.support import nodes as made
from tests.support.bandwidth_samples import ALL_REDUCE, IPERF3_JSON, NVBANDWIDTH_JSON
from tests.support.nodes import BEGAN, CONTROL, fleet, launch, record, spread
from tests.support.run_folders import result


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    folder_ = tmp_path / "home"
    monkeypatch.setenv("BENCHDOCK_HOME", str(folder_))
    for name in ("SLURM_JOB_ID", "SLURMD_NODENAME"):
        monkeypatch.delenv(name, raising=False)
    return folder_


def told(records, started=None):
    return list(telling.sentences(Fleet.of([(one, started) for one in records])))


def verdicts(records):
    rows = comparison.compare(records)
    return {one.node: one.verdict for row in rows for one in row.nodes if row.name == CONTROL}


def test_a_slow_node_is_named_with_its_interval():
    records = fleet(5, {3: 0.85})
    assert verdicts(records) == {"n1": "ok", "n2": "ok", "n3": "slow", "n4": "ok", "n5": "ok"}
    (sentence,) = told(records)
    assert sentence.startswith(f"n3 is slow: {CONTROL} is 15.")
    assert "slower than the fleet's median (95 % interval -15." in sentence
    (row,) = (row for row in comparison.compare(records) if row.name == CONTROL)
    one = next(one for one in row.nodes if one.node == "n3")
    assert one.low < -0.15 < one.high < -comparison.LIMIT
    assert row.median == pytest.approx(100, rel=0.01)


def test_a_slow_node_that_is_not_certain_is_named_as_that():
    records = [record(f"n{n}", figures={CONTROL: spread(100, 0.001, seed=n)}) for n in range(1, 5)]
    records.append(record("n5", figures={CONTROL: (60, 99, 101, 70, 98)}))
    records.append(record("n6", figures={CONTROL: (90,)}))
    assert (verdicts(records)["n5"], verdicts(records)["n6"]) == ("unclear", "unclear")
    first, second = told(records)
    assert first.startswith("n5 may be slow: ")
    assert first.endswith("%; repeat it with more --passes")
    assert "it was measured once" in second


def test_two_nodes_do_not_say_which_is_slow():
    records = fleet(2, {2: 0.5})
    assert set(verdicts(records).values()) == {"unjudged"}
    assert told(records) == [
        "fewer than 3 nodes have the hardware of n1, n2: nothing says which of them is slow"
    ]


def test_of_times_fewer_are_better():
    values = {"a": (1.0, 1.01), "b": (1.0, 1.01), "c": (1.2, 1.21)}
    row = comparison.row("latency", "s", "", values, is_time=True)
    slow = {one.node: one.verdict for one in row.nodes}
    assert slow == {"a": "ok", "b": "ok", "c": "slow"}
    assert row.median == pytest.approx(1.005, rel=1e-3)
    assert next(one for one in row.nodes if one.node == "c").value == pytest.approx(1.205, rel=1e-3)


def test_healthy_nodes_are_rarely_called_slow_and_slow_ones_mostly_found():
    """Nodes that differ by 1 %, passes by 1 %; then one of them 10 % slower."""
    random = Random(5)
    false, found, fleets = 0, 0, 200
    for _ in range(fleets):
        records = []
        for number in range(8):
            level = 100 * (1 + random.gauss(0, 0.01)) * (0.9 if number == 7 else 1)
            values = [level * (1 + random.gauss(0, 0.01)) for _ in range(5)]
            records.append(record(f"n{number}", figures={CONTROL: values}))
        of_nodes = verdicts(records)
        found += of_nodes.pop("n7") == "slow"
        false += "slow" in of_nodes.values()
    assert false <= 2
    assert found >= 0.97 * fleets


@given(st.lists(st.lists(st.floats(1, 1e12), min_size=1, max_size=6), min_size=1, max_size=7))
def test_any_figures_can_be_compared(values):
    row = comparison.row("x", "samples/s", "", {f"n{n}": one for n, one in enumerate(values)})
    assert len(row.nodes) == len(values)
    for one in row.nodes:
        assert one.change > -1
        if one.low is not None:
            assert one.low <= one.change + 1e-9
            assert one.change - 1e-9 <= one.high


def test_only_like_is_compared_with_like():
    records = [*fleet(4), record("big", hardware="8 x Other GPU, 64 CPUs Some CPU")]
    assert verdicts(records)["big"] == "unjudged"
    assert any(one.startswith("big has 8 x Other GPU") for one in told(records))


def test_machines_with_one_name_are_two_nodes():
    twins = [record("localhost", machine=f"abc{number}") for number in range(3)]
    (row,) = Fleet.of([(one, None) for one in twins]).rows
    assert [one.node for one in row.nodes] == [f"localhost (abc{number})" for number in range(3)]


def test_other_versions_are_named():
    records = [*fleet(3), record("n4", benchdock="1.2.2"), record("n5", commit="abc")]
    said = told(records)
    assert "n4 has benchdock 1.2.2 instead of 1.2.3" in said
    assert "n5 has another commit of benchdock 1.2.3 than most nodes" in said
    upgraded = launch("n1", "n2", "n3", benchdock="1.3.0")
    assert "n1 has benchdock 1.2.3 instead of 1.3.0" in told(fleet(3), upgraded)


@given(
    st.floats(-1e5, 1e5),
    st.floats(0, 100),
    st.floats(0, 100),
    st.floats(0.1, 1e4),
    st.floats(0, 100),
)
def test_the_limits_of_an_offset_hold(true, start, notice, length, late):
    """Whatever the delays of starting a node and of noticing it, its offset is within."""
    began = BEGAN + timedelta(seconds=start)
    ended = began + timedelta(seconds=length)
    own = timedelta(seconds=true)
    seen = Seen(began=began + timedelta(seconds=notice), ended=ended + timedelta(seconds=late))
    found = clock.offset(
        record("n1", started=began + own, finished=ended + own),
        launch("n1", started=BEGAN, seen={"n1": seen}),
    )
    assert found.low - 1e-5 <= true <= found.high + 1e-5
    if found.apart:
        assert abs(true) > clock.APART - 1e-5


def test_a_clock_that_is_apart_is_named():
    late = timedelta(seconds=125)
    records = [*fleet(3)]
    records[1] = records[1].model_copy(
        update={"started": BEGAN + late, "finished": BEGAN + late + timedelta(seconds=60)}
    )
    (sentence,) = told(records, launch("n1", "n2", "n3"))
    assert sentence == "the clock of n2 is 125 to 126 s ahead of login's"
    assert told(fleet(3), launch("n1", "n2", "n3")) == []
    unset = [record("n1", clock=Clock(synchronised=False)), *fleet(3)[1:]]
    assert told(unset) == ["nothing sets the clock of n1 (NTP), as it does on other nodes"]
    # If it is so everywhere, the hosts of virtual machines set it.
    assert told([record(f"n{n}", clock=Clock(synchronised=False)) for n in range(3)]) == []


def test_the_kernel_is_asked_about_the_clock():
    found = clock.here()
    assert found.synchronised in (True, False, None)
    assert found.error is None or 0 <= found.error < 1e3


def test_nodes_that_did_not_answer_are_named():
    started = launch(
        "n1", "n2", "n3", "n4", "n5",
        absent={"n6": "down*"},
        seen={"n4": Seen(began=BEGAN)},
        said="srun: error: n4: task 3: Killed",
    )  # fmt: skip
    assert told(fleet(3), started) == [
        "n4 was not checked: it began and left no record (srun: error: n4: task 3: Killed)",
        "n5 was not checked: it did not begin (srun: error: n4: task 3: Killed)",
        "n6 was not checked: it is down*",
    ]


def filed(*records, started=None):
    where = folder.new()
    for one in records:
        folder.write(where, one)
    if started is not None:
        folder.write_launch(where, started)
    return where


def test_the_newest_record_of_each_node_counts(monkeypatch):
    stamps = iter(("20260101T000000-aaaaaa", "20260102T000000-aaaaaa", "20260103T000000-aaaaaa"))
    monkeypatch.setattr(folder, "new", lambda: nodes() / next(stamps))
    filed(record("n1", passes=1), record("n2", passes=2))
    where = filed(record("n1", passes=3), started=launch("n1"))
    (filed(record("n3")) / "n3.node.json").write_text("{")
    found = {one.node: (one.passes, started is not None) for one, started in folder.newest()}
    assert found == {"n1": (3, True), "n2": (2, False)}
    assert folder.began(where, "n1") is False
    folder.begin(where, "n1")
    assert folder.began(where, "n1") is True


def test_nodes_with_strange_names_have_files_of_their_own(tmp_path):
    names = ["a b", "a/b", "a-b", ".a-b", "", "n" * 150, "n" * 151]
    for name in names:
        folder.begin(tmp_path, name)
        folder.write(tmp_path, record(name))
    assert sorted(one.node for one in folder.records(tmp_path)) == sorted(names)
    assert len(list(tmp_path.glob("*.began"))) == len(names)


def test_the_command_compares(capsys):
    where = filed(*fleet(4, {2: 0.7}))
    assert main(["check-node", "--compare", str(where)]) == ExitStatus.GATE_MISSED
    shown = capsys.readouterr().out
    assert shown.startswith("1 of 4 nodes is slow: n2\n  n2 is slow: control")
    assert main(["check-node", "--compare", "--json"]) == ExitStatus.GATE_MISSED
    document = json.loads(capsys.readouterr().out)
    assert document["slow"] == ["n2"]
    assert {one["name"] for one in document["figures"]} == {CONTROL, made.COPY}
    healthy = filed(*fleet(3))
    assert main(["check-node", "--compare", str(healthy)]) == ExitStatus.OK
    assert "3 nodes compared, none is slow" in capsys.readouterr().out
    partly = filed(*fleet(3), record("n9", problems=("control series: no PyTorch",)))
    assert main(["check-node", "--compare", str(partly)]) == ExitStatus.BENCHMARK_FAILED
    assert "n9 has no figures of the control series: no PyTorch" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["--compare"], "no check of a node is stored"),
        (["--compare", "/nowhere"], "cannot read /nowhere: No such file"),
        (["--compare", "EMPTY"], "has no record of a node"),
        (["--compare", "A", "A"], "n1 has records in"),
        (["--compare", "DAMAGED"], "cannot read .*n1.node.json: "),
        (["--srun", "x"], "--srun only works with --partition"),
        (["--partition", "p", "--log", "x"], "--log is a log of one node"),
        (["--partition", "p", "--compare"], "not allowed with"),
    ],
)
def test_wrong_requests(tmp_path, words, error):
    (tmp_path / "EMPTY").mkdir()
    folder.write(tmp_path / "A", record("n1"))
    folder.write(tmp_path / "DAMAGED", record("n1")).write_text('{"schema": 1}')
    if words != ["--compare"]:
        words = [str(tmp_path / one) if one.isupper() else one for one in words]
    with pytest.raises(RequestError, match=error):
        main_inner(["check-node", *words])


# A fake Slurm: `sinfo` lists FAKE_NODES, `srun` runs the command once per node of its list.
SINFO = """#!/bin/sh
printf '%b' "$FAKE_NODES"
"""
SRUN = """#!/bin/sh
echo "$@" > "$FAKE_LOG"
for word in "$@"; do case $word in --nodelist=*) nodes=${word#*=};; esac; done
while [ "${1#-}" != "$1" ]; do shift; done
for node in $(echo "$nodes" | tr , ' '); do
  SLURM_JOB_ID=1 SLURMD_NODENAME=$node "$@" 2>&1 | sed 's/^/0: /' &
done
wait
"""
# A fake benchdock of the nodes: n2 dies, n3 is slow.
NODE = """#!/bin/sh
for word in "$@"; do case $word in --into=*) into=${word#*=};; esac; done
: > "$into/$SLURMD_NODENAME.began"
[ "$SLURMD_NODENAME" != n2 ] || { echo "benchdock: no space left on device" >&2; exit 3; }
sleep 0.2
cp "$FAKE_RECORDS/$SLURMD_NODENAME.node.json" "$into/"
"""


@pytest.fixture
def cluster(monkeypatch, tmp_path):
    """A fake Slurm of n1 to n5, of which n5 is down; the words that srun got are in `srun.txt`."""
    programs_ = tmp_path / "bin"
    programs_.mkdir()
    for name, text in (("sinfo", SINFO), ("srun", SRUN), ("node", NODE)):
        path = programs_ / name
        path.write_text(text)
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{programs_}:{os.environ['PATH']}")
    monkeypatch.setenv(
        "FAKE_NODES", "n1 idle\\nn2 idle\\nn3 idle\\nn4 idle\\nn5 down*\\nn6 idle\\n"
    )
    monkeypatch.setenv("FAKE_LOG", str(tmp_path / "srun.txt"))
    monkeypatch.setenv("FAKE_RECORDS", str(tmp_path / "records"))
    now = fleet(6, {3: 0.8})
    for one in now:
        folder.write(tmp_path / "records", one)
    monkeypatch.setattr(slurm, "_GRACE", 0.5)
    return tmp_path


def test_a_partition_is_checked(cluster, capsys):
    words = ["--partition", "bench", "--program", str(cluster / "bin/node"), "--passes", "2"]
    assert main(["check-node", *words, "--srun=--account=me"]) == ExitStatus.GATE_MISSED
    shown = capsys.readouterr()
    assert "1 of 4 nodes is slow: n3" in shown.out
    assert (
        "n2 was not checked: it began and left no record (benchdock: no space left on device)"
        in shown.out
    )
    assert "n5 was not checked: it is down*" in shown.out
    assert "n3 is done" in shown.err
    words = (cluster / "srun.txt").read_text().split()
    assert {"--nodes=5", "--nodelist=n1,n2,n3,n4,n6", "--account=me", "--passes=2"} <= {*words}
    assert words.index("--account=me") < words.index("check-node")
    assert main(["check-node", "--compare"]) == ExitStatus.GATE_MISSED
    assert "n5 was not checked: it is down*" in capsys.readouterr().out


def test_why_a_partition_cannot_be_checked(cluster, monkeypatch, capsys):
    def status(*words):
        return main(["check-node", "--partition", "bench", *words])

    assert status("--program", "/nowhere/benchdock") == ExitStatus.MACHINE_CANNOT
    assert "no node left a record" in capsys.readouterr().err
    monkeypatch.setenv("FAKE_NODES", "n1 down\\n")
    assert status() == ExitStatus.MACHINE_CANNOT
    assert "no node of bench is idle: n1 is down" in capsys.readouterr().err
    monkeypatch.setenv("FAKE_NODES", "")
    assert status() == ExitStatus.BAD_REQUEST
    assert "partition 'bench' has no nodes; `sinfo -s` lists them" in capsys.readouterr().err
    monkeypatch.setenv("PATH", "/nowhere")
    assert status() == ExitStatus.MACHINE_CANNOT
    assert "sinfo is not installed here" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("2: slurmstepd-n3: error: execve(): /x/benchdock: No such file or directory",
         "/x/benchdock: No such file or directory"),
        ("12: benchdock: unknown model 'a'", "benchdock: unknown model 'a'"),
        ("2: record: /shared/nodes/n1.node.json", "srun: error: n3: task 2: Exited"),
    ],
)  # fmt: skip
def test_what_a_node_complains_about(tmp_path, line, said):
    log = tmp_path / "srun.log"
    log.write_text(f"{line}\nsrun: error: n3: task 2: Exited\n")
    assert slurm._complaint(log) == said
    assert slurm._complaint(tmp_path / "absent") == ""


def test_a_check_that_takes_too_long_is_ended(cluster, capsys):
    path = cluster / "bin/node"
    path.write_text(
        path.read_text().replace("sleep 0.2", '[ "$SLURMD_NODENAME" = n1 ] || sleep 60')
    )
    words = ["--program", str(path), "--timeout", "2s"]
    assert main(["check-node", "--partition", "bench", *words]) == ExitStatus.BENCHMARK_FAILED
    assert "n3 was not checked: it began and left no record (stopped after 2 s)" in (
        capsys.readouterr().out
    )


@pytest.fixture
def node(monkeypatch):
    """A node whose probe and control series are quick; `runs` are the requests that ran."""
    runs: list[Request] = []

    def probe(wanted, view):
        found = Ceiling(
            what="copy", device="cpu", how="memmove", devices=2, unit="bytes/s",
            best=9e9, median=8e9, wall=7e9 + len(runs),
        )  # fmt: skip
        device = DeviceCeilings(
            benchdock=VERSION, made=BEGAN, device="cpu", name="Some CPU", ceilings=(found,)
        )
        return Probed(devices=(device,), log=None)

    def run(request, view):
        runs.append(request)
        metrics = {"throughput": Metric(value=10.0 + len(runs), unit="samples/s")}
        return result("x", metrics=metrics), ExitStatus.OK

    monkeypatch.setattr(measuring, "probe", probe)
    monkeypatch.setattr(benchmark, "run", run)
    return runs


CHECK = measuring.Check(
    passes=3, probe=Wanted(), control=Request(model="resnet50", framework="pytorch")
)


def test_a_node_is_measured_in_passes(node, home, tmp_path):
    found = measuring.measure(CHECK, "n1", tmp_path, SilentView())
    assert {one.name: one.values for one in found.figures} == {
        "CPU copying memmove, 2 at once": (7e9 + 1, 7e9 + 2, 7e9 + 3),
        "control resnet50 training, pytorch, float32": (11.0, 12.0, 13.0),
    }
    assert (found.node, found.passes, found.problems) == ("n1", 3, ())
    assert found.benchdock == VERSION
    assert found.hardware.startswith(f"{os.cpu_count()} CPU")
    assert found.started <= found.finished


def test_doubtful_runs_of_the_control_series_are_counted(node, monkeypatch, tmp_path):
    reason = Reason(code="busy_host", level="suspect", text="other programs ran")
    run = benchmark.run

    def doubtful(request, view):
        found, status = run(request, view)
        verdict = Verdict.of((reason,) if len(node) < 3 else ())
        return found.model_copy(update={"verdict": verdict}), status

    monkeypatch.setattr(benchmark, "run", doubtful)
    found = measuring.measure(CHECK, "n1", tmp_path, SilentView())
    assert found.notes == ("2 of 3 control runs are suspect: busy host",)


def test_a_part_that_fails_is_a_problem_of_the_record(node, monkeypatch, tmp_path, capsys):
    def refused(request, view):
        node.append(request)
        raise MachineError("no engine answers", hint="start it")

    monkeypatch.setattr(benchmark, "run", refused)
    failed = Probed(failure=Failure(kind="crashed", message="it died"), log=tmp_path / "log.txt")
    monkeypatch.setattr(measuring, "probe", lambda *_: failed)
    found = measuring.measure(CHECK, "n1", tmp_path, SilentView())
    assert found.figures == ()
    assert found.problems == (
        "control series: no engine answers; start it",
        f"probe: it died; see {tmp_path / 'log.txt'}",
    )
    assert len(node) == 1
    assert main(["check-node"]) == ExitStatus.BENCHMARK_FAILED
    assert "no figures of the control series: no engine answers" in capsys.readouterr().out


@pytest.mark.parametrize(
    "error", [RequestError("unknown model 'resnet'"), Interrupted(15)], ids=["request", "signal"]
)
def test_an_impossible_request_or_a_signal_ends_a_check(node, monkeypatch, tmp_path, error):
    def refused(request, view):
        raise error

    monkeypatch.setattr(benchmark, "run", refused)
    with pytest.raises(type(error)):
        measuring.measure(CHECK, "n1", tmp_path, SilentView())


def test_programs_on_the_path_are_run_and_logs_are_read(node, monkeypatch, tmp_path):
    samples = {
        "nvbandwidth": NVBANDWIDTH_JSON, "all_reduce_perf": ALL_REDUCE, "iperf3": IPERF3_JSON,
    }  # fmt: skip
    for name, text in samples.items():
        (tmp_path / f"{name}.txt").write_bytes(text)
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\ncat {tmp_path}/{name}.txt\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    found = list(programs.here(2, "n2"))
    assert [one.source for one in found] == ["nvbandwidth", "nccl_tests", "iperf3"]
    assert list(programs.here(0, None)) == []
    readings = [programs.run(one, tmp_path / "log") for one in found]
    assert [one.problem for one in readings] == ["", "", ""]
    assert readings[1].figures["bus_bandwidth"].value == 300e9
    assert set(readings[2].figures) == {"bandwidth"}  # retransmissions are no speed
    (tmp_path / "iperf3").write_text("#!/bin/sh\necho 'iperf3: error - no route to host'\nexit 1\n")
    assert programs.run(found[2], tmp_path / "log").problem == (
        "iperf3: iperf3: error - no route to host"
    )
    logs = (tmp_path / "all_reduce_perf.txt", tmp_path / "iperf3.txt")
    check = measuring.Check(passes=1, probe=CHECK.probe, control=CHECK.control, logs=logs)
    record_ = measuring.measure(check, "n1", tmp_path, SilentView())
    assert "nccl_tests bus bandwidth" in {one.name for one in record_.figures}
    other = tmp_path / "other.txt"
    other.write_text("Total img/sec on 4 GPU(s): 800.0 +-4.9\n")
    with pytest.raises(RequestError, match="is a log of horovod"):
        programs.read(other)


def test_this_node_has_slurms_name_in_a_job(monkeypatch):
    monkeypatch.setenv("SLURMD_NODENAME", "gpu-17")
    assert measuring.node_name() != "gpu-17"
    monkeypatch.setenv("SLURM_JOB_ID", "4")
    assert measuring.node_name() == "gpu-17"
