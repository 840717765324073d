"""What a user is told when something is wrong, and the exit status that goes with it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from enum import IntEnum


class ExitStatus(IntEnum):
    """Exit status of every command."""

    OK = 0
    BENCHMARK_FAILED = 1
    BAD_REQUEST = 2
    MACHINE_CANNOT = 3
    GATE_MISSED = 4
    BUG = 70
    INTERRUPTED = 130
    TERMINATED = 143


class BenchdockError(Exception):
    """An error the user can do something about: one line of text and an exit status.

    `hint` is what to type or do instead; it is part of the one line. `details` are the last lines
    of the program that failed (pip, a build), to be shown below it.
    """

    exit_status: ExitStatus = ExitStatus.BENCHMARK_FAILED

    def __init__(self, what: str, *, hint: str = "", details: tuple[str, ...] = ()) -> None:
        self.what = what
        self.hint = hint
        self.details = details
        super().__init__(f"{what}; {hint}" if hint else what)


class RequestError(BenchdockError):
    """The request itself is wrong: no machine could carry it out."""

    exit_status = ExitStatus.BAD_REQUEST


class MachineError(BenchdockError):
    """This machine cannot do it: no engine, no GPU, no image, no disk."""

    exit_status = ExitStatus.MACHINE_CANNOT


class EngineError(MachineError):
    """The container engine is not there, refuses us, or failed at its own work."""


class ImageError(MachineError):
    """An image is not to be had: unknown, unreachable, unbuildable or stale."""


class DataError(RequestError):
    """The dataset that was asked for cannot be read."""


class Interrupted(BenchdockError):  # noqa: N818 - it says what happened, as KeyboardInterrupt does
    """The user (SIGINT) or the system (SIGTERM) ended the command."""

    def __init__(self, signal_number: int) -> None:
        self.signal_number = signal_number
        self.exit_status = ExitStatus(128 + signal_number)
        super().__init__(f"interrupted by signal {signal_number}")


def unknown(kind: str, word: str, choices: Iterable[str], *, listing: str) -> RequestError:
    """Build the error for a name that is not in a closed set, suggesting the nearest one.

    `listing` is the command that prints the whole set.
    """
    nearest = difflib.get_close_matches(word.lower(), list(choices), n=1, cutoff=0.5)
    hint = f"did you mean {nearest[0]!r}?" if nearest else f"`{listing}` lists them"
    return RequestError(f"unknown {kind} {word!r}", hint=hint)
