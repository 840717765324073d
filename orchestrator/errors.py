"""Errors for the user, and the exit status of each."""

from __future__ import annotations

import difflib
import errno
import signal
from collections.abc import Iterable
from enum import IntEnum

# Words with less in common than this are not considered a misspelling of each other.
_LEAST_LIKENESS = 0.5
_LONGEST_WORD = 80


class ExitStatus(IntEnum):
    """Exit status of every command."""

    OK = 0
    BENCHMARK_FAILED = 1
    BAD_REQUEST = 2
    MACHINE_CANNOT = 3
    GATE_MISSED = 4
    BUG = 70
    HUNG_UP = 129
    INTERRUPTED = 130
    QUIT = 131
    TERMINATED = 143
    CPU_TIME_UP = 152


class BenchdockError(Exception):
    """An error that the user can fix: one line of text and an exit status.

    `hint` is what to type or do instead; it is part of that line. `details` are the last lines of
    the program that failed (pip, a build), printed below it.
    """

    exit_status: ExitStatus = ExitStatus.BENCHMARK_FAILED

    def __init__(self, what: str, *, hint: str = "", details: tuple[str, ...] = ()) -> None:
        self.what = what
        self.hint = hint
        self.details = details
        super().__init__(f"{what}; {hint}" if hint else what)


class RequestError(BenchdockError):
    """The request is wrong: no machine could run it."""

    exit_status = ExitStatus.BAD_REQUEST


class MachineError(BenchdockError):
    """This machine cannot run it: no engine, no GPU, no image, no disk space."""

    exit_status = ExitStatus.MACHINE_CANNOT


class EngineError(MachineError):
    """The container engine is missing, refuses the request, or failed."""


class ImageError(MachineError):
    """An image is not available: unknown, unreachable, unbuildable or out of date."""


class DataError(RequestError):
    """The requested dataset cannot be read."""


class Interrupted(BenchdockError):  # noqa: N818 - it says what happened, as KeyboardInterrupt does
    """A signal ended the command: from the user, a closed terminal or a batch system."""

    def __init__(self, signal_number: int) -> None:
        self.signal_number = signal_number
        self.exit_status = ExitStatus(128 + signal_number)
        super().__init__(f"interrupted by {signal.Signals(signal_number).name}")


# Faults of the machine, whatever the request.
_FAULTS = {
    errno.ENOSPC: "free some space or set BENCHDOCK_HOME",
    errno.EDQUOT: "free some of your quota or set BENCHDOCK_HOME",
    errno.EROFS: "set BENCHDOCK_HOME to a writable folder",
    errno.EIO: "run `dmesg` to see what is wrong with the disk",
    errno.ESTALE: "try again: the file server lost the folder",
    errno.EMFILE: "run `ulimit -n 1024` to allow more open files",
    errno.ENFILE: "end some programs: the machine has too many open files",
    errno.ENOMEM: "free some memory",
    errno.EAGAIN: "end some programs: the limit of processes is reached (`ulimit -u`)",
}


def machine_fault(error: OSError) -> MachineError | None:
    """Return the error for a fault of the machine, None for anything else."""
    hint = _FAULTS.get(error.errno or 0)
    if hint is None:
        return None
    where = f"{error.filename}: " if error.filename is not None else ""
    return MachineError(f"{where}{error.strerror}", hint=hint)


def quoted(word: str) -> str:
    """Quote a user's word for a message of one line, however long the word is."""
    return repr(word if len(word) <= _LONGEST_WORD else f"{word[:_LONGEST_WORD]}...")


def either(words: Iterable[str]) -> str:
    """Write a choice as in a sentence: a, b or c."""
    *others, last = words
    return f"{', '.join(others)} or {last}" if others else last


def nearest(word: str, choices: Iterable[str]) -> str | None:
    """Return the choice that a word most likely misspells, the first of equally near ones."""
    matcher = difflib.SequenceMatcher(b=word[: 4 * _LONGEST_WORD].lower())
    best, likeness = None, 0.0
    for choice in choices:
        matcher.set_seq1(choice)
        least = max(likeness, _LEAST_LIKENESS)
        if matcher.real_quick_ratio() < least or matcher.quick_ratio() < least:
            continue
        if (ratio := matcher.ratio()) >= _LEAST_LIKENESS and ratio > likeness:
            best, likeness = choice, ratio
    return best


def unknown(
    kind: str, word: str, choices: Iterable[str], *, listing: str = "", meant: str | None = None
) -> RequestError:
    """Build the error for an unknown name and suggest the nearest known one.

    `listing` is the command that prints all names; without it the error lists them. `meant` is the
    choice that the word is known to mean.
    """
    known = list(choices)
    near = meant or nearest(word, known)
    hints = [f"did you mean {near!r}?"] if near else []
    if not listing:
        one_of = f"one of {', '.join(known)}"
        hints.append(f"({one_of})" if near else f"use {one_of}")
    elif not near:
        hints.append(f"`{listing}` lists them")
    return RequestError(f"unknown {kind} {quoted(word)}", hint=" ".join(hints))
