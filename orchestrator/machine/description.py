"""A machine as planning needs it: a record of this machine, or one read from a file.

Modules of records have no `from __future__ import annotations`: pydantic would have to compile
every annotation again.
"""

import platform
import re
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from backends import near_cpus
from orchestrator.errors import RequestError
from orchestrator.machine import inventory
from orchestrator.machine.facts import CpuFacts, Source
from orchestrator.machine.gpu_facts import Gpu, GpuReport, gpus_in_words
from orchestrator.record_files import read_file
from orchestrator.request import MOST_THREADS, StrictRecord

_VERSION = re.compile(r"\d+(\.\d+)*", re.ASCII)
_CAPABILITY = re.compile(r"\d+\.\d+", re.ASCII)


class Cpu(StrictRecord):
    """The CPUs: `logical` counts all of them, `usable` those that a program may use.

    `affinity` are the numbers of the latter.
    """

    model: str = ""
    logical: Annotated[int, Field(ge=1)] | None = None
    usable: Annotated[int, Field(ge=1, le=MOST_THREADS)]
    affinity: str | None = None
    instruction_sets: tuple[str, ...] = ()


class EngineFacts(StrictRecord):
    """The container engine; `gpu_support` is only a hint from the engine."""

    name: str = "docker"
    version: str = ""
    gpu_support: bool = True


class Machine(StrictRecord):
    """A machine. Sizes in bytes; names are those of `Result.environment`.

    `engine` is None if no container engine answers, and `no_engine` says why.
    """

    hostname: str = ""
    os: str | None = None
    architecture: str = "x86_64"
    cpu: Cpu
    memory_total: Annotated[int, Field(gt=0)] | None = None
    gpu: GpuReport
    engine: EngineFacts | None
    no_engine: str = ""

    @field_validator("gpu", mode="before")
    @classmethod
    def _complete(cls, found: Any) -> Any:
        """Number the GPUs and fill in what follows from them, which a person need not write."""
        if not isinstance(found, dict):
            return found
        gpus = found.get("gpus", [])
        if not gpus:
            return {"state": "no_gpu", "reason": "the machine has no GPU", **found}
        if not isinstance(gpus, list):
            return {"state": "ok", "reason": "", **found}
        gpus = [
            {"index": index, "uuid": "", **one} if isinstance(one, dict) else one
            for index, one in enumerate(gpus)
        ]
        driver = str(found.get("driver") or "unknown")
        reason = f"{len(gpus)} GPU{'s' if len(gpus) > 1 else ''}, driver {driver}"
        return {**found, "gpus": gpus, "state": "ok", "reason": reason, "hint": ""}

    @model_validator(mode="after")
    def _check(self) -> Self:
        for name, text in (("driver", self.gpu.driver), ("cuda", self.gpu.cuda)):
            if text is not None and not _VERSION.fullmatch(text):
                raise ValueError(f"gpu.{name} is not a version; write one such as 570.86.15")
        lists = {f"gpu.gpus.{n}.local_cpus": one.local_cpus for n, one in enumerate(self.gpu.gpus)}
        for name, text in {"cpu.affinity": self.cpu.affinity, **lists}.items():
            if text is not None and not re.fullmatch(near_cpus.LIST, text):
                raise ValueError(f"{name} is not a list of CPUs; write one such as 0-9,20-29")
        known: set[int | str] = set()
        for place, one in enumerate(self.gpu.gpus):
            told = one.compute_capability
            if told is not None and not _CAPABILITY.fullmatch(told):
                raise ValueError(
                    f"gpu.gpus.{place}.compute_capability is not valid; write one such as 7.0"
                )
            if known & {one.index, one.uuid or one.index}:
                raise ValueError(f"gpu.gpus.{place} has the same index or uuid as another GPU")
            known |= {one.index, one.uuid or one.index}
        return self

    def __str__(self) -> str:
        """Return it as one line for the user."""
        engine = f"{self.engine.name} {self.engine.version}".strip() if self.engine else "no engine"
        driver = f"driver {self.gpu.driver}" if self.gpu.driver else ""
        parts = (gpus_in_words(self.gpu.gpus), driver, f"{self.cpu.usable} CPUs", engine)
        words = ", ".join(part for part in parts if part)
        return f"{self.hostname}: {words}" if self.hostname else words


class MachineFile(StrictRecord):
    """The document of `benchdock doctor --json`; planning reads only `machine` of it."""

    schema_version: Literal[1] = Field(alias="schema")
    can_run: bool = True
    findings: tuple[dict[str, Any], ...] = ()
    machine: Machine


def of_this_machine(report: GpuReport, engine: EngineFacts | None, no_engine: str = "") -> Machine:
    """Describe this machine; its GPUs and engine have been looked at already."""
    cpu = CpuFacts.read(Source())
    return Machine(
        hostname=platform.node(),
        os=inventory.os_name(),
        architecture=platform.machine(),
        cpu=Cpu(**{name: getattr(cpu, name) for name in Cpu.model_fields}),
        memory_total=inventory.memory().get("MemTotal"),
        gpu=report,
        engine=engine,
        no_engine=no_engine,
    )


def read(path: Path) -> Machine:
    """Read a machine file. Raises RequestError that says in one line where the mistake is."""
    keys = {name for kind in (MachineFile, Machine, Cpu, EngineFacts) for name in kind.model_fields}
    keys |= {field.name for kind in (GpuReport, Gpu) for field in fields(kind)}
    try:
        return read_file(MachineFile, path, keys=keys).machine
    except RequestError as error:
        raise RequestError(
            error.what,
            hint=error.hint or "run `benchdock doctor --json` on that machine to write one",
        ) from None
