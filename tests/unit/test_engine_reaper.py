"""The reaper removes what is certainly left behind, and nothing else."""

import fcntl
import os
import subprocess
import sys
from dataclasses import replace

import pytest

from orchestrator.errors import EngineError
from orchestrator.machine.processes import Owner, stat
from orchestrator.runtimes.docker.reaper import LabelledContainer, is_orphan, reap

HERE = Owner.here()


def container(owner: Owner, *, running=True, **more: str) -> LabelledContainer:
    labels = {"benchdock.run": "r", **owner.labels(), **more}
    return LabelledContainer(id="1", name="c", labels=labels, running=running)


@pytest.fixture(scope="module")
def gone() -> Owner:
    """A process that has ended and is reaped."""
    code = "from orchestrator.machine.processes import Owner; print(Owner.here())"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    return eval(printed, {"Owner": Owner})


def test_labels_hold_the_owner():
    assert Owner.of(HERE.labels()) == HERE
    assert HERE.start.isdecimal()


def test_what_lives_stays():
    assert not is_orphan(container(HERE), HERE)


def test_what_is_gone_is_an_orphan(gone):
    assert is_orphan(container(gone), HERE)


def test_a_process_number_used_again_is_another_process():
    assert is_orphan(container(replace(HERE, start="1")), HERE)


def test_a_zombie_is_gone():
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert child.stdin is not None
    seen = stat(child.pid)
    assert seen is not None
    owner = replace(HERE, pid=child.pid, start=str(seen.start))
    assert not is_orphan(container(owner), HERE)
    child.stdin.close()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert is_orphan(container(owner), HERE)
    child.wait()


def test_who_dropped_its_lock_by_dying_is_gone_at_once(tmp_path):
    """The kernel closes a killed process's files before it makes it a zombie."""
    code = (
        "import fcntl, sys, time\n"
        "lock = open(sys.argv[1], 'w')\n"
        "fcntl.flock(lock, fcntl.LOCK_EX)\n"
        "print('held', flush=True)\n"
        "time.sleep(60)"
    )
    path = tmp_path / "lock"
    for _ in range(20):
        command = [sys.executable, "-S", "-c", code, str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == "held\n"
            seen = stat(child.pid)
            assert seen is not None
            owner = replace(HERE, pid=child.pid, start=str(seen.start))
            assert not owner.is_gone(HERE)
            with path.open() as lock:
                child.kill()
                fcntl.flock(lock, fcntl.LOCK_EX)
                assert owner.is_gone(HERE)


@pytest.mark.parametrize(
    "change",
    [
        {"host": "elsewhere 0123"},
        {"namespace": "pid:[1]"},
        {"start": ""},
        {"boot": "another boot"},  # it runs, so it is a clone's
    ],
)
def test_what_cannot_be_judged_stays(gone, change):
    assert not is_orphan(container(replace(gone, **change)), HERE)


def test_what_ended_before_a_reboot_is_an_orphan(gone):
    assert is_orphan(container(replace(gone, boot="earlier"), running=False), HERE)


def test_without_proc_nothing_is_judged(gone):
    assert not is_orphan(container(gone), replace(HERE, start=""))


def test_what_is_kept_stays(gone):
    assert not is_orphan(container(gone, **{"benchdock.keep": "1"}), HERE)


@pytest.mark.parametrize("labels", [{}, {"benchdock.pid": "x"}, {"benchdock.pid": "1"}])
def test_strange_labels_are_ignored(labels):
    strange = LabelledContainer(id="1", name="c", labels=labels, running=False)
    assert not is_orphan(strange, HERE)


def test_reap_removes_only_orphans(gone):
    removed: list[str] = []

    class Containers:
        def our_containers(self):
            return (replace(container(HERE), id="mine"), replace(container(gone), id="theirs"))

        def remove_container(self, container):
            removed.append(container)

    assert reap(Containers()) == ("c",)
    assert removed == ["theirs"]


def test_what_cannot_be_removed_does_not_stop_the_reaper(gone):
    class Containers:
        def our_containers(self):
            return (
                replace(container(gone), id="stuck"),
                replace(container(gone), id="2", name="d"),
            )

        def remove_container(self, container):
            if container == "stuck":
                raise EngineError("device busy")

    assert reap(Containers()) == ("d",)
