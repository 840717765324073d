"""What a decision needs to know of a machine: this one, looked at when asked, or another one."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from backends.near_cpus import numbers
from orchestrator.errors import EngineError
from orchestrator.machine import inventory
from orchestrator.machine.gpu_facts import GpuReport

if TYPE_CHECKING:
    from orchestrator.frameworks.record import Framework
    from orchestrator.machine.description import EngineFacts, Machine
    from orchestrator.plan import Interpreter
    from orchestrator.request import Request
    from orchestrator.runtimes.by_command.platforms import ContainerProgram
    from orchestrator.runtimes.docker.client import Engine


@dataclass(frozen=True, kw_only=True)
class EngineAnswer:
    """The container engine of a machine, or why there is none and what fixes that.

    It is a client for this machine's engine, and only facts of another machine's.
    """

    engine: Engine | EngineFacts | None = None
    why_not: str = ""
    hint: str = ""


class DecisionFacts(Protocol):
    """A machine; `elsewhere` says that it is not this one, so its files cannot be looked at."""

    @property
    def elsewhere(self) -> bool:
        """Whether it is another machine."""

    @property
    def cpus(self) -> int:
        """Number of CPUs that a program may use there."""

    @property
    def allowed_cpus(self) -> frozenset[int] | None:
        """Their numbers, None if unknown."""

    @property
    def cpu_model(self) -> str:
        """Name of its processor, as the processor gives it."""

    @property
    def gpu(self) -> GpuReport:
        """Its GPUs, or why there are none."""

    @property
    def container_engine(self) -> EngineAnswer:
        """Its container engine, or why there is none."""

    def container_program(self, runtime: str) -> ContainerProgram:
        """Return a program that starts containers. Raises MachineError if it cannot be used."""

    def engine_of(self, program: ContainerProgram) -> Engine | None:
        """Return the engine behind a program whose API does more, None if there is none."""

    def interpreter(self, request: Request, framework: Framework) -> Interpreter | None:
        """Look at the Python that a request names; None without one, or if it is out of reach.

        Raises RequestError if the framework cannot run in it, MachineError if it does not answer.
        """


class ThisMachine:
    """This machine. Each fact is looked at once, and only if it is asked for.

    A request for the CPU needs no driver, and one for the host no engine. `no_engine` says why no
    engine is wanted, or is empty.
    """

    elsewhere = False

    def __init__(self, no_engine: str = "") -> None:
        self._no_engine = no_engine
        self._interpreters: dict[object, Interpreter] = {}
        self._programs: dict[str, ContainerProgram] = {}

    @cached_property
    def cpus(self) -> int:
        """Return the number of CPUs that a program may use."""
        return inventory.usable_cpus()

    @cached_property
    def allowed_cpus(self) -> frozenset[int]:
        """Return their numbers."""
        return frozenset(os.sched_getaffinity(0))

    @cached_property
    def cpu_model(self) -> str:
        """Return the name of the processor."""
        return inventory.cpu_model()

    @cached_property
    def gpu(self) -> GpuReport:
        """Ask the driver for the GPUs."""
        from orchestrator.machine import gpu

        found = gpu.report()
        return found if found.gpus else replace(found, on_bus=inventory.has_nvidia_device())

    @cached_property
    def container_engine(self) -> EngineAnswer:
        """Connect to the container engine."""
        if self._no_engine:
            return EngineAnswer(why_not=self._no_engine)
        from orchestrator.runtimes.docker.client import Engine

        try:
            return EngineAnswer(engine=Engine.connect())
        except EngineError as error:
            return EngineAnswer(why_not=error.what, hint=error.hint)

    def container_program(self, runtime: str) -> ContainerProgram:
        """Look for a program that starts containers. Raises MachineError."""
        # Imported only here: no other run needs it.
        from orchestrator.runtimes.by_command import finding

        if runtime not in self._programs:
            self._programs[runtime] = finding.look(runtime)
        return self._programs[runtime]

    def engine_of(self, program: ContainerProgram) -> Engine | None:
        """Connect to podman's API, from the version on that gives containers GPUs."""
        from orchestrator.runtimes.docker import cdi
        from orchestrator.runtimes.docker.client import Engine

        if not program.socket or not cdi.is_known_to_podman(program.version):
            return None
        try:
            return Engine.connect(f"unix://{program.socket}")
        except EngineError:  # a socket without a service; the command line works too
            return None

    def interpreter(self, request: Request, framework: Framework) -> Interpreter | None:
        """Start the Python that a request names. Raises RequestError or MachineError."""
        if request.python is None:
            return None
        # Imported only here: no other run needs it.
        from orchestrator.runtimes.host import interpreter

        key = (request.python, framework.name, *sorted(request.env.items()))
        if key not in self._interpreters:
            self._interpreters[key] = interpreter.look(
                request.python, framework.package, request.env, ours=bool(framework.backend)
            )
        return self._interpreters[key]


class OtherMachine:
    """A machine described in a file."""

    elsewhere = True

    def __init__(self, machine: Machine) -> None:
        self.cpus = machine.cpu.usable
        affinity = machine.cpu.affinity
        self.allowed_cpus = numbers(affinity) if affinity is not None else None
        self.cpu_model = machine.cpu.model
        self.gpu = machine.gpu
        why = machine.no_engine or "that machine has no container engine"
        self.container_engine = EngineAnswer(
            engine=machine.engine, why_not="" if machine.engine else why
        )

    def container_program(self, runtime: str) -> ContainerProgram:
        """Return a program of the table, which is taken to be there."""
        from orchestrator.runtimes.by_command.platforms import PLATFORMS, ContainerProgram

        platform = PLATFORMS[runtime]
        return ContainerProgram(platform=platform, lacks=platform.lacks, rootless=True)

    def engine_of(self, *_: object) -> None:
        """Return None: nothing can be asked there."""

    def interpreter(self, *_: object) -> None:
        """Return None: a Python of another machine cannot be started here."""
