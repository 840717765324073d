"""What the program of a run uses itself: its CPU time and memory, and which processes are its own.

A container is measured by its control group, a program on the host by its tree of processes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_MOST_PROCESSES = 4096


@dataclass(frozen=True, kw_only=True)
class Usage:
    """CPU seconds since the start, and bytes of memory now; None if unknown."""

    cpu: float | None = None
    memory: int | None = None


class OwnWork:
    """The processes below `root`, a process of this machine."""

    def __init__(self, root: int, *, proc: Path = Path("/proc"), sys: Path = Path("/sys")) -> None:
        self._root = root
        self._proc = proc
        self._groups = _groups(proc / str(root) / "cgroup")
        ours = _groups(proc / "self" / "cgroup")
        # If it shares our group, the group says nothing about it.
        self._apart = bool(self._groups) and self._groups != ours
        self._folders = _folders(sys / "fs/cgroup", self._groups) if self._apart else {}

    def owns(self, pid: int) -> bool | None:
        """Whether a process is the program's; None if there is no such process here."""
        folder = self._proc / str(pid)
        if not folder.exists():
            return None
        if self._apart:
            groups = _groups(folder / "cgroup")
            return all(groups.get(name, "").startswith(path) for name, path in self._groups.items())
        return self._root in self._ancestors(pid)

    def usage(self) -> Usage:
        """Return what it uses; what cannot be read is None."""
        if self._apart:
            return Usage(cpu=self._group_cpu(), memory=self._group_memory())
        return self._tree_usage()

    def _group_cpu(self) -> float | None:
        if "cpuacct" in self._folders:
            used = _number(self._folders["cpuacct"] / "cpuacct.usage")
            return used / 1e9 if used is not None else None
        for line in _text(self._folders.get("", Path("/nowhere")) / "cpu.stat").split("\n"):
            name, _, value = line.partition(" ")
            if name == "usage_usec" and value.isdigit():
                return int(value) / 1e6
        return None

    def _group_memory(self) -> int | None:
        if "memory" in self._folders:
            return _number(self._folders["memory"] / "memory.usage_in_bytes")
        return _number(self._folders.get("", Path("/nowhere")) / "memory.current")

    def _tree_usage(self) -> Usage:
        cpu, memory, seen = 0.0, 0, False
        for pid in self._tree():
            found = _stat(self._proc / str(pid) / "stat")
            if len(found) > 21:
                # utime, stime, and those of its children that have ended; resident pages
                cpu += sum(map(int, found[11:15])) / _TICKS
                memory += int(found[21]) * _PAGE
                seen = True
        return Usage(cpu=cpu, memory=memory) if seen else Usage()

    def _tree(self) -> Iterator[int]:
        waiting, count = [self._root], 0
        while waiting and count < _MOST_PROCESSES:
            pid = waiting.pop()
            count += 1
            yield pid
            for task in _listed(self._proc / str(pid) / "task"):
                waiting += map(int, _text(task / "children").split())

    def _ancestors(self, pid: int) -> Iterator[int]:
        for _ in range(_MOST_PROCESSES):
            yield pid
            found = _stat(self._proc / str(pid) / "stat")
            if len(found) < 2 or int(found[1]) == 0:
                return
            pid = int(found[1])


def _stat(path: Path) -> list[str]:
    """Return the fields of /proc/PID/stat from the state on: the name may contain anything."""
    return _text(path).rpartition(")")[2].split()


def _groups(path: Path) -> Mapping[str, str]:
    """Return the path of each controller's group; "" is the single hierarchy of version 2."""
    found: dict[str, str] = {}
    for line in _text(path).split("\n"):
        _, _, rest = line.partition(":")
        names, colon, group = rest.partition(":")
        if colon and not names.startswith("name="):
            found |= dict.fromkeys(names.split(","), group)
    if any(found):
        found.pop("", None)  # a hybrid system's second hierarchy has no controllers
    return found


def _folders(root: Path, groups: Mapping[str, str]) -> dict[str, Path]:
    found = {}
    for name in ("", "cpuacct", "memory"):
        if name not in groups:
            continue
        # A controller's folder is named after it, or after all that share it.
        for mount in (name, "cpu,cpuacct") if name == "cpuacct" else (name,):
            folder = root / mount / groups[name].lstrip("/")
            if folder.is_dir():
                found[name] = folder
    return found


def _listed(folder: Path) -> tuple[Path, ...]:
    try:
        return tuple(folder.iterdir())
    except OSError:
        return ()


def _number(path: Path) -> int | None:
    text = _text(path)
    return int(text) if text.isascii() and text.isdigit() else None


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace").strip()
    except OSError:
        return ""
