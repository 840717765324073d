"""Containers on a real engine."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from orchestrator.errors import ImageError, MachineError
from orchestrator.plan import Limits, Mount, Ulimit
from orchestrator.runtimes.contract import Exit
from orchestrator.runtimes.docker.client import Engine
from orchestrator.runtimes.docker.reaper import reap

pytestmark = pytest.mark.engine

MEMORY_HOG = "dd if=/dev/zero of=/dev/null bs=200M count=1"
SMALL = Limits(memory=32 * 2**20)


def names(engine: Engine, run_id: str) -> list[str]:
    return [c.name for c in engine.our_containers() if c.labels["benchdock.run"] == run_id]


@pytest.fixture
def run_id(request) -> str:
    return f"test-{os.getpid()}-{request.node.name}"


@pytest.fixture
def run(engine, run_id, tmp_path):
    """Run a plan to its end; return how it ended and what it printed."""

    def to_its_end(plan) -> tuple[Exit, str]:
        with engine.start(plan, run_id=run_id) as execution:
            end = execution.wait(60)
            execution.collect_output(tmp_path / "engine.log", 100_000)
        assert end is not None
        assert names(engine, run_id) == []
        return end, (tmp_path / "engine.log").read_text()

    return to_its_end


@pytest.mark.parametrize("code", [0, 3, 255])
def test_exit_codes(run, tiny_plan, code):
    assert run(tiny_plan("sh", "-c", f"exit {code}"))[0] == Exit(code=code)


def test_argv_and_environment_arrive_whole(run, tiny_plan):
    plan = tiny_plan("sh", "-c", 'echo "$A|$1"', "x", "a 'b' $c", environment={"A": 'x="y z"'})
    assert run(plan)[1] == "x=\"y z\"|a 'b' $c\n"


def test_killed_for_memory(run, tiny_plan):
    end, _ = run(tiny_plan("sh", "-c", f"exec {MEMORY_HOG}", limits=SMALL))
    assert (end.code, end.oom_killed) == (137, True)


def test_a_child_killed_for_memory_shows_with_exit_code_0(run, tiny_plan):
    end, _ = run(tiny_plan("sh", "-c", f"{MEMORY_HOG}; exit 0", limits=SMALL))
    assert (end.code, end.oom_killed) == (0, True)


def test_stop_ends_a_program_that_does_not_handle_signals(engine, tiny_plan, run_id):
    with engine.start(tiny_plan("sleep", "100"), run_id=run_id) as execution:
        began = time.monotonic()
        assert execution.stop(grace=10).code == 143
        assert time.monotonic() - began < 5


def test_stop_kills_a_program_that_ignores_it(engine, tiny_plan, run_id):
    with engine.start(tiny_plan("sh", "-c", "trap '' TERM; sleep 100"), run_id=run_id) as execution:
        assert execution.wait(0.5) is None
        assert execution.stop(grace=0.5).code == 137
        assert execution.stop(grace=0.5).code == 137


def test_waiting_costs_no_processor_time(engine, tiny_plan, run_id):
    with engine.start(tiny_plan("sleep", "100"), run_id=run_id) as execution:
        before = time.process_time()
        assert execution.wait(2) is None
        assert time.process_time() - before < 0.02


def test_mounts(run, tiny_plan, tmp_path):
    data, results = tmp_path / "data", tmp_path / "results"
    data.mkdir()
    results.mkdir()
    plan = tiny_plan(
        "sh",
        "-c",
        "touch /data/x; touch /results/x",
        mounts=(
            Mount(source=data, target="/data"),
            Mount(source=results, target="/results", read_only=False),
        ),
    )
    assert run(plan)[0].code == 0
    assert list(data.iterdir()) == []
    assert [path.name for path in results.iterdir()] == ["x"]


def test_a_missing_mount_is_refused_and_not_created(run, tiny_plan, tmp_path):
    absent = tmp_path / "absent"
    with pytest.raises(MachineError, match=f"does not see {absent}"):
        run(tiny_plan("true", mounts=(Mount(source=absent, target="/data"),)))
    assert not absent.exists()


def test_no_rights(run, tiny_plan):
    status = run(tiny_plan("cat", "/proc/self/status"))[1]
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert int(fields["CapEff"], 16) == int(fields["CapBnd"], 16) == 0
    assert fields["NoNewPrivs"] == "1"


def test_a_capability_that_is_requested(run, tiny_plan):
    status = run(tiny_plan("cat", "/proc/self/status", capabilities=("SYS_NICE",)))[1]
    assert f"CapEff:\t{1 << 23:016x}" in status


def test_no_network(run, tiny_plan):
    assert run(tiny_plan("ls", "/sys/class/net"))[1].split() == ["lo"]


def test_a_network_that_is_requested(run, tiny_plan):
    interfaces = run(tiny_plan("ls", "/sys/class/net", network="bridge"))[1].split()
    assert set(interfaces) > {"lo"}


def test_the_user(run, tiny_plan):
    assert run(tiny_plan("id", "-u", user="12345:54321"))[1] == "12345\n"


def test_shared_memory(run, tiny_plan):
    plan = tiny_plan("df", "-k", "/dev/shm", limits=Limits(shm_size=10 * 2**20))
    assert " 10240 " in run(plan)[1]


def test_a_ulimit_that_the_host_may_refuse(engine, tiny_plan, run_id, tmp_path):
    limits = Limits(ulimits=(Ulimit(name="memlock", soft=-1, hard=-1),))
    plan = tiny_plan("sh", "-c", "ulimit -l", limits=limits)
    with engine.start(plan, run_id=run_id) as execution:
        end = execution.wait(60)
        execution.collect_output(tmp_path / "out", 1000)
        notes = execution.notes()
    assert end == Exit(code=0)
    unlimited = (tmp_path / "out").read_text() == "unlimited\n"
    refused = any("refuses ulimit memlock" in note for note in notes)
    assert unlimited != refused
    assert names(engine, run_id) == []


@pytest.mark.parametrize(
    ("changes", "kind", "words"),
    [
        ({"user": "alice"}, ImageError, "has no user alice"),
        ({"image": "benchdock-test-absent:1"}, ImageError, "has no image"),
        ({"network": "nosuch"}, MachineError, "has no network nosuch"),
        ({"capabilities": ("NOSUCH",)}, MachineError, "does not know the capability"),
        ({"limits": Limits(memory=4096)}, MachineError, "memory limit is too small"),
    ],
)
def test_refusals(engine, run, run_id, tiny_plan, changes, kind, words):
    with pytest.raises(kind, match=words) as raised:
        run(tiny_plan("true").model_copy(update=changes))
    assert "\n" not in str(raised.value)
    assert names(engine, run_id) == []


def test_a_missing_program_is_told_by_the_init_program(run, tiny_plan):
    end, printed = run(tiny_plan("nosuch"))
    assert end.code == 127
    assert "nosuch" in printed


def test_gpus_without_the_toolkit(engine, tiny_plan, run_id):
    if engine.info().gpu_support:
        pytest.skip("this engine can give GPUs")
    with (
        pytest.raises(MachineError, match="NVIDIA container toolkit"),
        engine.start(tiny_plan("true", gpus=("0",)), run_id=run_id),
    ):
        pass
    assert names(engine, run_id) == []


def test_output_is_cut(engine, tiny_plan, run_id, tmp_path):
    plan = tiny_plan("sh", "-c", "echo out; echo err >&2; head -c 5000000 /dev/zero")
    with engine.start(plan, run_id=run_id) as execution:
        execution.wait(60)
        execution.collect_output(tmp_path / "cut", 1000)
        execution.collect_output(tmp_path / "whole", 10_000_000)
    assert (tmp_path / "cut").stat().st_size == 1000
    # The engine itself keeps about 1 MB.
    assert (tmp_path / "whole").stat().st_size < 1_500_000


def test_both_streams_are_collected(run, tiny_plan):
    assert sorted(run(tiny_plan("sh", "-c", "echo out; echo err >&2"))[1].split()) == ["err", "out"]


def test_nothing_is_left_after_an_exception(engine, tiny_plan, run_id):
    with (
        pytest.raises(RuntimeError),
        engine.start(tiny_plan("sleep", "100"), run_id=run_id),
    ):
        raise RuntimeError
    assert names(engine, run_id) == []


# A benchdock that is interrupted or killed

STARTER = """
import sys
from orchestrator.runtimes.docker.client import Engine
from tests.fakes import plan
sleeper = plan(image=sys.argv[1], argv=("sleep", "100"))
with Engine.connect().start(sleeper, run_id=sys.argv[2]) as run:
    print(run.name, flush=True)
    run.wait(100)
"""


@pytest.fixture
def starter(tiny, run_id):
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", STARTER, tiny, run_id]
    with subprocess.Popen(
        command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        yield process
        process.kill()


def test_nothing_is_left_after_control_c(engine, starter, run_id):
    assert starter.stdout.readline().decode().strip() in names(engine, run_id)
    starter.send_signal(signal.SIGINT)
    starter.wait(20)
    assert names(engine, run_id) == []


def test_the_reaper_removes_what_a_killed_benchdock_left(engine, starter, tiny_plan, run_id):
    left = starter.stdout.readline().decode().strip()
    assert left not in reap(engine)
    starter.kill()
    starter.wait(20)
    with engine.start(tiny_plan("sleep", "100"), run_id=run_id) as living:
        assert left in names(engine, run_id)
        assert left in reap(engine)
        assert names(engine, run_id) == [living.name]
