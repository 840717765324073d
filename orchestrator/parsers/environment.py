"""Recognizes faults of the environment that programs run into, and names the fix."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.result import Failure

# An unreachable network counts only near the end, because programs can recover from it.
_LAST_LINES = 60


@dataclass(frozen=True, kw_only=True)
class _Fault:
    """What a line looks like, what it means, and what to type."""

    line: re.Pattern[str]
    what: str
    fix: str

    def failure(self, line: str) -> Failure:
        """Return the failure that a line shows."""
        said = line.strip().rstrip(".")
        return Failure(kind="crashed", message=f"{self.what}: {said}; {self.fix}", evidence=line)


_SHARED_MEMORY = _Fault(
    line=re.compile(
        r"NCCL WARN .*(?:posix_fallocate|ftruncate|/dev/shm|shared memory segment)"
        # PyTorch's workers, in Python and in C++, and those of Python itself.
        r"|DataLoader worker .*(?:Bus error|out of shared memory)"
        r"|[Uu]nexpected bus error encountered in worker"
        r"|insufficient shared memory"
        r"|unable to write to file </torch_"
        r"|unable to (?:open|resize|allocate) shared memory\b.*No space left"
        r"|No space left on device.*/dev/shm|/dev/shm.*No space left on device"
        # Open MPI's and UCX's.
        r"|not enough space for /dev/shm"
    ),
    what="the shared memory of the container (/dev/shm) is too small",
    fix="run it again with --shm-size 8g",
)
_MPI = (
    _Fault(
        line=re.compile(r"\w*run has detected an attempt to run as root"),
        what="mpirun refuses to run as root",
        fix="add --allow-run-as-root to mpirun, or run it as another user",
    ),
    _Fault(
        line=re.compile(r"There are not enough slots available in the system"),
        what="mpirun should start more processes than it has slots",
        fix="start fewer with -np, or add --oversubscribe to mpirun",
    ),
    _Fault(
        line=re.compile(r".*result in binding more processes than cpus"),
        what="mpirun cannot bind each process to a separate core",
        fix="add --bind-to none to mpirun",
    ),
    _Fault(
        line=re.compile(r"\w*run was unable to (?:find the specified|launch the specified)"),
        what="mpirun cannot start the program",
        fix="check that its path is right where mpirun starts it",
    ),
    _Fault(
        line=re.compile(r"(?:ORTE|PRTE) was unable to reliably start one or more daemons"),
        what="mpirun cannot reach the other hosts",
        fix="run it on one host: benchdock starts one container",
    ),
)
_UNREACHABLE = re.compile(
    r"(?i:temporary failure in name resolution|name or service not known"
    r"|could not resolve (?:host|proxy)|unable to resolve host address"
    r"|failed to resolve '|getaddrinfo failed|no address associated with hostname"
    r"|nodename nor servname|network is unreachable)"
)
# Whether the program had no network, None if unknown -> what it means then.
_NETWORK = {
    True: _Fault(
        line=_UNREACHABLE,
        what="the program needs the network, but its container has none",
        fix="run it again with --network bridge, or download what it needs in advance and use "
        "--data or --source",
    ),
    False: _Fault(
        line=_UNREACHABLE,
        what="the program cannot reach the network",
        fix="check the network and the name servers of this machine and of its containers",
    ),
    None: _Fault(
        line=_UNREACHABLE,
        what="the program cannot reach the network",
        fix="benchdock's containers have no network unless they run with --network bridge",
    ),
}
_NCCL = _Fault(
    line=re.compile(r"(?i:nccl.*unhandled system error)|ncclSystemError"),
    what="NCCL got a system error",
    fix="a common cause is a small /dev/shm: run it again with --shm-size 8g; with --env "
    "NCCL_DEBUG=WARN NCCL gives the cause",
)


def refused(lines: Sequence[str]) -> Failure | None:
    """Return the fault that stopped a program and explains its other last words."""
    return next(filter(None, (_first(fault, lines) for fault in (_SHARED_MEMORY, *_MPI))), None)


def unreachable(lines: Sequence[str], raised: str, *, isolated: bool | None) -> Failure | None:
    """Return the fault of a program without network, or of NCCL, near the end of its log.

    `raised` is the last exception, "" if there is none; `isolated` is as in `crash.evidence`.
    """
    for fault, near in ((_NETWORK[isolated], lines[-_LAST_LINES:]), (_NCCL, lines)):
        found = _first(fault, [raised]) or _first(fault, near)
        if found is not None:
            return found
    return None


def _first(fault: _Fault, lines: Sequence[str]) -> Failure | None:
    line = next((line for line in lines if fault.line.search(line)), "")
    return fault.failure(line) if line else None
