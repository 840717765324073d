"""Explains what a client printed if it did not start the program.

The launcher script sends the program's output elsewhere, so this is the client's own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from orchestrator.errors import BenchdockError, ImageError, MachineError
from orchestrator.runtimes.by_command.finding import last_line
from orchestrator.runtimes.by_command.platforms import PODMAN, ContainerProgram
from orchestrator.runtimes.docker.errors import RefusedError, explain

_Row = tuple[str, type[MachineError], str, str]

# Podman's exit codes if it or the OCI runtime failed, and not the program.
_PODMAN_FAILED: Final = (125, 126, 127)
_NO_BASH: Final = "use an image with bash: benchdock's launchers are bash scripts"
_NETWORK: Final = "check the name and the network, or make a file of it where there is one"

# Pattern in what the client said, class, message (groups and {image} filled in), hint. The first
# match counts. Pyxis 0.24 prints these; Apptainer's fatal errors begin with FATAL.
_ROWS: Final[Mapping[str, tuple[_Row, ...]]] = {
    "podman": (
        (
            r"error setting rlimit",
            MachineError,
            "the host refuses a ulimit that podman sets for every container",
            'set default_ulimits in containers.conf, such as ["nofile=8192:8192"]',
        ),
        (
            r"image not known|no such image",
            ImageError,
            "podman has no image {image}",
            "run `podman images` to list those that it has",
        ),
    ),
    "srun": (
        (
            r"source path does not exist: (?P<path>.+)",
            MachineError,
            "{path} is not on this node, so pyxis cannot mount it",
            "put it on a disk that the node has",
        ),
        (
            r"pyxis: failed to import docker image(?:[\s\S]*?(?P<cause>curl: .+))?",
            ImageError,
            "pyxis cannot import the image {image}: {cause}",
            "run `enroot import docker://IMAGE` where it can be reached, and use --image FILE.sqsh",
        ),
        (
            r"\[ERROR\] No such file or directory: (?P<path>.+)",
            ImageError,
            "the image file {path} is not on this node",
            "copy it to a disk that the node has",
        ),
        (
            r"\[ERROR\] File already exists: (?P<path>.+)",
            MachineError,
            "another node already unpacks an image to {path}",
            "ask the cluster's administrators for an ENROOT_DATA_PATH on a local disk",
        ),
        (
            r"execve\(\): (?P<program>[^:\n]+): No such file or directory",
            ImageError,
            "the image {image} has no {program}",
            _NO_BASH,
        ),
        (
            r"pyxis: (?P<cause>failed .+|--container.+)",
            MachineError,
            "pyxis cannot start a container of {image}: {cause}",
            "run `srun --container-image=IMAGE true` to see why",
        ),
        (
            r"srun: (?:fatal|error): (?P<cause>(?:Unable|Invalid|Requested|Job|step creation).+)",
            MachineError,
            "srun cannot start a step: {cause}",
            "run `scontrol show job` to see what the allocation has",
        ),
    ),
    "apptainer": (
        (
            r"FATAL: .*\"?(?P<program>bash)\"?.*(?:not found|no such file)",
            ImageError,
            "the image {image} has no {program}",
            _NO_BASH,
        ),
        (
            r"FATAL: +(?P<cause>(?=.*(?:image|docker|oras|library|manifest|registry)).+)",
            ImageError,
            "Apptainer cannot use the image {image}: {cause}",
            _NETWORK,
        ),
        (
            r"FATAL: +(?P<cause>.+)",
            MachineError,
            "Apptainer cannot start a container of {image}: {cause}",
            "run `apptainer exec IMAGE true` to see why",
        ),
    ),
}


def explained(program: ContainerProgram, code: int, said: str, image: str) -> BenchdockError | None:
    """Return why a client ended with this code, None if that was the program's own end."""
    is_podman = program.platform is PODMAN
    # Of a program that ended with such a code itself, podman says nothing.
    if is_podman and (code not in _PODMAN_FAILED or "Error: " not in said):
        return None
    for pattern, kind, what, hint in _ROWS[program.platform.name]:
        found = re.search(pattern, said)
        if found is not None:
            words = {name: text or "" for name, text in found.groupdict().items()}
            told = what.format(image=image, **words).rstrip(": ")
            return kind(told, hint=hint)
    return explain(RefusedError(500, last_line(said)), image=image) if is_podman else None
