"""How a run gets its GPUs for itself: by leases, and by looking who uses them without one."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from orchestrator.errors import MachineError
from orchestrator.machine import leases, processes
from orchestrator.machine.gpu_facts import GpuGoneError, GpuProcess
from orchestrator.run.decision import Decision
from orchestrator.units import BYTES, SECONDS, quantity

if TYPE_CHECKING:
    from orchestrator.runtimes.docker.client import Engine
    from orchestrator.runtimes.docker.reaper import Containers

# Between two looks at a GPU that is in use.
PAUSE = 1.0
_MOST_SHOWN = 3


@dataclass(frozen=True, kw_only=True)
class Sharing:
    """What to do with GPUs in use: `wait` so many seconds, or use them too if it is `allowed`."""

    wait: float = 0.0
    allowed: bool = False


EXCLUSIVE = Sharing()


class _InUseError(MachineError):
    """Something other than a lease keeps a GPU busy; the text says what."""


@contextmanager
def held(
    decision: Decision,
    sharing: Sharing,
    tell: Callable[[str], None],
    *,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[None]:
    """Hold the GPUs of a decided run. Raises MachineError if they are not free in time."""
    until = now() + sharing.wait
    with ExitStack() as stack:
        waiting = False
        while True:
            try:
                stack.enter_context(_leased(decision, sharing))
                if not sharing.allowed:
                    _check_unused(decision)
                break
            except (leases.TakenError, _InUseError) as error:
                stack.close()
                if now() >= until:
                    raise _refused(error, sharing) from None
                if not waiting:
                    tell(f"waiting for a GPU: {error.what}")
                waiting = True
                sleep(min(PAUSE, max(0.0, until - now())))
        yield


def _leased(decision: Decision, sharing: Sharing) -> AbstractContextManager[None]:
    parents = {part.uuid: gpu.uuid for gpu in decision.gpu.gpus for part in gpu.slices}
    gpus, who = decision.target.gpus, _who(decision)
    return leases.held(gpus, who, shared=sharing.allowed, parents=parents)


def _refused(error: MachineError, sharing: Sharing) -> MachineError:
    if sharing.wait:
        waited = f"{error.what}, still after {quantity(sharing.wait, SECONDS)}"
        return MachineError(waited, hint="wait longer, or choose others with --gpus")
    return MachineError(error.what, hint=error.hint)


def _who(decision: Decision) -> str:
    request, pid = decision.request, os.getpid()
    user, _ = processes.told(pid)
    what = f"process {pid}, {request.model} in {request.framework}"
    return f"{user}'s benchdock since {time.strftime('%Y-%m-%d %H:%M')} ({what})"


def _check_unused(decision: Decision) -> None:
    """Raise _InUseError if a container or a process uses a GPU of the run."""
    if decision.engine is not None:
        engine = cast("Engine", decision.engine)
        _check_containers(engine, decision.target.gpus, engine.name)
    elif decision.program is not None and decision.runtime == "podman":
        from orchestrator.runtimes.by_command.containers import Podman

        _check_containers(Podman(decision.program), decision.target.gpus, "podman")
    for gpu, found in _processes(decision.target.gpus):
        told = ", ".join(map(_told, found[:_MOST_SHOWN]))
        raise _InUseError(
            f"GPU {gpu} is in use by {told}",
            hint="end it, use --wait 10m to wait for its end, or --allow-shared to measure beside "
            "it",
        )


def _check_containers(engine: Containers, gpus: tuple[str, ...], program: str) -> None:
    """Remove containers whose benchdock was killed; refuse GPUs that another one still has."""
    from orchestrator.runtimes.docker import reaper

    reaper.reap(engine)
    for container in engine.our_containers():
        shared = set(gpus) & set(container.labels.get(reaper.LABEL_GPUS, "").split(","))
        if container.running and shared:
            raise _InUseError(
                f"GPU {min(shared)} is in use by the container {container.name}",
                hint=f"run `{program} rm -f {container.name}`, or use --allow-shared",
            )


def _processes(gpus: tuple[str, ...]) -> Iterator[tuple[str, tuple[GpuProcess, ...]]]:
    """Yield the GPUs on which processes compute; none if the driver cannot tell."""
    from orchestrator.machine.gpu_sampler import GpuSampler

    try:
        sampler = GpuSampler()
    except GpuGoneError:
        return
    try:
        for gpu in gpus:
            found = sampler.sample(gpu).processes
            if found:
                yield gpu, found
    except GpuGoneError:  # the run itself will say so
        return
    finally:
        sampler.close()


def _told(process: GpuProcess) -> str:
    memory = "memory unknown" if process.memory is None else quantity(process.memory, BYTES)
    user, program = processes.told(process.pid)
    return f"process {process.pid} ({user}, {program}, {memory})"
