"""Removes what a killed benchdock left behind, and nothing else.

A container's labels say who started it: host, boot, process namespace, process and that process's
start time. A container is removed only if it is ours and its process is certainly gone.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from orchestrator.errors import EngineError

LABEL_RUN = "benchdock.run"
LABEL_KEEP = "benchdock.keep"


@dataclass(frozen=True, kw_only=True)
class LabelledContainer:
    """A container that has our label."""

    id: str
    name: str
    labels: Mapping[str, str]
    running: bool


class Containers(Protocol):
    """The part of an engine that the reaper needs."""

    def our_containers(self) -> tuple[LabelledContainer, ...]:
        """Return the containers that have our label."""

    def remove_container(self, container: str) -> None:
        """Remove one, running or not; no error if it is gone."""


@dataclass(frozen=True, kw_only=True)
class Owner:
    """Identifies a process among all hosts, boots and namespaces.

    `start` is in clock ticks since boot, from /proc/<pid>/stat. Fields are empty if there is no
    /proc; such an owner is never considered gone.
    """

    host: str
    boot: str
    namespace: str
    pid: int
    start: str

    @classmethod
    def here(cls) -> Owner:
        """Return this process."""
        pid = os.getpid()
        machine = _read("/etc/machine-id")
        return cls(
            host=f"{socket.gethostname()} {machine}".strip(),
            boot=_read("/proc/sys/kernel/random/boot_id"),
            namespace=_namespace(),
            pid=pid,
            start=_process(pid)[1],
        )

    def labels(self) -> dict[str, str]:
        """Return the labels for a container."""
        return {
            "benchdock.host": self.host,
            "benchdock.boot": self.boot,
            "benchdock.namespace": self.namespace,
            "benchdock.pid": str(self.pid),
            "benchdock.start": self.start,
        }

    @classmethod
    def of(cls, labels: Mapping[str, str]) -> Owner | None:
        """Return who started a container, None if its labels do not say."""
        pid = labels.get("benchdock.pid", "")
        if not pid.isdecimal():
            return None
        return cls(
            host=labels.get("benchdock.host", ""),
            boot=labels.get("benchdock.boot", ""),
            namespace=labels.get("benchdock.namespace", ""),
            pid=int(pid),
            start=labels.get("benchdock.start", ""),
        )

    def is_gone(self, here: Owner) -> bool:
        """Whether this process is certainly gone, as seen from the process `here`."""
        if not self.start or not here.start or self.host != here.host:
            return False
        if self.boot != here.boot:
            return True
        return self.namespace == here.namespace and not _lives(self)

    def is_seen(self, here: Owner) -> bool:
        """Whether the process `here` could see this process if it is alive."""
        return bool(self.start) and (self.host, self.namespace) == (here.host, here.namespace)


def reap(engine: Containers) -> tuple[str, ...]:
    """Remove the containers of processes that are gone; return their names.

    One that cannot be removed is left for the next time; it must not prevent a run. Raises
    EngineError if the engine does not answer.
    """
    here = Owner.here()
    removed = []
    for container in engine.our_containers():
        if is_orphan(container, here):
            with suppress(EngineError):
                engine.remove_container(container.id)
                removed.append(container.name)
    return tuple(removed)


def is_orphan(container: LabelledContainer, here: Owner) -> bool:
    """Whether the process that started a container is certainly gone."""
    owner = Owner.of(container.labels)
    if owner is None or LABEL_KEEP in container.labels:
        return False
    # Nothing outlives a reboot. A running container belongs to a clone of this machine.
    of_a_clone = owner.boot != here.boot and container.running
    return not of_a_clone and owner.is_gone(here)


def _lives(owner: Owner) -> bool:
    try:
        os.kill(owner.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # another user's
    state, start = _process(owner.pid)
    # /proc may hide other users' processes: one that exists and cannot be read counts as alive.
    return not start or (start == owner.start and state not in {"Z", "X"})


def _process(pid: int) -> tuple[str, str]:
    """Return a process's state and start, empty if they cannot be read."""
    # The second field, the program's name, may contain blanks and parentheses.
    fields = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return (fields[0], fields[19]) if len(fields) > 19 else ("", "")


def _namespace() -> str:
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""
