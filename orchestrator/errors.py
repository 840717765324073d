"""What a user is told when something is wrong, and the exit status that goes with it."""

from __future__ import annotations

import difflib
import errno
import signal
from collections.abc import Iterable
from enum import IntEnum

# Two words that have less in common are not taken for each other's misspelling.
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
    """A signal ended the command: the user's, a closed terminal's or a batch system's."""

    def __init__(self, signal_number: int) -> None:
        self.signal_number = signal_number
        self.exit_status = ExitStatus(128 + signal_number)
        super().__init__(f"interrupted by {signal.Signals(signal_number).name}")


# What the machine lacks, whatever was asked of it.
_FAULTS = {
    errno.ENOSPC: "free some space or set BENCHDOCK_HOME",
    errno.EDQUOT: "free some of your quota or set BENCHDOCK_HOME",
    errno.EROFS: "set BENCHDOCK_HOME to a writable folder",
    errno.EIO: "`dmesg` tells what is wrong with the disk",
    errno.ESTALE: "the file server lost the folder; try again",
    errno.EMFILE: "allow more open files: `ulimit -n 1024`",
    errno.ENFILE: "the machine has too many open files; end some programs",
    errno.ENOMEM: "free some memory",
    errno.EAGAIN: "the limit of processes is met (`ulimit -u`); end some programs",
}


def machine_fault(error: OSError) -> MachineError | None:
    """Return the error for a fault of the machine's, None for anything else."""
    hint = _FAULTS.get(error.errno or 0)
    if hint is None:
        return None
    where = f"{error.filename}: " if error.filename is not None else ""
    return MachineError(f"{where}{error.strerror}", hint=hint)


def quoted(word: str) -> str:
    """Quote a word of the user's for a message that stays one line, however long the word is."""
    return repr(word if len(word) <= _LONGEST_WORD else f"{word[:_LONGEST_WORD]}...")


def nearest(word: str, choices: Iterable[str]) -> str | None:
    """Return the choice that a word is most likely a misspelling of, the first of equally near."""
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
    """Build the error for a name that is not in a closed set, suggesting the nearest one.

    `listing` is the command that prints the whole set; without it the set is told itself.
    `meant` is the choice that the word is known to stand for.
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
