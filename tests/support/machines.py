"""Machines to decide for, as facts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from orchestrator.machine.gpu_facts import GpuReport
from orchestrator.run.facts import EngineAnswer
from orchestrator.runtimes.by_command.platforms import PLATFORMS, ContainerProgram

CPU = "AMD EPYC 7R13 48-Core Processor"
NO_GPU = GpuReport(state="no_library", reason="no NVIDIA driver is installed")
NO_ENGINE = EngineAnswer(why_not="no engine answers", hint="start one")


def answered(engine: Any) -> EngineAnswer:
    """Return what a machine with that engine, or a fake of one, answers."""
    return EngineAnswer(engine=engine)


@dataclass(frozen=True, kw_only=True)
class Known:
    """A machine about which everything is known."""

    gpu: GpuReport = NO_GPU
    cpu_model: str = CPU
    container_engine: EngineAnswer = NO_ENGINE
    cpus: int = 2
    allowed_cpus: frozenset[int] | None = None
    elsewhere: bool = False

    def interpreter(self, *_: object) -> None:
        """Return None: no Python is looked at."""

    def container_program(self, runtime: str) -> ContainerProgram:
        """Return a program of the table as it is usually."""
        return ContainerProgram(platform=PLATFORMS[runtime], lacks=PLATFORMS[runtime].lacks)

    def engine_of(self, *_: object) -> None:
        """Return None: no program has an engine."""
