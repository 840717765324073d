from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.errors import MachineError
from orchestrator.machine.own_work import OwnWork
from orchestrator.machine.processes import Owner, living
from orchestrator.plan import Limits, Mount, Plan, Ulimit
from orchestrator.runtimes.host import handed_on, keeper, processes, runtime
from orchestrator.runtimes.host.running import RunningRecord, leftovers, reap_host
from orchestrator.runtimes.host.runtime import HostExecution, HostRuntime
from tests.support.waiting import wait_for

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BENCHDOCK_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def plan(script: str = "true", **fields: Any) -> Plan:
    usual: dict[str, Any] = {
        "model": "alexnet",
        "framework": "pytorch",
        "program": "benchdock",
        "phase": "training",
        "dtype": "float32",
        "batch": 1,
        "device": "cpu",
        "steps": 1,
        "warmup": 0,
        "runtime": "host",
        "runtime_reason": "asked for",
        "argv": ("bash", "-c", script),
        "script": script,
    }
    return Plan(**usual | fields)


def execution(script: str, **fields: Any) -> HostExecution:
    return HostExecution(plan(script, **fields), "run-1")


def output(running: HostExecution, folder: Path, limit: int = 10_000_000) -> bytes:
    path = folder / "engine.log"
    running.collect_output(path, limit)
    return path.read_bytes()


def alive(pid: int) -> bool:
    return living(pid) is not None


def test_output_exit_code_and_nothing_left(tmp_path: Path, home: Path) -> None:
    with HostRuntime().start(plan("echo out; echo err >&2; exit 7"), run_id="r") as running:
        assert running.name.startswith("process tree ")
        ended = running.wait(10)
        running.collect_output(tmp_path / "log", 1000)
    assert ended is not None
    assert (ended.code, ended.oom_killed) == (7, False)
    assert (tmp_path / "log").read_bytes() == b"out\nerr\n"
    assert list((home / "host").iterdir()) == []


def test_wait_is_patient_and_idle() -> None:
    with execution("sleep 60") as running:
        cpu, begin = time.thread_time(), time.monotonic()
        assert running.wait(0.3) is None
        assert time.monotonic() - begin >= 0.29
        assert time.thread_time() - cpu < 0.05
        assert running.wait(0) is None


def test_wait_without_pidfd(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbid(pid: int, flags: int = 0) -> int:
        raise OSError("not permitted")

    monkeypatch.setattr(os, "pidfd_open", forbid)
    with execution("sleep 0.5; exit 3") as running:
        assert running.wait(0.05) is None
        ended = running.wait(20)
        assert ended is not None
        assert ended.code == 3


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL])
def test_death_by_signal(number: signal.Signals) -> None:
    with execution(f"kill -{int(number)} $$") as running:
        ended = running.wait(10)
        assert ended is not None
        assert (ended.code, ended.oom_killed) == (128 + number, False)
        assert running.wait(0) == ended
        assert running.stop(1) == ended


def test_a_kill_for_memory_is_recognised(monkeypatch: pytest.MonkeyPatch) -> None:
    kills = iter([4, 5])
    monkeypatch.setattr(runtime, "_oom_kills", lambda: next(kills))
    with execution("kill -9 $$") as running:
        ended = running.wait(10)
        assert ended is not None
        assert (ended.code, ended.oom_killed) == (137, True)


def test_somebody_elses_kill_for_memory_is_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    kills = iter([4, 5])
    monkeypatch.setattr(runtime, "_oom_kills", lambda: next(kills))
    with execution("exit 0") as running:
        ended = running.wait(10)
        assert ended is not None
        assert ended.oom_killed is False
        assert "killed a process for memory" in running.notes()[-1]


def test_this_kernel_counts_kills_for_memory() -> None:
    if "oom_kill " not in Path("/proc/vmstat").read_text():
        pytest.skip("this kernel does not count kills for memory")
    assert runtime._oom_kills() is not None


def test_stop_asks_first() -> None:
    with execution("trap 'exit 5' TERM; echo ready; while :; do sleep 0.05; done") as running:
        wait_for(lambda: os.fstat(running._output.fileno()).st_size > 0)
        assert running.stop(10).code == 5


def test_stop_kills_who_does_not_listen() -> None:
    script = "trap '' TERM; echo ready; while :; do sleep 0.05; done"
    with execution(script) as running:
        wait_for(lambda: os.fstat(running._output.fileno()).st_size > 0)
        begin = time.monotonic()
        ended = running.stop(0.3)
        assert (ended.code, ended.oom_killed) == (137, False)
        assert time.monotonic() - begin < 5


FAMILY = """
import os, sys, time
folder = sys.argv[1]
def note(name):
    path = os.path.join(folder, name)
    open(path + ".part", "w").write(str(os.getpid()))
    os.rename(path + ".part", path)
if os.fork() == 0:
    os.setsid()          # leaves the process group, as PyTorch's launcher does
    if os.fork() == 0:
        note("grandchild")
        while True:
            os.read(os.pipe()[0], 1)
    note("child")
    while True:
        os.read(os.pipe()[0], 1)
note("leader")
# What it leaves is ended at once, perhaps before it noted anything.
while not all(os.path.exists(os.path.join(folder, n)) for n in ("child", "grandchild")):
    time.sleep(0.001)
if len(sys.argv) == 2:
    while True:
        os.read(os.pipe()[0], 1)
"""


def family(folder: Path, *words: str) -> Plan:
    folder.mkdir()
    return plan(argv=(sys.executable, "-c", FAMILY, str(folder), *words))


def pids(folder: Path) -> list[int]:
    names = ("leader", "child", "grandchild")
    wait_for(lambda: all((folder / n).exists() and (folder / n).read_text() for n in names))
    return [int((folder / name).read_text()) for name in names]


def test_stop_reaches_grandchildren_in_other_sessions(tmp_path: Path) -> None:
    with HostExecution(family(tmp_path / "f"), "r") as running:
        found = pids(tmp_path / "f")
        running.stop(0.5)
        assert not any(map(alive, found))


def test_what_a_finished_program_leaves_is_ended(tmp_path: Path) -> None:
    with HostExecution(family(tmp_path / "f", "leave"), "r") as running:
        found = pids(tmp_path / "f")
        assert running.wait(10) is not None
        assert not any(map(alive, found))


def test_an_exception_ends_everything(tmp_path: Path, home: Path) -> None:
    found: list[int] = []

    def fail() -> None:
        with HostExecution(family(tmp_path / "f"), "r"):
            found.extend(pids(tmp_path / "f"))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert len(found) == 3
    assert not any(map(alive, found))
    assert list((home / "host").iterdir()) == []


def test_the_callers_environment_stays_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "hunter2")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    with execution("env", environment={"OMP_NUM_THREADS": "2"}) as running:
        running.wait(10)
        told = output(running, tmp_path).decode()
    seen = dict(line.split("=", 1) for line in told.splitlines())
    assert "hunter2" not in told
    assert seen["OMP_NUM_THREADS"] == "2"
    assert seen["CUDA_VISIBLE_DEVICES"] == ""
    assert set(seen) <= {
        *handed_on.NAMES,
        *("LANG", "CUDA_DEVICE_ORDER", "CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS"),
        *(processes.TOKEN, "PWD", "SHLVL", "_"),
    }


def test_gpus_are_handed_out_by_uuid() -> None:
    given = runtime.environment(plan(device="gpu", gpus=("GPU-1", "GPU-2")), "token")
    assert given["CUDA_VISIBLE_DEVICES"] == "GPU-1,GPU-2"
    assert given["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"


def test_what_cuda_compiles_is_kept_for_the_next_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("BENCHDOCK_HOME", str(tmp_path))
    assert runtime.environment(plan(gpus=("GPU-1",)), "t")["CUDA_CACHE_PATH"] == f"{tmp_path}/cuda"
    assert "CUDA_CACHE_PATH" not in runtime.environment(plan(gpus=()), "t")
    own = plan(gpus=("GPU-1",), environment={"CUDA_CACHE_PATH": "/mine"})
    assert runtime.environment(own, "t")["CUDA_CACHE_PATH"] == "/mine"


def test_the_monitor_can_tell_the_program_from_others(tmp_path: Path) -> None:
    with execution("sleep 5") as running:
        root = running.root()
        assert root is not None
        assert OwnWork(root).usage().cpu is not None
        assert OwnWork(root).owns(root) is True
        assert OwnWork(root).owns(os.getppid()) is False
        running.stop(0)


def test_standard_input_is_empty(tmp_path: Path) -> None:
    with execution("cat; echo end") as running:
        assert running.wait(10) is not None
        assert output(running, tmp_path) == b"end\n"


def test_100_megabytes_of_output(tmp_path: Path) -> None:
    with execution("head -c 100000000 /dev/zero; printf last") as running:
        ended = running.wait(60)
        assert ended is not None
        assert ended.code == 0
        told = output(running, tmp_path, limit=1000)
    assert len(told) == 1000
    assert b"left out here" in told
    assert told.endswith(b"last")


def test_a_limit_smaller_than_the_mark(tmp_path: Path) -> None:
    with execution("head -c 1000 /dev/zero") as running:
        running.wait(10)
        assert len(output(running, tmp_path, limit=5)) == 5


def test_missing_bash(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, home: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MachineError, match=r"bash is not on PATH; .*apt-get install bash"):
        execution("true").__enter__()
    assert not (home / "host").exists()


def test_missing_dataset(tmp_path: Path) -> None:
    mount = Mount(source=tmp_path / "absent", target="/benchdock/data")
    with pytest.raises(MachineError, match="absent does not exist"):
        execution("true", mounts=(mount,)).__enter__()


def test_a_home_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("BENCHDOCK_HOME", str(tmp_path / "file"))
    with pytest.raises(MachineError, match="cannot start the program on the host"):
        execution("true").__enter__()


def test_limits_that_do_not_hold_are_noted() -> None:
    limits = Limits(memory=1, pids=2, ulimits=(Ulimit(name="stack", soft=1, hard=1),))
    with execution("true", limits=limits) as running:
        notes = running.notes()
    assert len(notes) == 3
    assert notes[0] == "the host runtime cannot limit memory: the requested limit was not applied"


# What a killed benchdock leaves

ABANDON = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from tests.unit.test_host_runtime import family, pids
from orchestrator.runtimes.host.runtime import HostExecution
with HostExecution(family(Path(sys.argv[1])), "abandoned") as running:
    pids(Path(sys.argv[1]))
    print("ready", flush=True)
    running.wait(600)
"""


@contextmanager
def another(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Start a run in another benchdock."""
    command = [sys.executable, "-c", ABANDON, str(folder), str(ROOT)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"ready\n"
        yield other


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


@pytest.mark.slow
def test_nothing_outlives_a_benchdock_that_was_killed(tmp_path: Path, home: Path) -> None:
    with another(tmp_path / "f") as other:
        found = pids(tmp_path / "f")
        assert reap_host() == ()  # its benchdock lives
        other.kill()
    wait_for(lambda: not any(map(alive, found)))
    (record,) = leftovers()
    assert record.run_id == "abandoned"
    wait_for(lambda: not processes.members(record.token))  # its keeper ends last
    assert reap_host() == ()
    assert list((home / "host").iterdir()) == []


@pytest.mark.slow
def test_the_reaper_ends_what_is_left_if_the_keeper_was_killed_too(
    tmp_path: Path, home: Path
) -> None:
    with another(tmp_path / "f") as other:
        found = pids(tmp_path / "f")
        keeper = parent(found[0])
        os.kill(keeper, signal.SIGSTOP)
        other.kill()
    os.kill(keeper, signal.SIGKILL)
    wait_for(lambda: not alive(keeper))
    assert all(map(alive, found))
    assert reap_host() == ("abandoned",)
    assert not any(map(alive, found))
    assert list((home / "host").iterdir()) == []
    assert reap_host() == ()


# Overwrites its environment where ps and /proc look for it, as setproctitle does.
RENAMED = (
    "import ctypes, time\n"
    "fields = open('/proc/self/stat').read().rpartition(')')[2].split()\n"
    "begin, end = int(fields[47]), int(fields[48])\n"
    "ctypes.memset(begin, 0, end - begin)\n"
    "time.sleep(1000)\n"
)
ESCAPES = {
    "setsid": "setsid sleep 1000 & ",
    "empty environment": "env -i setsid sleep 1000 & ",
    "no token": f"env -u {processes.TOKEN} setsid sleep 1000 & ",
    "double fork": "(env -i setsid sh -c 'sleep 1000 & sleep 1000 &' &) ; ",
    "shell from stdin": "echo 'sleep 1000' | env -i setsid sh & ",
    "renamed": f'setsid {sys.executable} -c "{RENAMED}" & ',
    "deaf": "env -i setsid sh -c 'trap \"\" TERM HUP INT; sleep 1000; sleep 1000' & ",
    "nohup": "env -i nohup setsid sleep 1000 & ",
}


def everybody(running: HostExecution) -> list[int]:
    return keeper.descendants(running._keeper.pid)


def seen_at_least(count: int, running: HostExecution, found: list[int]) -> bool:
    found[:] = everybody(running)
    return len(found) >= count


@pytest.mark.slow
@pytest.mark.parametrize("how", ["end", "stop", "exception"])
@pytest.mark.parametrize("escape", ESCAPES)
def test_no_child_escapes(escape: str, how: str) -> None:
    ending = "sleep 1000" if how != "end" else "sleep 1.5"
    found: list[int] = []

    def run() -> None:
        with execution(f"{ESCAPES[escape]}{ending}") as running:
            wait_for(lambda: seen_at_least(3, running, found))
            if how == "exception":
                raise KeyboardInterrupt
            ended = running.wait(10) if how == "end" else running.stop(0.05)
            assert ended is not None
            assert not any(map(alive, found))

    with pytest.raises(KeyboardInterrupt) if how == "exception" else nullcontext():
        run()
    assert len(found) >= 3
    assert not any(map(alive, found))


def test_a_program_that_kills_its_keeper_is_ended_all_the_same() -> None:
    script = "kill -9 $PPID; while :; do sleep 0.05; done"
    with execution(script) as running:
        ended = running.wait(10)
        assert ended is not None
        assert ended.code == 128 + signal.SIGKILL
        left = processes.members(running._token, running._keeper.pid)
    assert not any(map(alive, left))


def test_a_program_finds_signals_as_it_would_without_a_keeper(tmp_path: Path) -> None:
    with execution("grep -E 'SigIgn|SigBlk' /proc/self/status") as running:
        running.wait(10)
        told = output(running, tmp_path).decode()
    usual = subprocess.run(
        ["grep", "-E", "SigIgn|SigBlk", "/proc/self/status"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert told == usual.stdout


def gone() -> Owner:
    return replace(Owner.here(), start="1")  # this process's number, another's start


def test_the_reaper_ignores_containers_of_others(home: Path) -> None:
    """The leader's number has passed to another process, which does not have our token."""
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as stranger:
        RunningRecord(
            run_id="r", token="t" * 32, owner=gone(), leader=stranger.pid, leader_start=1
        ).write()
        assert reap_host() == ()
        assert alive(stranger.pid)
        stranger.kill()
    assert list((home / "host").iterdir()) == []


def test_the_reaper_ends_a_group_whose_leader_is_known(home: Path) -> None:
    """Also a program that overwrote its environment is found."""
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as lost:
        seen = living(lost.pid)
        assert seen is not None
        RunningRecord(
            run_id="r", token="t" * 32, owner=gone(), leader=lost.pid, leader_start=seen.start
        ).write()
        assert reap_host() == ("r",)
        assert lost.wait(10) == -signal.SIGKILL


@pytest.mark.parametrize(
    ("changes", "kept"),
    [
        ({"host": "another"}, True),
        ({"namespace": "1"}, True),  # another container: its processes are not seen here
        ({"boot": "before"}, False),
        ({"boot": "before", "namespace": "1"}, False),
    ],
)
def test_records_of_elsewhere(home: Path, changes: dict[str, Any], kept: bool) -> None:
    RunningRecord(run_id="r", token="t" * 32, owner=replace(Owner.here(), **changes)).write()
    assert reap_host() == ()
    assert bool(list((home / "host").iterdir())) is kept


@pytest.mark.parametrize("text", ["", "{", "[]", '{"run_id": "r"}', '"text"'])
def test_a_damaged_record_is_passed_over(home: Path, text: str) -> None:
    (home / "host").mkdir(parents=True)
    (home / "host" / "r.json").write_text(text)
    assert reap_host() == ()


def test_a_record_reads_as_it_was_written() -> None:
    record = RunningRecord(run_id="r", token="0123456789abcdef", owner=Owner.here(), leader=7)
    record.write()
    assert RunningRecord.read(record.path) == record
    assert json.loads(record.path.read_text())["owner"]["pid"] == os.getpid()


def test_a_process_name_with_parentheses(tmp_path: Path) -> None:
    program = tmp_path / "a ) b ("
    program.symlink_to("/bin/sleep")
    with subprocess.Popen([str(program), "60"]) as odd:
        assert alive(odd.pid)
        odd.kill()
    assert not alive(odd.pid)
