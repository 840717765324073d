"""Checks of the programs that start containers by command line."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

from orchestrator.doctor.finding import Finding
from orchestrator.errors import EngineError, MachineError, either
from orchestrator.machine.processes import Owner
from orchestrator.runtimes.by_command import finding
from orchestrator.runtimes.by_command.containers import Podman
from orchestrator.runtimes.by_command.platforms import (
    PLATFORMS,
    PODMAN,
    SRUN,
    ContainerProgram,
    Platform,
)
from orchestrator.runtimes.docker import reaper
from orchestrator.units import counted

_WORDS = {
    "network": "no network none",
    "capabilities": "capabilities stay",
    "memory": "no --memory",
    "pids": "no --pids",
    "shm_size": "the machine's /dev/shm",
    "ulimits": "the caller's ulimits",
}


def program_findings() -> Iterator[Finding]:
    """Report which of these programs are here and what they cannot give a container.

    A run uses one only with --runtime, so one that is missing is not a fault.
    """
    absent = []
    for platform in PLATFORMS.values():
        if not any(map(shutil.which, platform.programs)):
            absent.append(platform.name)
        else:
            yield from _of_program(platform)
    if absent:
        detail = f"not on PATH: {', '.join(absent)} (only for --runtime {either(absent)})"
        yield Finding(name="other runtimes", state="ok", detail=detail)


def _of_program(platform: Platform) -> Iterator[Finding]:
    try:
        program = finding.look(platform.name)
    except MachineError as error:
        yield Finding(
            name=f"runtime {platform.name}", state="warning", detail=error.what, remedy=error.hint
        )
        return
    yield Finding(name=f"runtime {platform.name}", state="ok", detail=_detail(program))
    if program.storage == "vfs":
        yield Finding(
            name="podman's storage",
            state="warning",
            detail="the driver vfs copies the image for each container: a start takes long",
            remedy="sudo apt-get install fuse-overlayfs, then podman system reset",
        )
    if platform is PODMAN:
        yield from _leftovers(Podman(program))


def _detail(program: ContainerProgram) -> str:
    parts = [str(program)]
    if program.platform is PODMAN:
        parts[0] += ", rootless" if program.rootless else ", as root"
        parts += [] if program.can_init else ["no init program (catatonit)"]
    if program.platform is SRUN and not program.node:
        parts.append("only inside an allocation, on its node")
    parts += [_WORDS[one] for one in program.ordered_lacks]
    return "; ".join(parts)


def _leftovers(podman: Podman) -> Iterator[Finding]:
    here = Owner.here()
    try:
        dead = [one.name for one in podman.our_containers() if reaper.is_orphan(one, here)]
    except EngineError as error:
        yield Finding(name="podman's containers", state="warning", detail=error.what)
        return
    if dead:
        yield Finding(
            name="leftovers",
            state="warning",
            detail=f"{counted(len(dead), 'container')} of dead runs; the next run with --runtime "
            "podman removes what is left",
            remedy=f"podman rm -f {' '.join(dead)}",
        )
