"""Looks for the programs that start containers, and at what they can do on this machine."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from orchestrator.errors import EngineError, MachineError
from orchestrator.machine import inventory
from orchestrator.plan import Lack
from orchestrator.runtimes.by_command.platforms import (
    APPTAINER,
    PLATFORMS,
    PODMAN,
    ContainerProgram,
    Platform,
)

PATIENCE: Final = 60.0  # seconds; the first podman of a user after a boot sets its storage up
_LONGEST = 300
_VERSION = re.compile(r"\d+(?:\.\d+)+")
# Where distributions put it; podman looks there too (containers.conf, helper_binaries_dir).
_INIT: Final = (
    "/usr/libexec/podman/catatonit",
    "/usr/local/libexec/podman/catatonit",
    "/usr/lib/podman/catatonit",
    "/usr/local/lib/podman/catatonit",
    "/usr/bin/catatonit",
)


def look(name: str) -> ContainerProgram:
    """Return a program of the table as it is here. Raises MachineError if it cannot be used."""
    platform = PLATFORMS[name]
    path = next(filter(None, map(shutil.which, platform.programs)), None)
    if path is None:
        raise MachineError(
            f"{platform.programs[0]} is not on PATH, which --runtime {name} needs",
            hint=platform.install,
        )
    if platform is PODMAN:
        return _podman(path)
    if platform is APPTAINER:
        return _of_version(platform, path, ("version",))
    return _srun(platform, path)


def last_line(text: str) -> str:
    """Return the last line that says something, without the word that podman puts before it."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return (lines[-1].removeprefix("Error: ") if lines else "it said nothing")[:_LONGEST]


def run(argv: Sequence[str], *, patience: float = PATIENCE) -> subprocess.CompletedProcess[str]:
    """Run a program and return what it printed. Raises EngineError if it cannot or does not end."""
    try:
        return subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=patience,
            check=False,
        )
    except OSError as error:
        raise EngineError(f"cannot start {argv[0]}: {error.strerror}") from None
    except subprocess.TimeoutExpired:
        said = " ".join(map(os.path.basename, argv[:2]))
        raise EngineError(f"`{said}` does not end within {patience:.0f} s") from None


def _podman(path: str) -> ContainerProgram:
    done = run((path, "info", "--format", "json"))
    try:
        if done.returncode:
            raise ValueError(last_line(done.stderr))
        told = json.loads(done.stdout)
        host, version = told["host"], str(told["version"]["Version"])
        security, socket = host["security"], host.get("remoteSocket") or {}
        return ContainerProgram(
            platform=PODMAN,
            path=path,
            version=version,
            lacks=_lacks_of(host),
            rootless=bool(security["rootless"]),
            selinux=bool(security.get("selinuxEnabled")),
            can_init=any(map(os.path.exists, _INIT)),
            storage=str((told.get("store") or {}).get("graphDriverName", "")),
            socket=_socket(socket),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise EngineError(
            f"podman does not work here: {error}", hint="run `podman info` to see why"
        ) from None


def _lacks_of(host: Mapping[str, Any]) -> frozenset[Lack]:
    """Return the limits that rootless podman ignores: those of controllers it was not given."""
    if not host["security"]["rootless"]:
        return frozenset()
    given = host.get("cgroupControllers") or ()
    usable = given if host.get("cgroupVersion") == "v2" else ()
    of_limits: tuple[Lack, ...] = ("memory", "pids")
    return frozenset(one for one in of_limits if one not in usable)


def _socket(told: Mapping[str, Any]) -> str:
    path = str(told.get("path") or "").removeprefix("unix://")
    return path if path and Path(path).is_socket() else ""


def _of_version(platform: Platform, path: str, words: Sequence[str]) -> ContainerProgram:
    done = run((path, *words))
    found = _VERSION.search(done.stdout)
    if done.returncode or found is None:
        raise EngineError(
            f"{platform.programs[0]} does not work here: {last_line(done.stderr or done.stdout)}",
            hint=f"run `{platform.programs[0]} {' '.join(words)}` to see why",
        )
    return ContainerProgram(platform=platform, path=path, version=found[0], lacks=platform.lacks)


def _srun(platform: Platform, path: str) -> ContainerProgram:
    found = _of_version(platform, path, ("--version",))
    # A plug-in of srun: its options are listed if it is loaded.
    if "--container-image" not in run((path, "--help")).stdout:
        raise MachineError(
            f"srun of Slurm {found.version} has no --container-image: pyxis is not loaded here",
            hint="ask the cluster's administrators for pyxis, or use --runtime apptainer",
        )
    return replace(
        found,
        node=inventory.slurm_node(),
        cpus=os.environ.get("SLURM_CPUS_ON_NODE", ""),
    )
