"""Runs a planned suite: each run once, whatever ends the session, and nothing lost.

The journal is written before and after each run. A session that is resumed goes on with what has no
end in it.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from orchestrator.errors import BenchdockError, ExitStatus, Interrupted, MachineError
from orchestrator.paths import RunFolder
from orchestrator.request import Request
from orchestrator.result import Result
from orchestrator.suites import memory, notes, state
from orchestrator.suites.cells import Cell
from orchestrator.suites.forecast import Forecast
from orchestrator.suites.journal import Journal
from orchestrator.suites.resuming import stamp
from orchestrator.suites.state import OF_THE_MACHINE, Ended, State
from orchestrator.suites.turns import Turn, turns
from orchestrator.view import View

ATTEMPTS = 3
# Three series in a row: the engine, the driver or the disk is gone, and the rest would fail too.
MOST_IN_A_ROW = 3

OnFolder = Callable[[RunFolder], None]


class Runner(Protocol):
    """Runs one request; `benchmark.run` behind an adapter, or a fake."""

    def __call__(
        self, request: Request, view: View, on_folder: OnFolder
    ) -> tuple[Result, ExitStatus]:
        """Run and file the result; `on_folder` gets the folder before anything starts.

        Raises BenchdockError if the request is refused.
        """


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where a session is: the run's number of all, those that failed, and seconds that are left."""

    number: int
    total: int
    failed: int
    left: float
    coming: Turn | None


class SessionView(Protocol):
    """Shows a session. No method raises because of the terminal."""

    def turn(self, turn: Turn, progress: Progress) -> View:
        """Show that a run starts; return its view."""

    def ended(self, turn: Turn, end: Ended, progress: Progress) -> None:
        """Show how a run ended."""

    def note(self, text: str) -> None:
        """Show a note that stays visible."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """What a session runs, in order; durations in seconds by a cell's digest.

    `budget` is how many seconds it may take, None without a limit.
    """

    cells: Sequence[Cell]
    request_of: Callable[[Cell], Request]
    note: notes.SessionNote
    known: dict[str, float] = field(default_factory=dict)
    usual: float | None = None
    budget: float | None = None


class Lanes(Protocol):
    """Makes runs side by side, each on its own GPUs."""

    def run(self, work: Work) -> None:
        """Make the runs that are left. Raises as `carry_out` does."""


@dataclass(frozen=True, kw_only=True)
class Tools:
    """What a session works with; tests replace the runner, the clock and the waiting.

    `ready` returns when what a cell needs is here, or will not come; `is_ready` says whether it
    would return at once. Without `lanes`, runs come one after the other.
    """

    runner: Runner
    view: SessionView
    ready: Callable[[Cell], None] = lambda _: None
    is_ready: Callable[[Cell], bool] = lambda _: True
    stopped: Callable[[], bool] = lambda: False
    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    lanes: Lanes | None = None


def carry_out(job: Job, before: State, log: Journal, tools: Tools) -> ExitStatus:
    """Run what is left of a session.

    Raises Interrupted after a signal, and MachineError if the machine cannot go on; the journal
    then says how far it came.
    """
    work = Work(job, before, log, tools)
    if tools.lanes is None:
        work.one_by_one()
    else:
        tools.lanes.run(work)
    return work.finish()


class Work:
    """One process's part of a session: what is left, and what becomes of it.

    `queue` are the runs that are left, in order, and `forgotten` the names of results that do not
    count any more, because their runs are to run again.
    """

    def __init__(self, job: Job, before: State, log: Journal, tools: Tools) -> None:
        self._job = job
        self._log = log
        self._tools = tools
        every = list(turns(job.cells))
        self._total = len(every)
        self.queue = [turn for turn in every if not before.is_done(turn)]
        self._ended = {
            state.key_of(turn): before.ended[state.key_of(turn)]
            for turn in every
            if before.is_done(turn)
        }
        self.forgotten = frozenset(before.forgotten)
        self._failed = sum(end.status == "failed" for end in self._ended.values())
        self._reserved = [turn for turn in self.queue if turn.is_last_control]
        self._forecast = Forecast(self.queue, job.known, job.usual)
        self._memory = memory.OutOfMemory(every, self._ended)
        self._began = tools.now()
        self._in_a_row = 0
        self._signal: int = signal.SIGINT

    def one_by_one(self) -> None:
        """Make the runs, one after the other."""
        for index, turn in enumerate(self.queue):
            if self.stopped():
                return
            if not self.skip(turn):
                coming = self.queue[index + 1] if index + 1 < len(self.queue) else None
                self.end(turn, self._measure(turn, self._progress(coming)))

    def stopped(self) -> bool:
        """Whether no further run may start."""
        return self._tools.stopped()

    def skip(self, turn: Turn) -> bool:
        """Skip a run that makes no sense, or does not fit into what is left of the budget."""
        why = self.why_not(turn)
        if why:
            self.end(turn, Ended(status="skipped", message=why))
        return bool(why)

    def why_not(self, turn: Turn) -> str:
        """Say why a run makes no sense, or does not fit into what is left of the budget, or ""."""
        return self._memory.why_not(turn) or self._over_budget(turn)

    def finish(self) -> ExitStatus:
        """Write that the session is finished, or stopped; return its status."""
        left = self._total - len(self._ended)
        if left:
            self._log.append("stop", at=stamp(), left=left)
        else:
            self._log.append("finish", at=stamp())
        return ExitStatus.BENCHMARK_FAILED if self._failed else ExitStatus.OK

    def is_ready(self, turn: Turn) -> bool:
        """Whether the image of a run is here, or will not come."""
        return self._tools.is_ready(turn.cell)

    def request(self, turn: Turn) -> Request:
        """Return the request of a run, once its image is here. Raises BenchdockError."""
        self._tools.ready(turn.cell)
        return self._job.request_of(turn.cell)

    def start(self, turn: Turn, folder: RunFolder) -> None:
        """Note that a run has a folder, before anything starts in it."""
        notes.write(folder, self._job.note, turn)
        self._log.append("start", **_named(turn), run=folder.run_id, at=stamp())

    def submitted(self, job: str, array: str, runs: int) -> None:
        """Note that runs are waiting in the queue of a cluster."""
        self._log.append("submit", job=job, array=array, runs=runs, at=stamp())

    def retry(self, turn: Turn, end: Ended) -> None:
        """Note that the machine failed a run, which is tried again."""
        self._log.append("retry", **_named(turn), **end.model_dump(exclude_none=True))
        self.note(f"{turn.cell.title}: {end.message}; trying again")

    def note(self, text: str) -> None:
        """Show a note."""
        self._tools.view.note(text)

    def end(self, turn: Turn, end: Ended) -> None:
        """Note how a run ended.

        Raises Interrupted if that was by a signal, and MachineError if the machine fails run after
        run.
        """
        progress = self._progress(None)
        spent = round(max(0.0, self._tools.now() - self._began), 3)
        told = end.model_dump(exclude_none=True)
        self._log.append("end", **_named(turn), **told, at=stamp(), spent=spent)
        self._ended[state.key_of(turn)] = end
        self._failed += end.status == "failed"
        self._forecast.spend(turn, None if end.status == "skipped" else end.seconds)
        self._memory.learn(turn, end)
        self._tools.view.ended(turn, end, progress)
        if end.kind == "interrupted":
            raise Interrupted(self._signal)
        self._in_a_row = self._in_a_row + 1 if end.kind in OF_THE_MACHINE else 0
        if self._in_a_row == MOST_IN_A_ROW:
            raise MachineError(
                f"{MOST_IN_A_ROW} runs in a row failed because of this machine: {end.message}",
                hint="fix it, then run `benchdock suite --resume`",
            )

    def _progress(self, coming: Turn | None) -> Progress:
        return Progress(
            number=len(self._ended) + 1,
            total=self._total,
            failed=self._failed,
            left=self._forecast.seconds,
            coming=coming,
        )

    def _over_budget(self, turn: Turn) -> str:
        """Say why a run does not fit into what is left of the budget, or ""."""
        if self._job.budget is None:
            return ""
        left = self._job.budget - (self._tools.now() - self._began)
        if not turn.is_last_control:
            left -= sum(map(self._forecast.of, self._reserved))
        if left > 0 and self._forecast.of(turn) <= left:
            return ""
        return "the budget of this session is used up"

    def _measure(self, turn: Turn, progress: Progress) -> Ended:
        """Run until it is not the machine that fails, three times at most."""
        from tenacity import Retrying, retry_if_result, stop_after_attempt, wait_exponential

        attempts = Retrying(
            stop=stop_after_attempt(ATTEMPTS),
            wait=wait_exponential(multiplier=5, max=60),
            retry=retry_if_result(lambda end: end.kind in OF_THE_MACHINE),
            before_sleep=lambda told: self.retry(turn, told.outcome.result()),  # type: ignore[union-attr]
            retry_error_callback=lambda told: told.outcome.result(),  # type: ignore[union-attr]
            sleep=self._tools.sleep,
        )
        end: Ended = attempts(self._attempt, turn, progress)
        return end

    def _attempt(self, turn: Turn, progress: Progress) -> Ended:
        self._tools.ready(turn.cell)
        began = self._tools.now()
        view = self._tools.view.turn(turn, progress)
        try:
            request = self._job.request_of(turn.cell)
            result, status = self._tools.runner(
                request, view, lambda found: self.start(turn, found)
            )
        except Interrupted:
            raise
        except BenchdockError as error:
            return state.of_refusal(error)
        finally:
            view.close()
        if status > 128:
            self._signal = status - 128
        end = state.of_result(result)
        return end.model_copy(update={"seconds": round(self._tools.now() - began, 3)})


def _named(turn: Turn) -> dict[str, Any]:
    return {"digest": turn.cell.digest, "pass": turn.round}
