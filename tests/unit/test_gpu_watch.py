"""The monitor over the stand-in of NVML: every failure, and every verdict's reason, end to end."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from orchestrator.machine import xid
from orchestrator.machine.own_work import OwnWork
from orchestrator.machine.window import Counters, Pending, Window
from tests.nvml.stub import FIRST, ROOT, SECOND, TWO_GPUS, Stub

needs_compiler = pytest.mark.skipif(
    shutil.which("cc") is None, reason="no C compiler to build the NVML stand-in with"
)
BASE = TWO_GPUS.replace("*.reasons=0x4", "*.reasons=0x0")
# What a board does not have is not asked again, so these answer from the start.
QUIET = (
    BASE
    + "*.fabric=0\n"
    + "".join(f"*.field.{number}=0\n" for number in (3, 4, 31, 94, 144, 145, 230))
)
SLICE = "MIG-99999999-2222-3333-4444-555555555555"
MIG = f"0.mig=1\n0.mig_count=2\n0.mig1.uuid={SLICE}\n0.mig1.memory_total=9\n0.mig1.memory_used=5\n"
GROWING = "*.field.83=0~350000\n*.field.74=0~500000000\n*.field.270=0~50000000\n"

# What it answers before the run and during it, and the codes with their levels.
SCENARIOS: dict[str, tuple[str, str, list[tuple[str, str]]]] = {
    "quiet": (QUIET, QUIET, []),
    "power cap": (QUIET + "*.reasons=0x4\n", QUIET + "*.reasons=0x4\n", [("throttled", "note")]),
    "heat": (QUIET, QUIET + "0.reasons=0x20\n", [("throttled", "invalid")]),
    "heat on a T4": (
        QUIET + "*.name=Tesla T4\n",
        QUIET + "*.name=Tesla T4\n0.reasons=0x60\n",
        [("throttled", "suspect")],
    ),
    "brake counted": (
        QUIET + "0.field.271=0~50000000\n",
        QUIET + "0.field.271=0~50000000\n",
        [("throttled", "suspect")],
    ),
    "heat counted by an old driver": (
        QUIET + "0.violation.1=0~200000000\n",
        QUIET + "0.violation.1=0~200000000\n",
        [("throttled", "invalid")],
    ),
    "unknown reason": (QUIET, QUIET + "0.reasons=0x8000\n", [("throttled", "note")]),
    "idle": (QUIET, QUIET + "0.reasons=0x1\n", [("gpu_idle", "note")]),
    "power limit": (
        QUIET + "0.power_limit=500000\n0.power_limit_default=700000\n",
        QUIET,
        [("power_limit", "suspect")],
    ),
    "Xid of the hardware": (QUIET, QUIET + "events=0:48\n", [("xid", "invalid")]),
    "Xid of a program": (QUIET, QUIET + "events=1:13\n", [("xid", "note")]),
    "memory errors": (QUIET, QUIET + "0.field.4=2\n", [("memory_errors", "invalid")]),
    "corrected memory errors": (QUIET, QUIET + "0.field.3=7\n", [("memory_errors", "note")]),
    "board to be replaced": (QUIET, QUIET + "0.field.145=1\n", [("board_state", "suspect")]),
    "row to be replaced": (QUIET, QUIET + "0.field.144=1\n", [("board_state", "note")]),
    "pages to be retired": (QUIET, QUIET + "0.field.31=1\n", [("board_state", "note")]),
    "recovery action": (QUIET, QUIET + "0.field.230=2\n", [("board_state", "suspect")]),
    "degraded fabric": (
        QUIET,
        QUIET + "0.fabric=3\n0.fabric_health=1\n",
        [("board_state", "suspect")],
    ),
    "slow link": (
        QUIET + "0.pcie_generation_max=4\n0.pcie_generation=1\n",
        QUIET + "0.pcie_generation_max=4\n0.pcie_generation=3\n",
        [("pcie_link", "note")],
    ),
    "link that was only asleep": (
        QUIET + "0.pcie_generation_max=4\n0.pcie_generation=1\n",
        QUIET + "0.pcie_generation_max=4\n0.pcie_generation=4\n",
        [],
    ),
    "replays": (QUIET, QUIET + "0.field.94=80\n", [("pcie_link", "suspect")]),
    "in use before": (
        QUIET + "0.processes=1:na\n",
        QUIET,
        [("foreign_process", "suspect")],
    ),
    "a desktop": (QUIET + "0.graphics=1:5\n", QUIET, [("foreign_process", "suspect")]),
    "somebody came": (QUIET, QUIET + "0.processes=1:na\n", [("foreign_process", "suspect")]),
    "a process that is not here": (QUIET, QUIET + "0.processes=99999999:na\n", []),
    "lost": (QUIET, QUIET + "0.power=!15\n", [("gpu_silent", "suspect")]),
    "reset needed": (QUIET, QUIET + "0.sm_clock=!16\n", [("gpu_silent", "suspect")]),
    "a metric fails": (QUIET, QUIET + "0.power=!999\n0.sm_clock=!27\n0.reasons=!29\n", []),
    "no fields": (QUIET + "missing=FieldValues\n", QUIET + "missing=FieldValues\n", []),
    "driver unloaded": (QUIET, QUIET + "*.power=!9\n", [("gpu_silent", "suspect")]),
    "no driver": ("init=!9\n", QUIET, [("gpu_silent", "suspect")]),
    "mismatch": ("init=!18\n", QUIET, [("gpu_silent", "suspect")]),
    "a handle fails": (QUIET + "0.uuid=!999\n", QUIET, [("gpu_silent", "suspect")]),
    "events fail": (QUIET, QUIET + "events=!999\n", []),
    "energy": (QUIET + GROWING, QUIET + GROWING, [("throttled", "note"), ("throttled", "suspect")]),
    "slice": (QUIET + MIG, QUIET + MIG, []),
}


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Run all scenarios in one process, because one process cannot change its NVML."""
    stub = Stub.build(tmp_path_factory.mktemp("nvml"))
    stub.answer("")
    wanted = [
        (before, during, [SLICE] if name == "slice" else [FIRST, SECOND])
        for name, (before, during, _) in SCENARIOS.items()
    ]
    done = subprocess.run(
        [sys.executable, "-m", "tests.nvml.watch"],
        env=os.environ | {"LD_LIBRARY_PATH": str(stub.folder), "NVML_STUB": str(stub.answers)},
        input=json.dumps(wanted),
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    return dict(zip(SCENARIOS, map(json.loads, done.stdout.splitlines()), strict=True))


@needs_compiler
@pytest.mark.parametrize("name", SCENARIOS)
def test_what_happens_to_a_gpu_is_judged(watched: dict[str, dict[str, Any]], name: str) -> None:
    found = watched[name]
    # The test machine may be busy itself.
    codes = [tuple(one) for one in found["codes"] if one[0] not in ("busy_host", "cpu_stolen")]
    assert codes == sorted(SCENARIOS[name][2]), found["texts"]


@needs_compiler
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("lost", "GPU 0 stopped answering the monitor: GPU is lost"),
        ("no driver", "the GPUs were not monitored: Driver Not Loaded"),
        ("mismatch", "the GPUs were not monitored: RM has detected an NVML/RM version mismatch."),
        ("Xid of the hardware", "Xid 48 (a memory error that could not be corrected)"),
        ("unknown reason", "throttled by reason 0x8000 for"),
        ("recovery action", "GPU 0 needs attention: the driver says to restart the machine"),
        ("somebody came", "GPU 0 was used by others during the run (process 1)"),
        ("power limit", "GPU 0 is limited to 500 of its usual 700 W"),
    ],
)
def test_it_is_said(watched: dict[str, dict[str, Any]], name: str, text: str) -> None:
    assert any(text in said for said in watched[name]["texts"]), watched[name]["texts"]


@needs_compiler
def test_the_other_gpu_is_watched_to_the_end(watched: dict[str, dict[str, Any]]) -> None:
    for name in ("lost", "reset needed", "a handle fails"):
        assert watched[name]["summary"]["gpu1.sm_clock.mean"] == 1755, name


@needs_compiler
def test_energy_and_shares_are_those_of_the_window(watched: dict[str, dict[str, Any]]) -> None:
    found = watched["energy"]["summary"]
    assert found["gpu0.energy"] == pytest.approx(350 * found["window"], rel=0.01)
    assert found["gpu0.throttled.power_cap"] == pytest.approx(50, rel=0.01)
    assert found["gpu0.throttled.hardware_thermal_slowdown"] == pytest.approx(5, rel=0.01)
    assert found["monitor.cpu"] > 0


@needs_compiler
def test_a_slice_has_its_own_memory_and_the_power_of_the_whole(
    watched: dict[str, dict[str, Any]],
) -> None:
    found = watched["slice"]["summary"]
    assert found["gpu0:1.memory_used.max"] == 5
    assert found["gpu0:1.power.mean"] == pytest.approx(351.234)


@pytest.mark.parametrize(
    ("record", "found"),
    [
        ("3,1,2,-;NVRM: Xid (PCI:0000:4f:00): 79, pid=1, GPU has fallen", ("0000:4f:00", 79)),
        ("NVRM: Xid (PCI:0000:4F:00.0): 13, Graphics", ("0000:4f:00", 13)),
        ("NVRM: Xid (PCI:0000:4f:00): " + "9" * 30, None),
        ("NVRM: GPU at PCI:0000:4f:00", None),
        ("", None),
    ],
)
def test_a_record_of_the_kernels_log(record: str, found: tuple[str, int] | None) -> None:
    assert xid.parse(record) == found


def test_an_xid_from_both_sources_counts_once() -> None:
    both = xid.Xids()
    both.add(0, (("gpu0", 13), ("gpu0", 13)))
    both.add(1, (("gpu0", 13), ("gpu1", 79)))
    assert both.found() == (("gpu0", 13, 2), ("gpu1", 79, 1))


def test_an_unreadable_kernel_log_is_empty(tmp_path: Path) -> None:
    log = xid.KernelLog(tmp_path / "absent")
    assert log.xids({"0000:4f:00": "gpu0"}) == ()
    log.close()
    assert xid.why_unreadable(tmp_path / "absent") == "No such file or directory"


def test_the_kernel_log_begins_now(tmp_path: Path) -> None:
    path = tmp_path / "kmsg"
    path.write_text("NVRM: Xid (PCI:0000:4f:00): 31, before\n")
    log = xid.KernelLog(path)
    with path.open("a") as stream:
        stream.write("NVRM: Xid (PCI:0000:4f:00): 79, now\n")
    assert log.xids({"0000:4f:00": "gpu0"}) == (("gpu0", 79),)
    log.close()


def test_counters_are_interpolated_at_the_edges() -> None:
    counters = Counters()
    for second in range(10):
        counters.add(float(second), {"energy": 100.0 * second})
    counters.settle(Window(2.5, 4.0))
    counters.settle(Window(2.5, 7.25))
    assert counters.growth() == {"energy": pytest.approx(475.0)}


def test_samples_wait_until_the_window_is_known() -> None:
    pending: Pending[int] = Pending()
    for second in range(10):
        pending.add(float(second), second)
    assert list(pending.take(Window(2.5, 4.0))) == [3, 4]
    assert list(pending.take(Window(2.5, 7.0))) == [5, 6, 7]


def test_a_process_of_the_host_is_known_by_its_ancestors() -> None:
    child = subprocess.Popen(["sleep", "30"])
    try:
        work = OwnWork(os.getpid())
        assert (work.owns(child.pid), work.owns(os.getpid()), work.owns(1)) == (True, True, False)
        assert work.owns(99999999) is None
        usage = work.usage()
        assert usage.cpu is not None
        assert usage.cpu > 0
        assert usage.memory is not None
        assert usage.memory > 1 << 20
    finally:
        child.kill()
        child.wait()


@pytest.mark.parametrize("version", [1, 2])
def test_a_container_is_known_by_its_control_group(tmp_path: Path, version: int) -> None:
    proc, sys_folder = tmp_path / "proc", tmp_path / "sys"
    group = {1: "4:cpu,cpuacct:{0}\n3:memory:{0}\n1:name=systemd:/x\n0::/\n", 2: "0::{0}\n"}[
        version
    ]
    for pid, path in (
        ("10", "/docker/a"),
        ("11", "/docker/a/b"),
        ("12", "/user"),
        ("self", "/user"),
    ):
        (proc / pid).mkdir(parents=True)
        (proc / pid / "cgroup").write_text(group.format(path))
    files = {
        1: {
            "cpu,cpuacct/docker/a/cpuacct.usage": "2500000000",
            "memory/docker/a/memory.usage_in_bytes": "77",
        },
        2: {
            "docker/a/cpu.stat": "usage_usec 2500000\nuser_usec 1",
            "docker/a/memory.current": "77",
        },
    }[version]
    for name, text in files.items():
        (sys_folder / "fs/cgroup" / name).parent.mkdir(parents=True, exist_ok=True)
        (sys_folder / "fs/cgroup" / name).write_text(text + "\n")
    work = OwnWork(10, proc=proc, sys=sys_folder)
    assert (work.usage().cpu, work.usage().memory) == (2.5, 77)
    assert [work.owns(pid) for pid in (10, 11, 12, 13)] == [True, True, False, None]
