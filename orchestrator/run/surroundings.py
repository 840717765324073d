"""What a user puts around a program: variables, a command prefix, a network."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePath

from orchestrator.errors import RequestError, quoted
from orchestrator.request import Request
from orchestrator.run import command_line

# Docker's names for networks; its other modes share the namespace of another container.
_NETWORK = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*", re.ASCII)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=", re.ASCII)

# Variables that decide what is measured -> the option that sets and records it.
_OPTIONS = {
    "CUDA_VISIBLE_DEVICES": "--gpus",
    "NVIDIA_VISIBLE_DEVICES": "--gpus",
    "NVIDIA_TF32_OVERRIDE": "--dtype",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE": "--dtype",
}
_OURS = "BENCHDOCK_"
# What `srun` as a prefix passes on: that it starts the program on several nodes.
NODES = "--export=ALL,BENCHDOCK_NODES="
# Bash ends a script that sets one of these.
_READ_ONLY = ("BASHOPTS", "BASH_VERSINFO", "EUID", "PPID", "SHELLOPTS", "UID")
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
# The launcher puts the folder of our programs before it.
_JOINED = "PYTHONPATH"
# Programs of a prefix -> the capability they need from an engine's seccomp profile: without it
# set_mempolicy and mbind are refused, even for root.
_CAPABILITIES = {"numactl": "SYS_NICE"}


def check(request: Request) -> None:
    """Refuse what no run can have. Raises RequestError."""
    for name in request.env:
        _check_variable(name)
    prefix_of(request)
    if request.network is not None and not _NETWORK.fullmatch(request.network):
        raise RequestError(
            f"--network cannot be {quoted(request.network)}",
            hint="use none, bridge, or another name from `docker network ls`",
        )


def _check_variable(name: str) -> None:
    if not _VARIABLE.fullmatch(name):
        raise RequestError(
            f"--env: {quoted(name)} is not a variable name", hint="use letters, digits and _"
        )
    if name in _OPTIONS:
        raise RequestError(
            f"--env cannot set {name}, which {_OPTIONS[name]} sets", hint=f"use {_OPTIONS[name]}"
        )
    if name in _READ_ONLY:
        raise RequestError(
            f"--env cannot set {name}: bash has a read-only variable of that name",
            hint="use another name",
        )
    if name.startswith(_OURS):
        raise RequestError(
            f"--env cannot set {quoted(name)}: names like this are reserved for benchdock",
            hint=f"use a name that does not begin with {_OURS}",
        )


def prefix_of(request: Request) -> tuple[str, ...]:
    """Return the words of the command prefix. Raises RequestError."""
    if request.prefix is None:
        return ()
    words = command_line.split(request.prefix, "--prefix")
    if words[0].startswith("-"):  # `exec` of the shell would read it as an option
        raise RequestError(
            f"--prefix starts with {quoted(words[0])}",
            hint="start it with a command, such as numactl",
        )
    if _ASSIGNMENT.match(words[0]):
        raise RequestError(
            f"--prefix starts with {quoted(words[0])}",
            hint="use --env to set a variable",
        )
    return tuple(words)


def nodes_of(request: Request) -> int:
    """Return on how many nodes the prefix starts the program."""
    told = [word.removeprefix(NODES) for word in prefix_of(request) if word.startswith(NODES)]
    return int(told[0]) if told and told[0].isdecimal() else 1


def capabilities(request: Request) -> tuple[str, ...]:
    """Return the capabilities that the programs of the prefix need beyond the safe defaults."""
    programs = {PurePath(word).name for word in prefix_of(request)}
    return tuple(name for program, name in _CAPABILITIES.items() if program in programs)


def exported(request: Request) -> dict[str, str]:
    """Return the variables that the script sets last, after its other variables.

    The container has all of them from the start, for its entrypoint.
    """
    return {name: text for name, text in request.env.items() if name != _JOINED}


def notes(request: Request) -> Iterator[str]:
    """Warn about variables that override --threads."""
    for name in _THREADS:
        if name in request.env:
            yield (
                f"--env {name} overrides what --threads sets there; a program of benchdock still "
                "uses --threads"
            )
