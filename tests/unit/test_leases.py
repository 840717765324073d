"""Leases of GPUs: one run at a time on each, and who else uses one is named."""

import os
import subprocess
import sys
from contextlib import ExitStack
from types import SimpleNamespace
from typing import ClassVar

import pytest

from orchestrator import shared_lock
from orchestrator.errors import MachineError
from orchestrator.machine import gpu_sampler as nvml
from orchestrator.machine import leases, processes
from orchestrator.machine.gpu_facts import (
    Gpu,
    GpuGoneError,
    GpuProcess,
    GpuReport,
    GpuSample,
    MigSlice,
)
from orchestrator.run import sharing
from orchestrator.run.sharing import Sharing
from orchestrator.runtimes.docker import reaper
from orchestrator.runtimes.docker.reaper import LabelledContainer
from tests.stress import leases as storm

A, B, SLICE, OTHER_SLICE = "GPU-a", "GPU-b", "MIG-1", "MIG-2"
MIG = {SLICE: A, OTHER_SLICE: A}


@pytest.fixture(autouse=True)
def locks(monkeypatch, tmp_path):
    tmp_path.chmod(0o1777)
    monkeypatch.setattr(shared_lock, "FOLDERS", (tmp_path,))
    return tmp_path


class Sampler:
    """NVML as far as processes go; `used` are those of each GPU."""

    used: ClassVar[dict[str, tuple[GpuProcess, ...]]] = {}

    def sample(self, uuid):
        return GpuSample(processes=self.used.get(uuid))

    def close(self):
        pass


@pytest.fixture(autouse=True)
def sampler(monkeypatch):
    monkeypatch.setattr(nvml, "GpuSampler", Sampler)
    monkeypatch.setattr(Sampler, "used", {})
    return Sampler


@pytest.mark.parametrize(
    ("first", "second", "free"),
    [
        ([A], [A], False),
        ([A], [B], True),
        ([B, A], [B], False),
        ([SLICE], [OTHER_SLICE], True),
        ([SLICE], [SLICE], False),
        ([SLICE], [A], False),
        ([A], [SLICE], False),
        ([B], [SLICE], True),
    ],
)
def test_a_gpu_is_leased_once_and_slices_share_their_gpu(first, second, free):
    with leases.held(first, "alice (process 7)", parents=MIG), ExitStack() as stack:
        again = leases.held(second, "bob", parents=MIG)
        if free:
            stack.enter_context(again)
        else:
            with pytest.raises(leases.TakenError, match=r"in use by alice \(process 7\)"):
                stack.enter_context(again)


def test_nothing_is_kept_of_leases_of_which_one_is_taken():
    with leases.held([B], "alice"):
        with pytest.raises(leases.TakenError), leases.held([A, B], "bob"):
            pass
        with leases.held([A], "carol"):
            pass


def test_shared_leases_exclude_only_others():
    with leases.held([A], "alice", shared=True):
        with leases.held([A], "bob", shared=True):
            pass
        with pytest.raises(leases.TakenError), leases.held([A], "carol"):
            pass


def test_a_lease_is_not_inherited_and_everybody_may_lock(locks):
    with leases.held([A], "alice"):
        child = subprocess.Popen(["sleep", "60"], close_fds=False)
    try:
        with leases.held([A], "bob"):
            pass
    finally:
        child.kill()
        child.wait()
    (path,) = locks.glob("benchdock-gpu-*")
    assert path.stat().st_mode & 0o777 == 0o666


def test_a_link_in_place_of_a_lock_is_refused(locks):
    with leases.held([A], "alice"):
        pass
    (path,) = locks.glob("benchdock-gpu-*")
    path.unlink()
    path.symlink_to("/etc/passwd")
    with pytest.raises(MachineError, match="cannot lock"), leases.held([A], "bob"):
        pass


def test_a_folder_that_is_not_for_everybody_is_passed_over(monkeypatch, tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o755)
    monkeypatch.setattr(shared_lock, "FOLDERS", (closed, tmp_path / "absent", tmp_path))
    assert shared_lock.folder() == tmp_path


class Engine:
    name = "docker"

    def __init__(self, *containers):
        self.containers = list(containers)

    def our_containers(self):
        return tuple(self.containers)

    def remove_container(self, container):
        self.containers = [one for one in self.containers if one.id != container]


PARTS = tuple(MigSlice(index=index, uuid=uuid) for index, uuid in enumerate(MIG))
REPORT = GpuReport(
    state="ok", reason="", gpus=(Gpu(index=0, uuid=A, name="A100", mig=True, slices=PARTS),)
)


def decision(*gpus, engine=None):
    return SimpleNamespace(
        gpu=REPORT,
        target=SimpleNamespace(gpus=gpus),
        engine=engine,
        program=None,
        request=SimpleNamespace(model="resnet50", framework="pytorch"),
    )


class Clock:
    def __init__(self, at=lambda _: None):
        self.now = 0.0
        self.at = at

    def sleep(self, seconds):
        self.now += seconds
        self.at(self.now)


def hold(wanted, share=sharing.EXCLUSIVE, clock=None, said=None):
    clock = clock or Clock()
    tell = [].append if said is None else said.append
    return sharing.held(wanted, share, tell, now=lambda: clock.now, sleep=clock.sleep)


def test_a_run_on_the_cpu_needs_no_lease(locks):
    with hold(decision()):
        assert not list(locks.glob("benchdock-gpu-*"))


def test_a_gpu_in_use_is_refused_with_its_holder():
    told = r"GPU GPU-a is in use by \S+'s benchdock since .* \(process \d+, resnet50 in pytorch\)"
    with hold(decision(A)), pytest.raises(MachineError, match=told) as error, hold(decision(A)):
        pass
    assert "use --wait 10m" in error.value.hint


def test_runs_on_slices_of_a_gpu_exclude_a_run_on_all_of_it():
    refused = pytest.raises(MachineError, match="GPU GPU-a is in use by")
    with hold(decision(SLICE)), hold(decision(OTHER_SLICE)), refused, hold(decision(A)):
        pass


def test_waiting_ends_when_the_gpu_is_free_and_says_so_once():
    said: list[str] = []
    first = ExitStack()
    first.enter_context(hold(decision(A)))
    clock = Clock(lambda now: first.close() if now > 5 else None)
    with hold(decision(A), Sharing(wait=600), clock, said):
        assert 5 < clock.now < 8
    assert len(said) == 1
    assert "waiting for a GPU: GPU GPU-a is in use by" in said[0]


def test_waiting_has_an_end_and_forever_has_none():
    with hold(decision(A)):
        clock = Clock()
        told = "still after 90.00 s"
        with pytest.raises(MachineError, match=told), hold(decision(A), Sharing(wait=90), clock):
            pass
        assert clock.now == pytest.approx(90, abs=2)

        def enough(now):
            if now > 1e5:
                raise KeyboardInterrupt

        forever = hold(decision(A), Sharing(wait=float("inf")), Clock(enough))
        with pytest.raises(KeyboardInterrupt), forever:
            pass


def test_foreign_processes_are_named_and_refused_unless_that_is_allowed(sampler):
    me = os.getpid()
    sampler.used = {B: (GpuProcess(pid=me, memory=3 * 2**30), GpuProcess(pid=2**22, memory=None))}
    user, program = processes.told(me)
    told = rf"GPU GPU-b is in use by process {me} \({user}, {program}, 3.000 GiB\), process "
    with pytest.raises(MachineError, match=told) as error, hold(decision(A, B)):
        pass
    assert "(user unknown, program unknown, memory unknown)" in error.value.what
    assert "--allow-shared" in error.value.hint
    with hold(decision(A)), hold(decision(B), Sharing(allowed=True)):
        pass


def test_a_user_without_a_name_is_told_by_the_number():
    assert processes.user_name(0) == "root"
    assert processes.user_name(2_000_000_011) == "user 2000000011"


def test_a_driver_that_does_not_answer_is_left_to_the_run(monkeypatch):
    def gone():
        raise GpuGoneError("lost")

    monkeypatch.setattr(nvml, "GpuSampler", gone)
    with hold(decision(A)):
        pass


def container(name, owner, *gpus, running=True):
    labels = {**owner.labels(), reaper.LABEL_RUN: name, reaper.LABEL_GPUS: ",".join(gpus)}
    return LabelledContainer(id=name, name=name, labels=labels, running=running)


def test_containers_that_outlived_their_benchdock_are_removed_and_others_are_named():
    here = processes.Owner.here()
    done = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"],
                          capture_output=True, check=True, text=True)  # fmt: skip
    gone = processes.Owner(**{**vars(here), "pid": int(done.stdout), "start": "1"})
    engine = Engine(container("orphan", gone, A), container("other", here, B))
    with hold(decision(A, engine=engine)):
        assert [one.name for one in engine.containers] == ["other"]
    told = "GPU GPU-b is in use by the container other"
    with pytest.raises(MachineError, match=told), hold(decision(A, B, engine=engine)):
        pass
    ended = Engine(container("other", here, B, running=False))
    with hold(decision(B, engine=ended)):
        pass


@pytest.mark.slow
def test_two_runs_never_share_a_gpu_whatever_is_killed(tmp_path):
    seen = storm.attack(50, 7, tmp_path / "storm")
    assert seen.total() == 50
    assert seen["held"]
    assert seen["killed"]
