"""The programs that start containers, and what each can give one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, get_args

from orchestrator.plan import Lack, RuntimeName

_ALL: Final[frozenset[Lack]] = frozenset(get_args(Lack))


@dataclass(frozen=True, kw_only=True)
class Platform:
    """A program that starts containers.

    `title` is its name in a sentence, `programs` are its names on PATH, `install` says how to get
    it. `lacks` is what it can never give. With `as_caller` a container runs as the caller of
    benchdock; else benchdock chooses the user.
    """

    name: RuntimeName
    title: str
    programs: tuple[str, ...]
    install: str
    lacks: frozenset[Lack] = frozenset()
    as_caller: bool = True


PODMAN: Final = Platform(
    name="podman",
    title="podman",
    programs=("podman",),
    install="run `sudo apt-get install podman` to install it",
    as_caller=False,
)
# From 1.1 on it has options for memory and pids, which need delegated cgroups of version 2.
APPTAINER: Final = Platform(
    name="apptainer",
    title="Apptainer",
    programs=("apptainer", "singularity"),
    install="install it (https://apptainer.org/docs/admin/latest), or load its module",
    lacks=_ALL,
)
# Seen with pyxis 0.24: network, /dev/shm and pids are the host's, and the program is root with all
# capabilities in a user namespace. Memory and CPUs are those of the allocation.
SRUN: Final = Platform(
    name="srun",
    title="pyxis",
    programs=("srun",),
    install="use a node of a Slurm cluster",
    lacks=_ALL,
)
PLATFORMS: Final[Mapping[str, Platform]] = {one.name: one for one in (PODMAN, APPTAINER, SRUN)}


@dataclass(frozen=True, kw_only=True)
class ContainerProgram:
    """A platform on a machine; `path` is empty if it is another machine.

    `lacks` is what it cannot give there. `node` and `cpus` are of the allocation in which srun is
    called. The rest is podman's: whether root in a container is the caller, whether files need
    SELinux's labels, whether there is an init program for containers, its storage driver, and the
    socket of its API if that exists.
    """

    platform: Platform
    path: str = ""
    version: str = ""
    lacks: frozenset[Lack] = frozenset()
    node: str = ""
    cpus: str = ""
    rootless: bool = False
    selinux: bool = False
    can_init: bool = False
    storage: str = ""
    socket: str = ""

    @property
    def ordered_lacks(self) -> tuple[Lack, ...]:
        """Return what it lacks in the order of `Lack`."""
        return tuple(one for one in get_args(Lack) if one in self.lacks)

    def __str__(self) -> str:
        """Return it as text for the user."""
        return f"{self.platform.title} {self.version}".rstrip()
