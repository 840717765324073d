"""Reads what the system says about this machine: hardware, software and state.

`root` is another file system in tests. Sizes are in bytes; None is what the system does not report.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import time
from collections.abc import Iterable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from orchestrator import installation
from orchestrator.machine import git, meminfo
from orchestrator.paths import PROJECT, write_aside

ROOT = Path("/")
# Those of the CPU's flags for instruction sets that decide how fast networks are computed.
_INSTRUCTION_SETS = (
    "avx", "avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16", "avx_vnni",
    "amx_tile", "amx_bf16", "amx_int8", "asimd", "asimdhp", "asimddp", "sve", "sve2", "bf16",
)  # fmt: skip
_MACHINE_ID = re.compile("[0-9a-f]{32}", re.ASCII)
_NVIDIA_VENDOR = "0x10de"
SLOW_GOVERNORS = ("powersave", "conservative")
_GIT_PATIENCE = 1.0  # seconds; on a slow disk "dirty" stays unknown rather than delay the run


def has_nvidia_device(root: Path = ROOT) -> bool:
    """Look for an NVIDIA display device on the PCI bus, which needs no driver."""
    for device in (root / "sys/bus/pci/devices").glob("*"):
        try:
            vendor = (device / "vendor").read_text("ascii").strip()
            kind = (device / "class").read_text("ascii").strip()
        except OSError:
            continue
        if vendor == _NVIDIA_VENDOR and kind.startswith("0x03"):
            return True
    return False


def local_cpus(address: str, root: Path = ROOT) -> str | None:
    """Return the CPUs of a PCI device's NUMA node, such as "0-9,20-29"; None if it is unknown.

    `address` is as NVML writes it, with eight digits of the domain: 00000000:1B:00.0.
    """
    domain, _, rest = address.lower().partition(":")
    nodes = root / "sys/devices/system/node"
    text = _text(root / "sys/bus/pci/devices" / f"{domain[-4:]}:{rest}" / "numa_node")
    node = int(text) if re.fullmatch("-?[0-9]+", text) else -1
    if node < 0 and len(found := list(nodes.glob("node[0-9]*"))) == 1:
        return _text(found[0] / "cpulist") or None  # where there is one node, many do not name it
    return _text(nodes / f"node{node}" / "cpulist") or None


def cpu_model(root: Path = ROOT) -> str:
    """Return the name of the CPU, on ARM made from numbers; else that of the architecture."""
    described = _first_cpu(root)
    return described.get("model name") or _arm_model(described) or platform.machine()


def instruction_sets(root: Path = ROOT) -> tuple[str, ...]:
    """Return those of the CPU's instruction sets that decide how fast networks are computed."""
    described = _first_cpu(root)
    words = described.get("flags", described.get("Features", "")).split()
    return tuple(name for name in _INSTRUCTION_SETS if name in words)


def smt(root: Path = ROOT) -> bool | None:
    """Whether cores run several threads at once."""
    return _flag(root / "sys/devices/system/cpu/smt/active")


def usable_cpus() -> int:
    """Return how many CPUs this process may use."""
    return len(os.sched_getaffinity(0))


def ranges(numbers: Iterable[int]) -> str:
    """Write a set of numbers like the kernel: 0-3,8."""
    parts: list[list[int]] = []
    for number in sorted(numbers):
        if parts and number == parts[-1][-1] + 1:
            parts[-1] = [parts[-1][0], number]
        else:
            parts.append([number])
    return ",".join("-".join(map(str, part)) for part in parts)


def _first_cpu(root: Path) -> dict[str, str]:
    # Only the first entry: the kernel computes the rest on reading, milliseconds per 100 CPUs.
    found: dict[str, str] = {}
    for line in _head(root / "proc/cpuinfo", 8192).split("\n"):
        if not line.strip() and found:
            break
        key, _, value = line.partition(":")
        found[key.strip()] = value.strip()
    return found


def _arm_model(described: dict[str, str]) -> str:
    """ARM's cpuinfo has numbers instead of a name."""
    if "CPU implementer" not in described:
        return ""
    return f"ARM implementer {described['CPU implementer']} part {described.get('CPU part', '?')}"


def governors(root: Path = ROOT) -> tuple[str, ...]:
    """Return the frequency governors in use, empty if the system has none (most VMs)."""
    policies = (root / "sys/devices/system/cpu/cpufreq").glob("policy*/scaling_governor")
    return tuple(sorted({text for policy in policies if (text := _text(policy))}))


def turbo(root: Path = ROOT) -> bool | None:
    """Whether the CPU may exceed its nominal clock."""
    frozen = _flag(root / "sys/devices/system/cpu/intel_pstate/no_turbo")
    return (
        not frozen if frozen is not None else _flag(root / "sys/devices/system/cpu/cpufreq/boost")
    )


def memory(root: Path = ROOT) -> dict[str, int]:
    """Return /proc/meminfo in bytes."""
    return meminfo.parse(_text(root / "proc/meminfo"))


def load(root: Path = ROOT) -> tuple[float, ...] | None:
    """Return the load averages over 1, 5 and 15 minutes."""
    words = _text(root / "proc/loadavg").split()[:3]
    return tuple(float(word) for word in words) if len(words) == 3 else None


def machine_key(root: Path = ROOT) -> str | None:
    """Return what identifies this installation of the system, None if nothing does.

    machine-id(5) asks programs to show only a hash of it that other programs do not make.
    """
    told = _text(root / "etc/machine-id")
    if not _MACHINE_ID.fullmatch(told):
        return None
    return hashlib.sha256(f"benchdock {told}".encode()).hexdigest()[:16]


def machine_or_host() -> str:
    """Return what identifies this machine in the database: its key, or its name without one."""
    return machine_key() or f"host {platform.node() or 'unknown'}"


def slurm_node() -> str:
    """Return what Slurm calls this node, "" outside of its jobs."""
    return os.environ.get("SLURMD_NODENAME", "") if os.environ.get("SLURM_JOB_ID") else ""


def os_name(root: Path = ROOT) -> str | None:
    """Return the distribution's name."""
    for name in ("etc/os-release", "usr/lib/os-release"):
        for line in _text(root / name).split("\n"):
            key, _, value = line.partition("=")
            if key == "PRETTY_NAME":
                return value.strip().strip("'\"")
    return None


def virtualised(root: Path = ROOT) -> str | None:
    """Say what this machine runs inside, None if it looks like bare metal. A hint, not a proof."""
    if (root / ".dockerenv").exists() or (root / "run/.containerenv").exists():
        return "container"
    if "microsoft" in _text(root / "proc/sys/kernel/osrelease").lower():
        return "WSL"
    if "hypervisor" in _first_cpu(root).get("flags", "").split():
        vendor = _text(root / "sys/class/dmi/id/sys_vendor")
        product = _text(root / "sys/class/dmi/id/product_name")
        return f"virtual machine {vendor} {product}".strip()
    return None


def own_commit() -> str | None:
    """Return the commit of benchdock itself: of its clone, or of its installation."""
    return commit(PROJECT) or installation.commit()


def own_dirty() -> bool | None:
    """Whether benchdock's own files differ from its commit; None if git does not know.

    Git is asked once a minute: that takes a quarter of what a short job of a session costs.
    """
    return _own_dirty(own_commit(), int(time.monotonic() // 60), *_shared)


def share_own_dirty(path: Path) -> None:
    """Keep the answer of `own_dirty` in a file, for the next processes on this node."""
    _shared[:] = [path]


_shared: list[Path] = []


@lru_cache(maxsize=1)
def _own_dirty(commit: str | None, minute: int, shared: Path | None = None) -> bool | None:
    asked = [commit, minute, str(PROJECT)]
    if shared is not None:
        with suppress(ValueError, TypeError):
            *known, answer = json.loads(_text(shared) or "[null]")
            if known == asked:
                return bool(answer) if answer is not None else None
    answer = dirty(PROJECT)
    if shared is not None:
        with suppress(OSError):  # the next process asks git again
            shared.parent.mkdir(exist_ok=True)
            write_aside(shared, json.dumps([*asked, answer]), durable=False)
    return answer


def commit(project: Path) -> str | None:
    """Return the checked-out commit, read from git's files; None outside a clone."""
    folder = project / ".git"
    pointer = _text(folder) if folder.is_file() else ""
    if pointer.startswith("gitdir: "):  # a linked work tree
        folder = (project / pointer.removeprefix("gitdir: ")).resolve()
    shared = folder / (_text(folder / "commondir") or ".")
    head = _text(folder / "HEAD")
    if not head.startswith("ref: "):
        return head or None
    reference = head.removeprefix("ref: ")
    loose = _text(folder / reference) or _text(shared / reference)
    return loose or _packed(shared, reference)


def _packed(folder: Path, reference: str) -> str | None:
    for line in _text(folder / "packed-refs").split("\n"):
        digest, _, name = line.partition(" ")
        if name == reference:
            return digest
    return None


def dirty(project: Path, folder: Path | None = None) -> bool | None:
    """Whether the checked-out files differ from the commit; None if git does not know.

    With `folder`, only its contents count. Also None if the clone names a program that git would
    have to start.
    """
    if not (project / ".git").exists() or git.has_filters(project, patience=_GIT_PATIENCE):
        return None
    where = str((folder or project).resolve())
    words = ("status", "--porcelain", "--ignore-submodules=dirty", "--", where)
    answer = git.ask(project, *words, patience=_GIT_PATIENCE)
    return None if answer is None else bool(answer)


def _text(path: Path) -> str:
    """Read a small file; an unreadable file counts as empty."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _head(path: Path, size: int) -> str:
    try:
        with path.open("rb", buffering=0) as stream:
            return stream.read(size).decode("utf-8", "replace")
    except OSError:
        return ""


def _flag(path: Path) -> bool | None:
    text = _text(path)
    return text == "1" if text in ("0", "1") else None
