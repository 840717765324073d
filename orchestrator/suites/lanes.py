"""Makes runs side by side on disjoint GPUs, each series on its own; on the CPU one by one."""

from __future__ import annotations

import itertools
import json
import selectors
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO, Any

from orchestrator.errors import BenchdockError, MachineError
from orchestrator.paths import RunFolder, runs
from orchestrator.request import Request
from orchestrator.run.sharing import EXCLUSIVE, Sharing
from orchestrator.suites import state
from orchestrator.suites.session import ATTEMPTS, Work
from orchestrator.suites.state import OF_THE_MACHINE, Ended, Key
from orchestrator.suites.turns import Turn

# Before the machine is tried again, for each time that it failed.
PAUSE = 5.0
# A run is ended and filed within this time after a SIGTERM.
LEAVING = 90.0


@dataclass(eq=False)
class _Worker:
    """A process that makes one run after the other; `turn` is the one that is going on."""

    process: subprocess.Popen[str]
    turn: Turn | None = None
    gpus: tuple[str, ...] = ()
    began: float = 0.0

    @classmethod
    def start(cls, command: Sequence[str]) -> _Worker:
        """Start one, out of reach of the terminal's Ctrl-C: the session ends it."""
        pipe = subprocess.PIPE
        process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, text=True, start_new_session=True
        )
        return cls(process)

    @property
    def output(self) -> IO[str]:
        """Return what it writes."""
        assert self.process.stdout is not None
        return self.process.stdout

    def say(self, told: Mapping[str, Any]) -> None:
        """Send it a line; it may be gone, which its output shows."""
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps(told) + "\n")
            self.process.stdin.flush()

    def hear(self) -> dict[str, Any]:
        """Return what it says next; if it died, that the run has ended with it."""
        line = self.output.readline()
        if line:
            told: dict[str, Any] = json.loads(line)
            return told
        status = self.process.wait()
        why = f"the process of the run ended with status {status}"
        return {"ended": {"status": "failed", "kind": "engine", "message": why}}

    def close(self) -> None:
        """Close the pipes, after which it ends."""
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        self.output.close()


@dataclass(kw_only=True)
class GpuLanes:
    """Lanes of a machine; `gpus` are those of each series by its digest, none for the CPU.

    `most` runs are made at once, by processes of `command`.
    """

    gpus: Mapping[str, tuple[str, ...]]
    command: Sequence[str]
    share: Sharing = EXCLUSIVE
    most: int
    pause: float = PAUSE
    _idle: list[_Worker] = field(default_factory=list)
    _busy: list[_Worker] = field(default_factory=list)
    _attempts: Counter[Key] = field(default_factory=Counter)

    def run(self, work: Work) -> None:
        """Make the runs that are left, pass by pass. Raises as `session.carry_out` does."""
        self._watched = selectors.DefaultSelector()
        self._known = len({gpu for gpus in self.gpus.values() for gpu in gpus})
        try:
            for part in self._parts(work.queue):
                self._run_part(work, part)
        except BaseException:
            self._interrupt(work)
            raise
        finally:
            self._close()

    def _parts(self, queue: Sequence[Turn]) -> Iterator[list[Turn]]:
        """Yield runs that may be side by side: on GPUs, of one pass, all controls or none."""

        def kind(turn: Turn) -> tuple[bool, int, bool]:
            return bool(self.gpus[turn.cell.digest]), turn.round, turn.cell.is_control

        for (on_gpus, _, _), turns in itertools.groupby(queue, kind):
            if on_gpus:
                yield list(turns)
            else:
                yield from ([turn] for turn in turns)

    def _run_part(self, work: Work, waiting: list[Turn]) -> None:
        while waiting or self._busy:
            if work.stopped():
                waiting.clear()
            self._start_some(work, waiting)
            if self._busy:
                self._wait(work, waiting)

    def _start_some(self, work: Work, waiting: list[Turn]) -> None:
        """Start runs whose GPUs are free and that no earlier one waits for.

        Otherwise a run on all GPUs would come last: there is always a small one that fits.
        """
        taken = {gpu for one in self._busy for gpu in one.gpus}
        for turn in tuple(waiting):
            if len(self._busy) == self.most or len(taken) == self._known:
                return
            gpus = self.gpus[turn.cell.digest]
            if taken.isdisjoint(gpus):
                waiting.remove(turn)
                if work.skip(turn):
                    continue
                self._start(work, turn, gpus)
            taken.update(gpus)

    def _start(self, work: Work, turn: Turn, gpus: tuple[str, ...]) -> None:
        try:
            request = self._placed(turn, work.request(turn))
        except BenchdockError as error:
            work.end(turn, state.of_refusal(error))
            return
        worker = self._idle.pop() if self._idle else _Worker.start(self.command)
        worker.turn, worker.gpus, worker.began = turn, gpus, time.monotonic()
        self._busy.append(worker)
        self._watched.register(worker.output, selectors.EVENT_READ, worker)
        worker.say(
            {
                "request": request.model_dump(mode="json"),
                "wait": self.share.wait,
                "allow_shared": self.share.allowed,
            }
        )

    def _placed(self, turn: Turn, request: Request) -> Request:
        gpus = self.gpus[turn.cell.digest]
        return request.model_copy(update={"gpus": gpus, "devices": None}) if gpus else request

    def _wait(self, work: Work, waiting: list[Turn]) -> None:
        """Wait for the next news of a run."""
        for key, _ in self._watched.select():
            worker: _Worker = key.data
            assert worker.turn is not None
            told = worker.hear()
            if "folder" in told:
                work.start(worker.turn, RunFolder(runs() / told["folder"]))
                worker.say({"go": True})
            else:
                turn, end = self._ended(worker, told)
                if self._is_tried_again(work, turn, end):
                    waiting.insert(0, turn)
                else:
                    work.end(turn, end)

    def _ended(self, worker: _Worker, told: Mapping[str, Any]) -> tuple[Turn, Ended]:
        """Take a worker's run off it."""
        turn = worker.turn
        assert turn is not None
        took = round(time.monotonic() - worker.began, 3)
        end = Ended.model_validate(told["ended"]).model_copy(update={"seconds": took})
        worker.turn, worker.gpus = None, ()
        self._watched.unregister(worker.output)
        self._busy.remove(worker)
        if worker.process.returncode is None:
            self._idle.append(worker)
        else:
            worker.close()
        return turn, end

    def _is_tried_again(self, work: Work, turn: Turn, end: Ended) -> bool:
        """Whether the machine failed a run for the first or second time; wait a moment then."""
        key = state.key_of(turn)
        self._attempts[key] += 1
        if end.kind not in OF_THE_MACHINE or self._attempts[key] == ATTEMPTS:
            return False
        work.retry(turn, end)
        time.sleep(self.pause * self._attempts[key])
        return True

    def _interrupt(self, work: Work) -> None:
        """End all runs, and note how they ended; a signal or a broken machine led here."""
        for worker in self._busy:
            worker.process.terminate()
        until = time.monotonic() + LEAVING
        while self._busy and time.monotonic() < until:
            for key, _ in self._watched.select(timeout=1.0):
                told = key.data.hear()
                if "folder" in told:
                    key.data.say({"go": True})
                    continue
                turn, end = self._ended(key.data, told)
                if end.kind == "engine":  # the signal came before it could start anything
                    continue
                with suppress(BenchdockError):  # that it was interrupted is known
                    work.end(turn, end)

    def _close(self) -> None:
        for worker in (*self._idle, *self._busy):
            worker.close()
        for worker in (*self._idle, *self._busy):
            try:
                worker.process.wait(LEAVING)
            except subprocess.TimeoutExpired:
                raise MachineError(
                    f"process {worker.process.pid} of a run does not end",
                    hint="check `dmesg` for a hung driver or file system",
                ) from None
        self._watched.close()
