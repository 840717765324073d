"""The interface of a parser module, and the hints it may need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from orchestrator.progress import Progress as Progress  # noqa: PLC0414 - what parsers report
from orchestrator.progress import Stage as Stage  # noqa: PLC0414
from orchestrator.request import Device, Dtype, Phase
from orchestrator.result import Measurement


@dataclass(frozen=True, kw_only=True)
class ParseHints:
    """What some programs do not print: batch per device, number of devices, and the phase.

    If a program times both phases at once, `phase` chooses one; if it tries several number types
    and devices, `dtype` and `device` do. `block` chooses one of several runs in a log, counted from
    1. `pattern`, `unit` and `estimator` are for the program `custom` only.

    A log that states another batch, number of devices, phase, `dtype`, `device` or `model` than its
    hint is a failed run; another `xla` is a warning. `network` is the program's name for the model,
    `fingerprint` that of a network of the zoo or of the user's file. `planned` is set if the hints
    come from a plan and not from a user who parses a log. `isolated` says whether the program had
    no network, None if unknown.
    """

    batch: int | None = None
    devices: int | None = None
    phase: Phase | None = None
    dtype: Dtype | None = None
    device: Device | None = None
    xla: bool | None = None
    block: int | None = None
    pattern: str | None = None
    unit: str | None = None
    estimator: str | None = None
    model: str | None = None
    network: str | None = None
    fingerprint: str | None = None
    planned: bool = False
    isolated: bool | None = None


class LogParser(Protocol):
    """Reads one program's log block by block, in memory that does not grow with the log.

    `taken` counts the lines so far that only this program prints in this form, and `first_taken` is
    the first of them, with its number.
    """

    taken: int
    first_taken: tuple[int, str] | None

    def feed(self, block: bytes) -> None:
        """Take the next bytes of the log, cut anywhere."""

    def finish(self, exit_code: int | None = None) -> Measurement:
        """Judge the whole log, using the program's exit code if known. Call it once."""

    @property
    def progress(self) -> Progress:
        """Return the program's progress from the text so far."""


class ParserModule(Protocol):
    """A module of this package: the program's id and its parser class."""

    program: str

    def Parser(self, hints: ParseHints) -> LogParser:  # noqa: N802 (a class in each module)
        """Start on a new log."""
