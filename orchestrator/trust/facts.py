"""What a verdict is based on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from orchestrator.machine.disturbances import Seen


@dataclass(frozen=True, kw_only=True)
class Filled:
    """The most that was used of a memory, in bytes; `what` begins a sentence."""

    what: str
    used: float
    total: float


@dataclass(frozen=True, kw_only=True)
class Clock:
    """The mean SM clock of a GPU (`gpu0`, ...) and its usual one in such runs, in MHz."""

    gpu: str
    now: float
    usual: float


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Facts about a measured run; what is not known is left out and leads to no reason.

    `reads_data` says that the run reads data while it is timed. `seconds` are the times of the
    timed steps, in order. `gpus` are the names of the GPUs by `gpu0`, `gpu1`, ... `fed` is the mean
    utilisation (a share) of those that trained on real data. `missed` are the requested limits that
    were not applied, `shared` says how a container was less isolated than usual.
    """

    on_cpu: bool
    reads_data: bool = False
    seconds: Sequence[float] = ()
    seen: Seen = field(default_factory=Seen)
    gpus: Mapping[str, str] = field(default_factory=dict)
    fed: Mapping[str, float] = field(default_factory=dict)
    clocks: tuple[Clock, ...] = ()
    memory: tuple[Filled, ...] = ()
    missed: tuple[str, ...] = ()
    shared: str = ""
