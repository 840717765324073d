from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from orchestrator.machine import inventory
from orchestrator.machine.facts import CpuFacts, MachineFacts, Source
from orchestrator.machine.gpu import Gpu, GpuReport


def write(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_facts_of_this_machine_are_json_and_cheap() -> None:
    MachineFacts.of_this_machine()
    begin = time.thread_time()
    found = MachineFacts.of_this_machine()
    assert time.thread_time() - begin < 0.02
    assert MachineFacts.model_validate_json(found.model_dump_json()) == found
    assert found.memory_total is not None
    assert found.memory_total > 2**20
    assert found.cpu is not None
    assert found.cpu.usable == len(os.sched_getaffinity(0))
    assert found.kernel == os.uname().release


def test_gpu_facts() -> None:
    report = GpuReport(
        state="ok", reason="1 GPU", driver="580.1", gpus=(Gpu(index=0, uuid="GPU-1", name="H200"),)
    )
    found = MachineFacts.of_this_machine(report)
    assert found.gpu is not None
    assert (found.gpu.state, found.gpu.driver, found.gpus[0].uuid) == ("ok", "580.1", "GPU-1")


def test_an_empty_system_has_unknown_facts_and_no_errors(tmp_path: Path) -> None:
    found = MachineFacts.of_this_machine(root=tmp_path)
    assert (found.os, found.memory_total, found.load, found.virtualised) == (None,) * 4
    assert found.cpu is not None
    assert (found.cpu.governors, found.cpu.smt) == ((), None)


@pytest.mark.parametrize(
    ("told", "nodes", "cpus"),
    [
        ("1", {0: "0-9", 1: "10-19"}, "10-19"),
        ("-1", {0: "0-9", 1: "10-19"}, None),
        ("-1", {0: "0-19"}, "0-19"),  # the only node
        (None, {0: "0-19"}, "0-19"),
        (None, {}, None),
        ("1", {0: "0-9", 1: ""}, None),  # only memory
        ("2", {0: "0-9", 1: "10-19"}, None),
        ("much", {0: "0-9", 1: "10-19"}, None),
    ],
)
def test_cpus_near_a_pci_device(
    tmp_path: Path, told: str | None, nodes: dict[int, str], cpus: str | None
) -> None:
    if told is not None:
        write(tmp_path, "sys/bus/pci/devices/0000:1b:00.0/numa_node", f"{told}\n")
    for number, text in nodes.items():
        write(tmp_path, f"sys/devices/system/node/node{number}/cpulist", f"{text}\n")
    assert inventory.local_cpus("00000000:1B:00.0", tmp_path) == cpus


def test_cpu_of_x86(tmp_path: Path) -> None:
    entry = "processor\t: 0\nmodel name\t: Xeon: Gold\nflags\t: fpu avx2 amx_bf16 avx512f\n\n"
    write(tmp_path, "proc/cpuinfo", entry + entry.replace("Gold", "other"))
    write(tmp_path, "sys/devices/system/cpu/smt/active", "1\n")
    write(tmp_path, "sys/devices/system/cpu/intel_pstate/no_turbo", "0\n")
    for policy, name in enumerate(("powersave", "powersave", "performance")):
        path = f"sys/devices/system/cpu/cpufreq/policy{policy}/scaling_governor"
        write(tmp_path, path, f"{name}\n")
    found = CpuFacts.read(Source(root=tmp_path))
    assert found.model == "Xeon: Gold"
    assert found.instruction_sets == ("avx2", "avx512f", "amx_bf16")
    assert (found.smt, found.turbo) == (True, True)
    assert found.governors == ("performance", "powersave")


def test_cpu_of_arm(tmp_path: Path) -> None:
    text = "processor\t: 0\nFeatures\t: fp asimd sve\nCPU implementer\t: 0x41\nCPU part\t: 0xd40\n"
    write(tmp_path, "proc/cpuinfo", text)
    found = CpuFacts.read(Source(root=tmp_path))
    assert found.model == "ARM implementer 0x41 part 0xd40"
    assert found.instruction_sets == ("asimd", "sve")


def test_os_name_and_virtualisation(tmp_path: Path) -> None:
    write(tmp_path, "etc/os-release", 'NAME=x\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n')
    assert inventory.os_name(tmp_path) == "Debian GNU/Linux 12 (bookworm)"
    write(tmp_path, "proc/cpuinfo", "processor : 0\nflags : fpu hypervisor\n")
    write(tmp_path, "sys/class/dmi/id/sys_vendor", "QEMU\n")
    assert inventory.virtualised(tmp_path) == "virtual machine QEMU"
    write(tmp_path, "proc/sys/kernel/osrelease", "5.15-Microsoft-standard\n")
    assert inventory.virtualised(tmp_path) == "WSL"
    write(tmp_path, ".dockerenv", "")
    assert inventory.virtualised(tmp_path) == "container"


@pytest.mark.parametrize(
    ("numbers", "text"),
    [(set(), ""), ({3}, "3"), ({0, 1, 2, 3, 8, 10, 11}, "0-3,8,10-11")],
)
def test_ranges(numbers: set[int], text: str) -> None:
    assert inventory.ranges(numbers) == text


def git(folder: Path, *words: str) -> str:
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", str(folder), *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_commit_and_dirty(tmp_path: Path) -> None:
    assert (inventory.commit(tmp_path), inventory.dirty(tmp_path)) == (None, None)
    clone = tmp_path / "clone"
    clone.mkdir()
    git(clone, "init", "-q")
    assert inventory.commit(clone) is None
    write(clone, "file", "text")
    git(clone, "add", "file")
    git(clone, "commit", "-qm", "first")
    head = git(clone, "rev-parse", "HEAD")
    assert (inventory.commit(clone), inventory.dirty(clone)) == (head, False)
    git(clone, "pack-refs", "--all")
    assert inventory.commit(clone) == head
    linked = tmp_path / "linked"
    git(clone, "worktree", "add", "-q", str(linked))
    assert inventory.commit(linked) == head
    git(clone, "checkout", "-q", "--detach")
    assert inventory.commit(clone) == head
    write(clone, "file", "other")
    assert inventory.dirty(clone) is True


@pytest.mark.slow
@pytest.mark.parametrize("name", ["clean", "process"])
@pytest.mark.parametrize("where", ["config", "included"])
def test_a_clone_starts_no_program_of_its_own(tmp_path: Path, name: str, where: str) -> None:
    clone, loot = tmp_path / "clone", tmp_path / "loot"
    clone.mkdir()
    git(clone, "init", "-q")
    write(clone, "file", "text")
    git(clone, "add", "file")
    git(clone, "commit", "-qm", "first")
    write(clone, ".git/info/attributes", "* filter=x")
    write(clone, "file", "TEXT")
    program = f"touch {loot}; cat"
    if where == "included":
        git(clone, "config", "include.path", "more")
        where = "more"
    git(clone, "config", "--file", str(clone / ".git" / where), f"filter.x.{name}", program)
    assert inventory.dirty(clone) is None
    assert not loot.exists()
    # It would have been started.
    subprocess.run(["git", "-C", str(clone), "status"], check=False, capture_output=True)
    assert loot.exists()


def test_dirty_without_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".git").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert inventory.dirty(tmp_path) is None


def machine(**cpu: Any) -> MachineFacts:
    usual = {"governors": ("performance",), "turbo": True, "usable": 4, "logical": 4}
    return MachineFacts.made_of({"cpu": CpuFacts.made_of(usual | cpu)})


def test_doubts() -> None:
    assert machine().doubts() == ()
    assert machine(governors=(), turbo=None).doubts() == ()
    (slow,) = machine(governors=("powersave",), turbo=False).doubts()
    assert "powersave" in slow
    (few,) = machine(usable=2).doubts()
    assert few == "benchdock may use 2 of 4 CPUs (affinity)"
