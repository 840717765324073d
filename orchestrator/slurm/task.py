"""One task of an array: makes one run with the GPUs that Slurm gave it, and files its end once."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import BenchdockError, Interrupted, MachineError, RequestError, quoted
from orchestrator.machine import inventory
from orchestrator.machine.processes import Owner
from orchestrator.paths import RunFolder, runs
from orchestrator.request import Request, gpu_choice
from orchestrator.result import Result
from orchestrator.run import filing
from orchestrator.slurm import attempts
from orchestrator.slurm.arrays import SCHEMA, Heading, Order, name_of
from orchestrator.slurm.attempts import Attempts, Claim, End, Numbered, placed
from orchestrator.suites import notes, state
from orchestrator.suites.notes import SessionNote
from orchestrator.suites.state import OF_THE_MACHINE, Ended
from orchestrator.units import counted
from orchestrator.version import VERSION

OnFolder = Callable[[RunFolder], None]
# Runs a request; `on_folder` gets the folder before anything starts. Raises BenchdockError.
Run = Callable[[Request, OnFolder], Result]


@dataclass(frozen=True, kw_only=True)
class Given:
    """What Slurm says to a task: its `index`, and the attempt, which counts requeues from 0."""

    job: str
    array: str
    index: int
    attempt: int
    node: str
    gpus: str

    @classmethod
    def of(cls, told: Mapping[str, str]) -> Given:
        """Read the environment of a task. Raises RequestError outside of one."""
        try:
            return cls(
                job=told["SLURM_JOB_ID"],
                array=told["SLURM_ARRAY_JOB_ID"],
                index=int(told["SLURM_ARRAY_TASK_ID"]),
                attempt=int(told.get("SLURM_RESTART_COUNT") or 0),
                node=told.get("SLURMD_NODENAME") or platform.node(),
                gpus=told.get("CUDA_VISIBLE_DEVICES", ""),
            )
        except (KeyError, ValueError):
            raise RequestError(
                "this is not a task of an array of Slurm", hint="run `benchdock suite --on slurm`"
            ) from None

    def claim(self) -> Claim:
        """Return the claim of this attempt."""
        job = f"{self.array}_{self.index}"
        process = Owner.here().labels()
        return Claim(job=job, attempt=self.attempt, node=self.node, process=process)

    def placed(self, request: Request, count: int) -> Request:
        """Return a request on the GPUs of this task. Raises MachineError if they are not `count`.

        CUDA_VISIBLE_DEVICES counts the GPUs that a task can see, in the order of NVML, whether or
        not the cluster hides the others (ConstrainDevices in cgroup.conf).
        """
        if not count:
            return request if request.is_for_cpu else _on(request, "none")
        try:
            found = gpu_choice(self.gpus) if self.gpus else ()
        except ValueError:
            found = ()
        if isinstance(found, str) or len(found) != count:
            raise MachineError(
                f"Slurm gave this task on {self.node} CUDA_VISIBLE_DEVICES={quoted(self.gpus)}, "
                f"and the run needs {counted(count, 'GPU')}",
                hint="check the gpu lines of gres.conf on that node",
            )
        return _on(request, found)


def _on(request: Request, gpus: object) -> Request:
    return request.model_copy(update={"gpus": gpus, "devices": None})


def check(heading: Heading, node: str) -> None:
    """Raise MachineError if this node has another benchdock than the one that submitted."""
    commit = inventory.own_commit()
    same = (heading.benchdock, heading.schema_version) == (VERSION, SCHEMA)
    if not same or (commit and heading.commit and commit != heading.commit):
        mine = _release(VERSION, commit)
        theirs = _release(heading.benchdock, heading.commit)
        raise MachineError(
            f"{node} has benchdock {mine}, and {theirs} submitted this session",
            hint="install the same on all nodes",
        )


def _release(version: str, commit: str | None) -> str:
    return f"{version} ({commit[:12]})" if commit else version


class Work:
    """The work of one attempt at one run, whose files are in `folder`."""

    def __init__(self, folder: Path, heading: Heading, order: Order, given: Given) -> None:
        self._attempts = Attempts(folder)
        self._folder = folder
        self._heading = heading
        self._order = order
        self._given = given
        self._name = name_of((order.digest, order.round))
        self._claim = given.claim()
        self.time_is_up = False

    def carry_out(self, run: Run, on_loss: Callable[[], None]) -> End | None:
        """Make the run unless it has ended, and return its end; None if it was left to others.

        `on_loss` is called if another attempt takes over, which it does only if this one gave no
        sign of life for long. Raises OSError if nothing can be written to the shared path, and
        Interrupted after a signal.
        """
        patience = self._heading.patience
        mine = attempts.wait_for_turn(self._attempts, self._name, self._claim, patience, _is_gone)
        if mine is None:
            return None
        if (left := attempts.without_result(mine.before)) is not None:
            filing.file_as_killed(left)
        with attempts.alive(self._attempts, self._name, mine.number, patience, on_loss):
            try:
                end = placed(self._make(run, mine), self._claim)
            except BaseException:
                self._release(mine.number)
                raise
            return self._file(mine.number, end)

    def _make(self, run: Run, mine: Numbered) -> Ended:
        order, given = self._order, self._given
        note = SessionNote(**self._heading.note)

        def on_folder(folder: RunFolder) -> None:
            notes.write(folder, note, order.turn, where=self._place())
            self._claim = self._claim.model_copy(update={"run": folder.run_id})
            try:
                self._attempts.write(self._name, mine.number, self._claim)
            except OSError as error:
                raise MachineError(f"cannot write {self._folder}: {error.strerror}") from None

        try:
            check(self._heading, given.node)
            request = given.placed(order.request, order.gpus)
            result = run(request, on_folder)
        except Interrupted:
            raise
        except BenchdockError as error:
            return state.of_refusal(error)
        return state.of_result(result)

    def _place(self) -> dict[str, object]:
        claim = self._claim
        place = {"node": claim.node, "job": claim.job, "attempt": claim.attempt}
        return {**place, "id": self._given.job}

    def _file(self, number: int, end: End) -> End | None:
        """File the end. What the machine failed, or a signal ended, is left for another attempt."""
        if end.kind == "interrupted" and self.time_is_up:
            told = "Slurm's time limit ended it"
            end = end.model_copy(update={"kind": "timeout", "message": told})
        if end.kind in state.UNDONE:
            self._release(number, end if end.kind in OF_THE_MACHINE else None)
            return end
        if self._attempts.file(self._name, end):
            return end
        filed = self._attempts.end(self._name)
        if filed is not None and filed.run == end.run:  # another attempt found it, and filed it
            return end
        self._set_aside(end)
        return None

    def _release(self, number: int, ended: End | None = None) -> None:
        released = self._claim.model_copy(update={"released": True, "ended": ended})
        with suppress(OSError):  # a full disk; others see that there are no signs of life any more
            self._attempts.write(self._name, number, released)

    def _set_aside(self, end: End) -> None:
        """Move a run out of the results, because another attempt had already filed its end."""
        if end.run is None:
            return
        source = RunFolder(runs() / end.run)
        aside = self._folder.parent / "second"
        aside.mkdir(exist_ok=True)
        shutil.move(source.root, aside / end.run)


def _is_gone(claim: Claim) -> bool:
    owner = Owner.of(claim.process)
    return owner is not None and owner.is_gone(Owner.here())


def environment() -> Given:
    """Return what Slurm says to this process. Raises RequestError."""
    return Given.of(os.environ)
