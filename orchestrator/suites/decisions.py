"""What planning has to know about a request on a machine, apart from how it is decided."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from orchestrator.request import Device, Request
from orchestrator.suites.cells import Cell

# Seconds of a run with this batch, steps and warm-up steps, None if it never ran.
SecondsOf = Callable[[int | None, int | None, int | None], float | None]


@dataclass(frozen=True, kw_only=True)
class Need:
    """An image that a run needs: `size` in bytes, None if unknown; `here` if it is ready.

    `image` is its name in our table, else the same as `reference`; `built` if it is made here.
    """

    image: str
    reference: str
    built: bool
    here: bool
    size: int | None = None


@dataclass(frozen=True, kw_only=True)
class Decided:
    """What would run for a request on a machine; `refusal` says why nothing would.

    `gpus` are the UUIDs of its devices. `need` is None if it runs on the host. `seconds` is how
    long a run took so far, None if it never ran, and `seconds_of` says that of runs that differ in
    batch and steps; None if that is unknown. `warnings` are reasons to doubt its result.
    """

    refusal: str = ""
    hint: str = ""
    device: Device = "cpu"
    devices: int = 1
    gpus: tuple[str, ...] = ()
    need: Need | None = None
    seconds: float | None = None
    seconds_of: SecondsOf | None = field(default=None, compare=False)
    warnings: tuple[str, ...] = ()

    @property
    def why_not(self) -> str:
        """Return refusal and hint as one line."""
        return f"{self.refusal}; {self.hint}" if self.hint else self.refusal


class Decider(Protocol):
    """Decides requests for one machine; `deciding` has the one that looks at it."""

    def decide(self, request: Request) -> Decided:
        """Return what would run. A refusal is not raised."""

    def counts(self, framework: str, device: Device, steps: int | None, warmup: int | None) -> str:
        """Return why a framework refuses these numbers of steps, "" if it does not."""

    def claimed(self, cell: Cell) -> tuple[Request | None, Decided]:
        """Return what would run for a published claim."""
