"""Follows a started execution to its end, and judges it.

Imported while the engine starts the container, which takes as long.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from orchestrator.errors import BenchdockError, Interrupted
from orchestrator.parsers import crash, module, parser_for
from orchestrator.parsers.contract import LogParser, Progress
from orchestrator.paths import RunFolder
from orchestrator.plan import Plan, Timeouts
from orchestrator.result import Failure, Measurement
from orchestrator.run.clocks import expired
from orchestrator.run.container_user import strip_set_ids
from orchestrator.run.failures import failure_of, too_few_processes
from orchestrator.run.hints import hints_of
from orchestrator.run.log_guard import LogGuard
from orchestrator.runtimes.contract import Execution, Exit
from orchestrator.tail import Tail
from orchestrator.vendor_images import banner
from orchestrator.view import View

POLL_SECONDS = 0.25
STOP_GRACE_SECONDS = 8.0
ENGINE_LOG_LIMIT = 256 * 1024
# Bytes read from the log between two checks of the clocks. A program that prints fast, or a slow
# parser, must not prevent the checks of the time limit.
SLICE = 64 * 1024 * 1024
SLICE_SECONDS = 1.0
# Output of a stopped program is read for this long: a runaway log has no end.
LAST_WORDS_SECONDS = 3.0

# What bash says about a launcher that cannot enter its folder or open its log.
_UNWRITABLE = re.compile(r"(/benchdock/run\S*|cd): .*(Permission denied|Read-only file system)$")


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The outcome of an execution; `signal_number` is set if the user ended it."""

    measurement: Measurement
    failure: Failure | None
    exit_code: int | None
    notes: tuple[str, ...] = ()
    signal_number: int | None = None


class _Follower:
    """Feeds a growing log to its parser, and the parser's progress to the view."""

    def __init__(
        self, parser: LogParser, tail: Tail, view: View, on_progress: Callable[[Progress], None]
    ) -> None:
        self.last_output: float | None = None
        self.ended: Exit | None = None
        self._parser = parser
        self._tail = tail
        self._view = view
        self._on_progress = on_progress
        self._progress = parser.progress

    def drain(self) -> bool:
        """Feed at most a slice of new log; return whether there may be more."""
        taken, more, began = 0, False, time.monotonic()
        for block in self._tail.read():
            self._parser.feed(block)
            self._view.output(block)
            taken += len(block)
            more = taken >= SLICE or time.monotonic() - began >= SLICE_SECONDS
            if more:
                break
        if taken:
            self.last_output = time.monotonic()
            self._progress = self._parser.progress
            self._on_progress(self._progress)
        # Even without news: a view shows the elapsed time.
        self._view.progress(self._progress)
        return more

    def until_end(self, execution: Execution, timeouts: Timeouts) -> Failure | None:
        """Follow until execution and log end, or a clock runs out.

        `ended` is set once the execution has ended; reading its log may take longer.
        """
        started = time.monotonic()
        behind = False
        while True:
            if self.ended is None:
                self.ended = execution.wait(0.0 if behind else POLL_SECONDS)
            ended = self.ended is not None
            behind = self.drain()
            if ended and not behind:
                return None
            clocks = Timeouts(total=timeouts.total) if ended else timeouts
            now = time.monotonic()
            failure = expired(clocks, now=now, started=started, last_output=self.last_output)
            if failure is not None:
                return failure

    def last_words(self) -> str | None:
        """Read what a stopped program printed, for a while; warn if there is more."""
        began = time.monotonic()
        while self.drain():
            if time.monotonic() - began >= LAST_WORDS_SECONDS:
                return f"the log was read only up to byte {self._tail.total}"
        return None

    def changed(self) -> str | None:
        """Warn if the log is no longer what was read, because something wrote to it meanwhile."""
        if self._tail.is_as_read():
            return None
        return f"the log {self._tail.path} was changed after its lines had been read"


def prepare(program: str) -> None:
    """Import what reads the log of a program, and build the record of what it says."""
    module(program)
    Measurement.model_rebuild()


class Following:
    """A started execution of a plan: followed to its end, its output collected, judged."""

    def __init__(
        self,
        plan: Plan,
        folder: RunFolder,
        view: View,
        tail: Tail,
        on_progress: Callable[[Progress], None],
    ) -> None:
        self._plan = plan
        self._folder = folder
        self._view = view
        self._parser = parser_for(plan.program, hints_of(plan))
        self._follower = _Follower(self._parser, tail, view, on_progress)
        self._ended: Exit | None = None
        self._stopped: Failure | None = None
        self._signal_number: int | None = None
        self._notes: tuple[str, ...] = ()
        self._lost: str | None = None
        self.complete = False

    def follow(self, execution: Execution) -> None:
        """Follow to the end; stop it if a clock runs out or a signal comes."""
        try:
            self._stopped = self._follower.until_end(execution, self._plan.timeouts)
        except Interrupted as interruption:
            self._signal_number = interruption.signal_number
            self._stopped = Failure(kind="interrupted", message=str(interruption))
        self._ended = self._follower.ended
        if self._stopped is not None:
            self._view.note(f"stopping: {self._stopped.message}")
            if self._ended is None:
                self._ended = execution.stop(STOP_GRACE_SECONDS)
                self.note(self._follower.last_words())
        self.complete = True

    def note(self, text: str | None) -> None:
        """Add a note to the result."""
        if text:
            self._notes = (*self._notes, text)

    def collect(self, execution: Execution, guard: LogGuard) -> None:
        """Take what the execution leaves, and look whether the log is whole."""
        for text in (*execution.notes(), *strip_set_ids(self._folder.outputs)):
            self.note(text)
        self._collect_output(execution)
        self._lost = guard.lost() or self._follower.changed()

    def _collect_output(self, execution: Execution) -> None:
        """Save what was printed before the launcher took over; never lose the measurement."""
        path = self._folder.engine_log
        try:
            # The program may have put a link there.
            path.unlink(missing_ok=True)
            execution.collect_output(path, ENGINE_LOG_LIMIT)
        except Interrupted:
            raise
        except (OSError, BenchdockError) as error:
            why = error.strerror or error if isinstance(error, OSError) else error
            self.note(f"could not save the output from before the log: {why}")

    def outcome(self) -> Outcome:
        """Judge what was measured."""
        assert self._ended is not None
        plan, measurement = self._plan, self._parser.finish(self._ended.code)
        failure = self._incomplete(failure_of(measurement, self._ended, self._stopped))
        failure = _with_evidence(self._folder, failure)
        if self._stopped is not None or self._lost is not None:
            # Figures of a part might be mistaken for those of the whole.
            measurement = measurement.model_copy(update={"metrics": {}})
        # On the host, and where it cannot be given, no such limit is set.
        limited = plan.in_container and "pids" not in plan.lacks
        limit = plan.limits.pids if limited else None
        return Outcome(
            measurement=measurement,
            failure=too_few_processes(failure, limit, self._parser.progress.last_lines),
            exit_code=self._ended.code,
            notes=self._notes,
            signal_number=self._signal_number,
        )

    def _incomplete(self, failure: Failure | None) -> Failure | None:
        """Report a log that lost lines, unless benchdock stopped the run itself."""
        if self._lost is None or self._stopped is not None:
            return failure
        evidence = (failure.evidence or failure.message) if failure else ""
        return Failure(kind="crashed", message=self._lost, evidence=evidence)


def _with_evidence(folder: RunFolder, failure: Failure | None) -> Failure | None:
    """Quote what was printed before the launcher took over, if the log itself shows nothing."""
    if failure is None or failure.evidence:
        return failure
    said = banner.last_words(banner.head(folder.engine_log, ENGINE_LOG_LIMIT))
    if _UNWRITABLE.search(said):
        message = (
            "the program cannot write to its run folder, because the engine maps user ids "
            "or restricts files; run as another user or with --runtime host"
        )
        return Failure(kind="engine", message=message, evidence=said[:300])
    # If an image has no shell, the container's init program says so there.
    died = crash.evidence([said])
    if died is not None and died.kind == "image":
        return died
    return failure.model_copy(update={"evidence": said[:300]}) if said else failure
