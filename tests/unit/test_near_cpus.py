"""Ranks on GPUs get CPUs of the GPU's NUMA node: on the host's side and in the ranks' own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends import near_cpus
from backends.harness import machine, ranks
from orchestrator.cli import main
from orchestrator.errors import ExitStatus
from orchestrator.frameworks import catalogue
from orchestrator.machine import inventory
from orchestrator.machine.gpu_facts import Gpu, GpuReport
from orchestrator.paths import PROJECT
from orchestrator.request import Request
from orchestrator.run import rank_cpus
from orchestrator.run.decision import decide
from orchestrator.run.devices import Target
from tests.support.machines import Known

CPUS = st.frozensets(st.integers(0, 40))
FOUR = ("0-3", "0-3", "4-7", "4-7")


@given(CPUS)
def test_lists_are_read_as_they_are_written(cpus):
    text = inventory.ranges(cpus)
    assert text == machine.cpu_list(cpus)
    if cpus:
        assert re.fullmatch(near_cpus.LIST, text)
        assert near_cpus.numbers(text) == cpus


@given(st.lists(CPUS, min_size=1, max_size=4), st.data())
def test_shares_are_near_equal_disjoint_and_as_large_as_can_be(places, data):
    near = data.draw(st.lists(st.sampled_from(places), min_size=1, max_size=8))
    allowed = data.draw(st.permutations(range(41)).map(lambda cpus: cpus[:30]))
    found = near_cpus.shares(near, allowed)
    groups = {place: [cpu for cpu in allowed if cpu in place] for place in near}
    apart = sum(map(len, groups.values())) == len({c for one in groups.values() for c in one})
    fewest = min(len(groups[place]) // near.count(place) for place in near)
    if not found:
        assert not apart or not fewest
        return
    assert len(found) == len(near)
    assert {len(share) for share in found} == {fewest}
    used = [cpu for share in found for cpu in share]
    assert len(set(used)) == len(used)
    for share, place in zip(found, near, strict=True):
        assert set(share) <= place & set(allowed)
        assert share == sorted(share, key=allowed.index)


def report(*local):
    gpus = [
        Gpu(index=number, uuid=f"GPU-{number}", name="Tesla V100", local_cpus=cpus)
        for number, cpus in enumerate(local)
    ]
    return GpuReport(state="ok", reason="", gpus=tuple(gpus))


def near(*local, allowed=None, chosen=None, framework="pytorch"):
    names = range(len(local)) if chosen is None else chosen
    target = Target(device="gpu", gpus=tuple(f"GPU-{number}" for number in names))
    row = catalogue.framework(framework)
    found, notes = rank_cpus.near(row, target, report(*local), allowed)
    assert replace(found, near_cpus=()) == target
    return found, notes


def test_every_rank_gets_the_cpus_near_its_gpu():
    found, notes = near(*FOUR)
    assert (found.near_cpus, found.used_cpus(8), notes) == (FOUR, 8, ())
    found, _ = near(*FOUR, chosen=(3, 0))
    assert (found.near_cpus, found.used_cpus(8)) == (("4-7", "0-3"), 8)
    found, _ = near(*FOUR, chosen=(0, 1))
    assert (found.near_cpus, found.used_cpus(8)) == (("0-3", "0-3"), 4)
    found, _ = near(*FOUR, chosen=(0, 1, 2))  # the third has as few as the others
    assert found.used_cpus(8) == 6
    found, notes = near(*FOUR, allowed={0, 1, 2, 5, 6, 9})
    assert (found.near_cpus, found.used_cpus(8), notes) == (("0-2", "0-2", "5-6", "5-6"), 4, ())


@pytest.mark.parametrize(
    ("local", "allowed", "why"),
    [
        (("0-3", None, None), None, "it is unknown which CPUs are near GPUs 1, 2: "),
        (("0-3", None), None, "it is unknown which CPUs are near GPU 1: "),
        (FOUR, {0, 1, 2, 3}, "too few of the CPUs near the GPUs may be used: "),
        (FOUR, {0, 1, 4}, "too few of the CPUs near the GPUs may be used: "),
        (("0-3", "0-7"), None, "too few of the CPUs near the GPUs may be used: "),
    ],
)
def test_otherwise_it_is_said_that_cpus_come_in_order(local, allowed, why):
    found, notes = near(*local, allowed=allowed)
    assert (found.near_cpus, found.used_cpus(8)) == ((), 8)
    assert notes == (f"{why}the ranks get CPUs in order, near their GPUs or not",)


@pytest.mark.parametrize("allowed", [{0, 1, 2, 3}, {1}])
def test_with_one_node_there_is_nothing_to_choose(allowed):
    found, notes = near("0-3", "0-3", "0-3", allowed=allowed)
    assert (found.near_cpus, found.used_cpus(4), notes) == ((), 4, ())


@pytest.mark.parametrize("framework", ["mxnet", "caffe2", "horovod_pytorch"])
def test_only_processes_of_ours_are_bound(framework):
    found, notes = near(*FOUR, framework=framework)
    assert (found.near_cpus, notes) == ((), ())


@pytest.fixture
def eight_cpus(monkeypatch, tmp_path):
    """Two processors of two cores, whose second threads have the numbers from 4 on."""
    for cpu in range(8):
        (tmp_path / f"{cpu}-physical_package_id").write_text(f"{cpu % 4 // 2}\n")
        (tmp_path / f"{cpu}-core_id").write_text(f"{cpu % 2}\n")
    monkeypatch.setattr(machine, "TOPOLOGY", f"{tmp_path}/%d-%s")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))


SECOND_FIRST = "2-3,6-7 2-3,6-7 0-1,4-5 0-1,4-5"


@pytest.mark.usefixtures("eight_cpus")
def test_ranks_divide_the_whole_cores_near_them(monkeypatch):
    monkeypatch.setenv(near_cpus.VARIABLE, SECOND_FIRST)
    assert ranks.shares_of_cpus(4) == [[2, 6], [3, 7], [0, 4], [1, 5]]
    assert ranks.shares_of_cpus(2) == [[0, 4, 1, 5], [2, 6, 3, 7]]  # it is not about these


@pytest.mark.usefixtures("eight_cpus")
def test_ranks_that_may_not_use_what_is_near_get_cpus_in_order_and_say_so(monkeypatch):
    monkeypatch.setenv(near_cpus.VARIABLE, SECOND_FIRST)
    monkeypatch.setenv(ranks.CPUS, "2,6 3,7 0,4 1,5")
    assert ranks.doubts() == []
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 4, 5})
    shares = ranks.shares_of_cpus(4)
    assert shares == [[0], [4], [1], [5]]
    monkeypatch.setenv(ranks.CPUS, " ".join(map(machine.cpu_list, shares)))
    (said,) = ranks.doubts()
    assert "the ranks have CPUs in order" in said
    monkeypatch.delenv(near_cpus.VARIABLE)
    assert ranks.doubts() == []


@pytest.mark.usefixtures("eight_cpus")
def test_a_process_of_open_mpi_binds_itself(monkeypatch):
    bound = []
    monkeypatch.setattr(os, "sched_setaffinity", lambda _, cpus: bound.append(cpus))
    for name in (ranks.CPUS, "OMPI_COMM_WORLD_LOCAL_SIZE"):
        monkeypatch.setenv(name, "1")  # to be restored
        monkeypatch.delenv(name)
    ranks.take_share()
    assert (bound, ranks.cpus_of_ranks()) == ([], [])
    monkeypatch.setenv(near_cpus.VARIABLE, SECOND_FIRST)
    monkeypatch.setenv("OMPI_COMM_WORLD_LOCAL_SIZE", "4")
    monkeypatch.setenv("OMPI_COMM_WORLD_LOCAL_RANK", "1")
    ranks.take_share()
    assert bound == [[3, 7]]
    assert ranks.cpus_of_ranks() == ["2,6", "3,7", "0,4", "1,5"]


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two CPUs")
def test_ranks_are_bound_where_they_are_told(tmp_path):
    first, second = sorted(os.sched_getaffinity(0))[:2]
    (tmp_path / "program.py").write_text(
        "import os\n"
        "os.write(1, ('%s %s\\n' % (os.environ['RANK'], os.sched_getaffinity(0))).encode())\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "backends.harness.ranks", "2", "program", "--device=gpu"],
        env={
            **os.environ,
            near_cpus.VARIABLE: f"{second} {first}",
            "PYTHONPATH": f"{PROJECT}:{tmp_path}",
        },
        capture_output=True,
        text=True,
        check=True,
    )
    assert sorted(done.stdout.splitlines()) == [f"0 {{{second}}}", f"1 {{{first}}}"]


def dry_run(capsys, tmp_path, cpu, local, *words):
    gpu = {"name": "Tesla V100-SXM2-32GB", "compute_capability": "7.0"}
    gpus = [gpu | ({"local_cpus": cpus} if cpus else {}) for cpus in local]
    machine = {"cpu": cpu, "gpu": {"driver": "450.119.03", "gpus": gpus}, "engine": {}}
    path = tmp_path / "server.json"
    path.write_text(json.dumps({"schema": 1, "machine": machine}))
    asked = ["run", "resnet50", "-f", "pytorch", "--dry-run", "--json", "--machine", str(path)]
    status = main([*asked, *words])
    told = capsys.readouterr()
    return status, json.loads(told.out)["plan"] if status == ExitStatus.OK else told.err


def test_threads_follow_the_cpus_near_the_gpus(capsys, tmp_path):
    cpu = {"usable": 8, "affinity": "0-7"}
    status, plan = dry_run(capsys, tmp_path, cpu, FOUR, "--gpus", "0,1")
    assert status == ExitStatus.OK
    assert plan["near_cpus"] == ["0-3", "0-3"]
    assert "export BENCHDOCK_NEAR_CPUS='0-3 0-3'\n" in plan["script"]
    assert "--threads=2" in plan["script"]
    status, plan = dry_run(capsys, tmp_path, cpu, (None,) * 4, "--gpus", "0,1")
    assert plan["near_cpus"] == []
    assert "BENCHDOCK_NEAR_CPUS" not in plan["script"]
    assert "--threads=4" in plan["script"]
    assert [one for one in plan["warnings"] if "unknown which CPUs are near GPUs 0, 1" in one]
    status, plan = dry_run(capsys, tmp_path, cpu, (None,) * 4)
    assert not [one for one in plan["warnings"] if "CPUs" in one]  # of one GPU


def test_gpus_that_cannot_be_had_are_refused_as_usual():
    parted = tuple(replace(one, mig=True) for one in report(*FOUR).gpus)
    server = Known(gpu=replace(report(), gpus=parted[:1]))
    asked = Request(model="resnet18", framework="pytorch", devices=2)
    (refusal,) = decide(asked, server).refusals
    assert "all are partitioned (MIG)" in str(refusal)


@pytest.mark.parametrize(
    ("cpu", "local", "key"),
    [
        ({"usable": 8, "affinity": "all"}, FOUR, "cpu.affinity"),
        ({"usable": 8}, ("0-3", "4-x"), "gpu.gpus.1.local_cpus"),
    ],
)
def test_a_wrong_list_in_a_machine_file_is_named(capsys, tmp_path, cpu, local, key):
    status, said = dry_run(capsys, tmp_path, cpu, local)
    assert status == ExitStatus.BAD_REQUEST
    assert f"{key} is not a list of CPUs; write one such as 0-9,20-29" in said
