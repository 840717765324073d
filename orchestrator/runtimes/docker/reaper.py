"""Removes what a killed benchdock left behind, and nothing else.

A container's labels say who started it: host, boot, process namespace, process and that process's
start time. A container is removed only if it is ours and its process is certainly gone.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from orchestrator.errors import EngineError
from orchestrator.machine.processes import Owner

LABEL_RUN = "benchdock.run"
LABEL_KEEP = "benchdock.keep"
# The UUIDs of its GPUs, separated by commas.
LABEL_GPUS = "benchdock.gpus"


@dataclass(frozen=True, kw_only=True)
class LabelledContainer:
    """A container that has our label."""

    id: str
    name: str
    labels: Mapping[str, str]
    running: bool


def container_name(run_id: str) -> str:
    """Return a name that no other container has: one engine may serve many homes and hosts."""
    return f"benchdock-{re.sub(r'[^a-zA-Z0-9_.-]', '-', run_id)}-{secrets.token_hex(3)}"


class Containers(Protocol):
    """The part of an engine that the reaper needs."""

    def our_containers(self) -> tuple[LabelledContainer, ...]:
        """Return the containers that have our label."""

    def remove_container(self, container: str) -> None:
        """Remove one, running or not; no error if it is gone."""


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
