"""Attempts at the runs of a session, as files on the shared path: one at a time, one end per run.

An attempt claims its run with a numbered file that only one can make. While it works, it changes
the time of that file again and again. If that stops, the attempt counts as dead, and another one
makes the file with the next number. Times are only compared for being different, so the clocks of
the nodes do not matter. The end of a run is one file, which the first to make it makes.

Files are made complete under another name and then linked: on NFS too, link(2) either makes the
name or fails, and never replaces a file.
"""

from __future__ import annotations

import os
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from pydantic import Field

from orchestrator.errors import RequestError
from orchestrator.paths import RunFolder, runs, write_aside
from orchestrator.record_files import may_exist, read_file
from orchestrator.request import LenientRecord
from orchestrator.result import Result
from orchestrator.suites import state
from orchestrator.suites.state import Ended

_CLAIM = re.compile(r"(.+)\.(\d+)\.claim", re.ASCII)
_BEATS = 8  # signs of life within the patience of others
_POLL = 0.5


class End(Ended):
    """How a run ended, and where: `clock` is the node's time in seconds since 1970."""

    node: str = ""
    job: str = ""
    attempt: int = 0
    clock: float = 0.0


class Claim(LenientRecord):
    """Who makes a run: an attempt at a task of a job, on a node; `run` is the name of its folder.

    `process` identifies the process, as the labels of containers do. An attempt that gave the run
    up is `released`; `ended` says how if the machine failed it.
    """

    job: str
    attempt: int
    node: str
    process: dict[str, str] = Field(default_factory=dict)
    run: str | None = None
    released: bool = False
    ended: End | None = None


class Numbered(NamedTuple):
    """A claim and its number: the largest number counts. `before` is the claim it follows."""

    number: int
    claim: Claim
    before: Claim | None = None


class Seen(NamedTuple):
    """The runs that have ended, and those that were claimed with the number of the last claim."""

    ends: frozenset[str]
    claims: dict[str, int]


class Attempts:
    """The files of all attempts at the runs of a session; runs go by the names of `arrays`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def end(self, name: str) -> End | None:
        """Return how a run ended, None if it has not. Raises RequestError for a damaged file."""
        path = self._end(name)
        return read_file(End, path) if path.exists() else None

    def look(self) -> Seen:
        """Return what is there."""
        ends, claims = set[str](), dict[str, int]()
        with suppress(FileNotFoundError):
            for entry in os.listdir(self._folder):
                if entry.endswith(".end"):
                    ends.add(entry.removesuffix(".end"))
                elif match := _CLAIM.fullmatch(entry):
                    claims[match[1]] = max(int(match[2]), claims.get(match[1], 0))
        return Seen(frozenset(ends), claims)

    def last(self, name: str, number: int = 0) -> Numbered | None:
        """Return the last claim of a run; it is at least the one of that number."""
        while self._claim(name, number + 1).exists():
            number += 1
        if not number:
            return None
        try:
            return Numbered(number, read_file(Claim, self._claim(name, number)))
        except RequestError:  # a disk failed: there is a name without content
            return Numbered(number, Claim(job="", attempt=0, node="unknown", released=True))

    def take(self, name: str, number: int, claim: Claim) -> bool:
        """Make the claim of that number; return False if another attempt has it. Raises OSError."""
        return self._link(self._claim(name, number), claim)

    def write(self, name: str, number: int, claim: Claim) -> None:
        """Change a claim that this attempt has. Raises OSError."""
        write_aside(self._claim(name, number), claim.model_dump_json() + "\n")

    def file(self, name: str, end: End) -> bool:
        """File the end of a run; return False if it has one already. Raises OSError."""
        return self._link(self._end(name), end)

    def forget(self, name: str) -> None:
        """Remove what is known of a run, which will run again. Raises OSError."""
        last = self.last(name)
        for number in range(last.number if last else 0, 0, -1):
            self._claim(name, number).unlink(missing_ok=True)
        self._end(name).unlink(missing_ok=True)

    def beat(self, name: str, number: int) -> bool:
        """Give a sign of life; return False if another attempt has taken over."""
        with suppress(OSError):  # a file server that is away; others wait for it too
            os.utime(self._claim(name, number))
        return not self._claim(name, number + 1).exists()

    def pulse(self, name: str, number: int) -> int:
        """Return what changes as long as an attempt lives."""
        try:
            # An open file is looked up on the server; a path may come from NFS's cache.
            with self._claim(name, number).open("rb") as stream:
                return os.fstat(stream.fileno()).st_mtime_ns
        except OSError:
            return 0

    def left_behind(self, claim: Claim) -> End | None:
        """Return the end of a run whose attempt filed a good result, and then could file no end.

        A failure does not count: what ended the attempt may have ended its program before.
        """
        if claim.run is None:
            return None
        path = RunFolder(runs() / claim.run).result
        try:
            result = read_file(Result, path)
        except RequestError:
            return None
        end = state.of_result(result)
        return placed(end, claim) if end.status == "ok" else None

    def _end(self, name: str) -> Path:
        return self._folder / f"{name}.end"

    def _claim(self, name: str, number: int) -> Path:
        return self._folder / f"{name}.{number}.claim"

    def _link(self, path: Path, record: LenientRecord) -> bool:
        aside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        try:
            aside.write_text(record.model_dump_json() + "\n", "utf-8")
            with suppress(FileExistsError):
                os.link(aside, path)
            # The answer to a link may be lost, and NFS then repeats the request.
            return aside.stat().st_nlink == 2
        finally:
            aside.unlink(missing_ok=True)


def placed(end: Ended, claim: Claim) -> End:
    """Return an end with the place of an attempt."""
    told = end.model_dump()
    return End(**told, node=claim.node, job=claim.job, attempt=claim.attempt, clock=time.time())


@dataclass
class Pulses:
    """Watches attempts of other machines for signs of life, by the own clock."""

    attempts: Attempts
    patience: float
    now: Callable[[], float] = time.monotonic
    _seen: dict[tuple[str, int], tuple[int, float]] = field(default_factory=dict)

    def is_silent(self, name: str, number: int) -> bool:
        """Whether an attempt gave no sign of life while it was watched for long enough."""
        pulse, now = self.attempts.pulse(name, number), self.now()
        before, since = self._seen.get((name, number), (None, now))
        if pulse != before:
            self._seen[name, number] = (pulse, now)
            return False
        return now - since >= self.patience


@contextmanager
def alive(
    attempts: Attempts, name: str, number: int, patience: float, on_loss: Callable[[], None]
) -> Iterator[None]:
    """Give signs of life; call `on_loss` once if another attempt takes over."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(patience / _BEATS):
            if not attempts.beat(name, number):
                on_loss()
                return

    thread = threading.Thread(target=beat, name="signs of life", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def wait_for_turn(
    attempts: Attempts,
    name: str,
    claim: Claim,
    patience: float,
    is_gone: Callable[[Claim], bool],
    *,
    sleep: Callable[[float], None] = time.sleep,
) -> Numbered | None:
    """Claim a run as soon as no other attempt makes it; None if it has ended.

    An attempt that is certainly gone (`is_gone`) or silent is followed: if it filed its result,
    that is the end of the run. Raises OSError, RequestError.
    """
    pulses = Pulses(attempts, patience)
    number = 0
    while attempts.end(name) is None:
        last = attempts.last(name, number)
        number = last.number if last else 0
        if last is not None:
            over = last.claim.released or is_gone(last.claim)
            if not over and not pulses.is_silent(name, number):
                sleep(min(_POLL, patience / _BEATS))
                continue
            # Also of one that gave up: the signal may have come just after its result was filed.
            found = attempts.left_behind(last.claim)
            if found is not None:
                attempts.file(name, found)
                continue
        if attempts.take(name, number + 1, claim):
            # It may have ended between the look and the claim.
            if attempts.end(name) is None:
                return Numbered(number + 1, claim, last.claim if last else None)
            attempts.write(name, number + 1, claim.model_copy(update={"released": True}))
        else:
            sleep(min(_POLL, patience / _BEATS))  # NFS may show the other's claim later
    return None


def without_result(claim: Claim | None) -> RunFolder | None:
    """Return the folder that a dead attempt left without a result, None if there is none."""
    if claim is None or claim.run is None:
        return None
    folder = RunFolder(runs() / claim.run)
    return folder if may_exist(folder.root) and not may_exist(folder.result) else None
