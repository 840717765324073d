"""Where a script runs, as records: in a container or on this host, with which files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.machine import inventory
from orchestrator.plan import Interpreter, Lack, RuntimeName, Ulimit

# Paths inside a container; the images put the in-image code at CODE themselves.
RUN = "/benchdock/run"
DATA = "/benchdock/data"
SOURCE = "/benchdock/source"
MODEL = "/benchdock/model"
CODE = "/opt/benchdock"


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What an image needs beyond the safe defaults; sizes in bytes."""

    capabilities: tuple[str, ...] = ()
    shm_size: int | None = None
    ulimits: tuple[Ulimit, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a script runs: which files it sees under which names, and in what image.

    `cpus` is the number of CPUs that a program may use there. `interpreter` describes `python` if
    it is the user's. `lacks` names what cannot be given to a container there, and `as_caller` says
    that a container runs as the caller of benchdock, also if that is root.
    """

    runtime: RuntimeName
    reason: str
    python: str
    interpreter: Interpreter | None = None
    image: str | None = None
    image_id: str | None = None
    image_digest: str | None = None
    code: str | Path = CODE
    mount_code: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)
    needs: Needs = Needs()
    cpus: int = field(default_factory=inventory.usable_cpus)
    lacks: tuple[Lack, ...] = ()
    as_caller: bool = False
    warnings: tuple[str, ...] = ()
