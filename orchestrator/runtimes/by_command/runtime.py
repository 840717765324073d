"""Runs a plan in a container that a program starts by command line.

The client is a process of this host under the host runtime's keeper, so it and what it starts are
followed, stopped and killed as a program on the host is. Podman's containers also have a name and
our labels.
"""

from __future__ import annotations

import os
import resource
from contextlib import AbstractContextManager, suppress
from typing import Final

from orchestrator.errors import EngineError
from orchestrator.machine.processes import Owner
from orchestrator.plan import Plan
from orchestrator.runtimes.by_command import complaints
from orchestrator.runtimes.by_command.containers import Podman
from orchestrator.runtimes.by_command.platforms import PODMAN, SRUN, ContainerProgram
from orchestrator.runtimes.by_command.rendering import Rendered, rendered
from orchestrator.runtimes.contract import Execution, Exit
from orchestrator.runtimes.docker.reaper import LABEL_GPUS, LABEL_KEEP, LABEL_RUN, container_name
from orchestrator.runtimes.host import handed_on
from orchestrator.runtimes.host.runtime import Command, HostExecution
from orchestrator.signals import held

_SAID: Final = 8192  # bytes
_CLIENT_PATIENCE: Final = 5.0  # seconds for podman to see that its container has ended
# Variables that the clients of Slurm and pyxis read.
_OF_SLURM: Final = ("SLURM", "PYXIS_", "ENROOT_")
_OF_CONTAINERS: Final = ("APPTAINERENV_", "SINGULARITYENV_")


class CommandLineRuntime:
    """Starts plans by one program of this machine."""

    def __init__(self, program: ContainerProgram) -> None:
        self._program = program

    def start(self, plan: Plan, *, run_id: str) -> AbstractContextManager[Execution]:
        """Return the execution; it starts when its context is entered. Raises MachineError."""
        kind = PodmanExecution if self._program.platform is PODMAN else ClientExecution
        return kind(plan, run_id, self._program)


def client_environment(program: ContainerProgram) -> dict[str, str]:
    """Return the environment of a client.

    Podman and Apptainer keep it from the container; srun passes everything on.
    """
    if program.platform is not SRUN:
        return {k: v for k, v in os.environ.items() if not k.startswith(_OF_CONTAINERS)}
    clean = handed_on.variables()
    for name in ("TMPDIR", "LD_LIBRARY_PATH"):  # paths of the host, which no container has
        clean.pop(name, None)
    return clean | {k: v for k, v in os.environ.items() if k.startswith(_OF_SLURM)}


class ClientExecution(HostExecution):
    """A client that stays until its container has ended, such as Apptainer and srun."""

    def __init__(self, plan: Plan, run_id: str, program: ContainerProgram) -> None:
        self._program = program
        self._stopping = False
        plan, notes = _affordable(plan, program)
        command = self._rendered(plan, run_id)
        environment = {**client_environment(program), **command.environment}
        client = Command(argv=command.argv, environment=environment, notes=notes)
        super().__init__(plan, run_id, client)

    def _rendered(self, plan: Plan, run_id: str) -> Rendered:  # noqa: ARG002 (podman's has a name)
        return rendered(plan, self._program)

    def wait(self, timeout: float) -> Exit | None:
        """Wait up to `timeout` seconds; None while it runs.

        Raises ImageError or MachineError if the platform did not start the program.
        """
        ended = super().wait(timeout)
        if ended is not None and ended.code and not self._stopping:
            image = self._plan.image or ""
            error = complaints.explained(self._program, ended.code, self.said(_SAID), image)
            if error is not None:
                raise error
        return ended

    def stop(self, grace: float) -> Exit:
        """End the client and all that it started on this host, as the host runtime does."""
        self._stopping = True
        return super().stop(grace)

    def root(self) -> int | None:
        """Return the client's keeper; None for srun, whose task is a child of Slurm's daemon."""
        return None if self._program.platform is SRUN else super().root()


class PodmanExecution(ClientExecution):
    """A client of podman, and a container that is removed at the end.

    With BENCHDOCK_KEEP_CONTAINER=1 the container is kept for inspection.
    """

    def __init__(self, plan: Plan, run_id: str, program: ContainerProgram) -> None:
        self._podman = Podman(program)
        self._name = container_name(run_id)
        self._keep = os.environ.get("BENCHDOCK_KEEP_CONTAINER") == "1"
        super().__init__(plan, run_id, program)
        if self._keep:
            self._notes.append(
                f"container {self._name} is kept; run `podman rm -f {self._name}` to remove it"
            )
        if not program.can_init:
            self._notes.append(
                "podman has no init program here (catatonit): the program is process 1 of its "
                "container"
            )

    @property
    def name(self) -> str:
        """Return the container's name."""
        return self._name

    def _rendered(self, plan: Plan, run_id: str) -> Rendered:
        labels = {LABEL_RUN: run_id, **Owner.here().labels()}
        if plan.gpus:
            labels[LABEL_GPUS] = ",".join(plan.gpus)
        if self._keep:
            labels[LABEL_KEEP] = "1"
        return rendered(plan, self._program, name=self._name, labels=labels)

    def stop(self, grace: float) -> Exit:
        """Stop the container; if podman cannot, end its processes."""
        self._stopping = True
        if self.wait(0) is None:
            with suppress(EngineError):  # it may not have made the container yet
                self._podman.stop_container(self._name, grace)
                self.wait(_CLIENT_PATIENCE)
        return super().stop(grace)

    def __exit__(self, *told: object) -> None:
        """Remove the container; an error doing so must not hide the one that led here."""
        error = next((one for one in told if isinstance(one, BaseException)), None)
        with held():
            try:
                if not self._keep:
                    self._podman.remove_container(self._name)
            except EngineError as left_behind:
                if error is None:
                    raise
                error.add_note(str(left_behind))
            finally:
                super().__exit__(*told)


def _affordable(plan: Plan, program: ContainerProgram) -> tuple[Plan, tuple[str, ...]]:
    """Drop the ulimits that only root could raise, with a note for each."""
    if not program.rootless:
        return plan, ()
    refused = [one.name for one in plan.limits.ulimits if not _may_have(one.name, one.hard)]
    kept = tuple(one for one in plan.limits.ulimits if one.name not in refused)
    limits = plan.limits.model_copy(update={"ulimits": kept})
    notes = (f"the host refuses ulimit {one}; the container runs without it" for one in refused)
    return plan.model_copy(update={"limits": limits}), tuple(notes)


def _may_have(name: str, hard: int) -> bool:
    number = getattr(resource, f"RLIMIT_{name.upper()}", None)
    if number is None:
        return True
    own = resource.getrlimit(number)[1]
    return own == resource.RLIM_INFINITY or 0 <= hard <= own
