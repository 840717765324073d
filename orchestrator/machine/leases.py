"""Leases of GPUs: one run at a time on each, of whichever user.

A lease is a lock on a file per GPU. Locks are taken in the order of the UUIDs, so that two runs
never wait for each other, and all of them or none.
"""

from __future__ import annotations

import fcntl
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager

from orchestrator import file_lock, shared_lock
from orchestrator.errors import MachineError

_STRANGE = re.compile(r"[^A-Za-z0-9-]")


class TakenError(MachineError):
    """Another run has a GPU; the text says which one."""


@contextmanager
def held(
    gpus: Iterable[str],
    who: str,
    *,
    shared: bool = False,
    parents: Mapping[str, str] | None = None,
) -> Iterator[None]:
    """Hold the leases of GPUs, given by UUID; do not wait for them.

    A `shared` lease excludes only those that are not. `parents` are the GPUs of MIG slices: slices
    of one GPU exclude a run on the whole GPU, but not each other. `who` is shown to others. Raises
    TakenError, and MachineError if there can be no lock.
    """
    modes: dict[str, int] = {}
    for gpu in gpus:
        modes[gpu] = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        parent = (parents or {}).get(gpu)
        if parent is not None:
            modes.setdefault(parent, fcntl.LOCK_SH)
    with ExitStack() as stack:
        for gpu, mode in sorted(modes.items()):
            stack.enter_context(_locked(gpu, mode, who))
        yield


@contextmanager
def _locked(gpu: str, mode: int, who: str) -> Iterator[None]:
    name = _STRANGE.sub("_", gpu.lower())
    descriptor = shared_lock.opened(shared_lock.folder() / f"benchdock-gpu-{name}")
    with ExitStack() as stack:
        try:
            stack.enter_context(file_lock.held_at_once(descriptor, who, mode))
        except file_lock.HeldError as error:
            raise TakenError(
                f"GPU {gpu} is in use by {error.holder or 'another run of benchdock'}",
                hint="use --wait 10m to wait for its end, or others with --gpus",
            ) from None
        yield
