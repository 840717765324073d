"""Executes one plan: start, follow, end, conclude. Leaves its files in the run folder."""

from __future__ import annotations

import gc
import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

from orchestrator.errors import BenchdockError, EngineError, Interrupted, MachineError
from orchestrator.parsers import crash, module, parser_for
from orchestrator.parsers.contract import LogParser, Progress
from orchestrator.paths import RunFolder
from orchestrator.plan import Plan, Timeouts
from orchestrator.result import Failure, Measurement
from orchestrator.run.clocks import expired
from orchestrator.run.container_user import hand_over, strip_set_ids
from orchestrator.run.failures import failure_of, too_few_processes
from orchestrator.run.hints import hints_of
from orchestrator.run.log_guard import LogGuard, largest_file
from orchestrator.runtimes.contract import Execution, Exit, Runtime
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


class StageClock:
    """Seconds spent in each stage of a run, in order."""

    def __init__(self, view: View) -> None:
        self.seconds: dict[str, float] = {}
        self._view = view

    @contextmanager
    def stage(self, name: str, text: str = "") -> Iterator[None]:
        """Time a stage and show what it does, if there is anything to show."""
        if text:
            self._view.stage(text)
        begin = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - begin


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


def _doing(plan: Plan) -> str:
    if plan.program == "parity":
        return f"comparing {plan.framework} with the referee"
    if plan.program == "probe":
        return f"probing {plan.device_count} GPUs" if plan.device == "gpu" else "probing the CPUs"
    return f"running {plan.framework} {plan.model} {plan.phase}"


def execute(
    plan: Plan,
    runtime: Runtime,
    folder: RunFolder,
    view: View,
    clock: StageClock,
    *,
    on_progress: Callable[[Progress], None] = lambda _: None,
    on_start: Callable[[Execution], None] = lambda _: None,
) -> Outcome:
    """Run a plan until it ends in any way, and judge it.

    `on_start` gets the started program, `on_progress` its progress whenever its log has grown.
    Raises EngineError, ImageError or MachineError if it cannot be started or if the engine is gone
    for good, and Interrupted if a signal came before it was started.
    """
    run = _Run()
    try:
        with ExitStack() as stack:
            guard = stack.enter_context(LogGuard(folder.log, largest=largest_file(plan)))
            tail = stack.enter_context(Tail(folder.log))
            if plan.user is not None:
                _hand_over(folder, plan.user)
            with clock.stage("start", f"starting {plan.image or 'the program on this host'}"):
                loading = _load_meanwhile(plan.program)
                execution = stack.enter_context(runtime.start(plan, run_id=folder.run_id))
                on_start(execution)
                loading.join()
                if not gc.isenabled():  # the start was in a hurry
                    gc.freeze()  # modules are not garbage, and a search of them takes 40 ms
                    gc.enable()
            parser = parser_for(plan.program, hints_of(plan))
            follower = _Follower(parser, tail, view, on_progress)
            with clock.stage("run", _doing(plan)):
                run.follow(follower, execution, plan.timeouts, view)
            run.complete = True
            with clock.stage("collect"):
                run.notes = (*run.notes, *execution.notes(), *strip_set_ids(folder.outputs))
                run.collect(execution, folder.engine_log)
                run.lost = guard.lost() or follower.changed()
    except EngineError as error:
        if not run.complete:
            raise
        # The container could not be removed: say so, but keep the measurement.
        run.notes = (*run.notes, str(error))
    assert run.ended is not None
    measurement = parser.finish(run.ended.code)
    failure = run.incomplete(failure_of(measurement, run.ended, run.stopped))
    failure = _with_evidence(folder, failure)
    if run.stopped is not None or run.lost is not None:
        # Figures of a part might be mistaken for those of the whole.
        measurement = measurement.model_copy(update={"metrics": {}})
    # On the host, and where it cannot be given, no such limit is set.
    limited = plan.in_container and "pids" not in plan.lacks
    limit = plan.limits.pids if limited else None
    return Outcome(
        measurement=measurement,
        failure=too_few_processes(failure, limit, parser.progress.last_lines),
        exit_code=run.ended.code,
        notes=run.notes,
        signal_number=run.signal_number,
    )


def _hand_over(folder: RunFolder, user: str) -> None:
    try:
        hand_over(folder, user)
    except OSError as error:
        raise MachineError(
            f"cannot give the run folder {folder.root} to user {user}: {error.strerror}",
            hint="set BENCHDOCK_HOME to a folder on a local disk, or run as another user",
        ) from None


def _load_meanwhile(program: str) -> Thread:
    """Import the parser while the engine starts the container and this thread would wait."""

    def load() -> None:
        module(program)
        Measurement.model_rebuild()

    thread = Thread(target=load, daemon=True)
    thread.start()
    return thread


@dataclass
class _Run:
    """How an execution went."""

    ended: Exit | None = None
    stopped: Failure | None = None
    signal_number: int | None = None
    notes: tuple[str, ...] = ()
    complete: bool = False
    lost: str | None = None

    def incomplete(self, failure: Failure | None) -> Failure | None:
        """Report a log that lost lines, unless benchdock stopped the run itself."""
        if self.lost is None or self.stopped is not None:
            return failure
        evidence = (failure.evidence or failure.message) if failure else ""
        return Failure(kind="crashed", message=self.lost, evidence=evidence)

    def collect(self, execution: Execution, path: Path) -> None:
        """Save what was printed before the launcher took over; never lose the measurement."""
        try:
            # The program may have put a link there.
            path.unlink(missing_ok=True)
            execution.collect_output(path, ENGINE_LOG_LIMIT)
        except Interrupted:
            raise
        except (OSError, BenchdockError) as error:
            why = error.strerror or error if isinstance(error, OSError) else error
            self.notes = (*self.notes, f"could not save the output from before the log: {why}")

    def follow(
        self, follower: _Follower, execution: Execution, timeouts: Timeouts, view: View
    ) -> None:
        """Follow to the end; stop it if a clock runs out or a signal comes."""
        try:
            self.stopped = follower.until_end(execution, timeouts)
        except Interrupted as interruption:
            self.signal_number = interruption.signal_number
            self.stopped = Failure(kind="interrupted", message=str(interruption))
        self.ended = follower.ended
        if self.stopped is None:
            return
        view.note(f"stopping: {self.stopped.message}")
        if self.ended is None:
            self.ended = execution.stop(STOP_GRACE_SECONDS)
            unread = follower.last_words()
            self.notes = (*self.notes, *([unread] if unread else []))


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
