"""Executes one plan: starts it, and leaves the rest to `following`.

What only the rest needs is imported while the engine starts the container.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from threading import Thread
from typing import TYPE_CHECKING

from orchestrator.errors import EngineError, MachineError
from orchestrator.paths import RunFolder
from orchestrator.plan import Plan
from orchestrator.run.container_user import hand_over
from orchestrator.run.log_guard import LogGuard, largest_file
from orchestrator.runtimes.contract import Execution, Runtime
from orchestrator.tail import Tail
from orchestrator.view import View

if TYPE_CHECKING:
    from orchestrator.progress import Progress
    from orchestrator.run.following import Following, Outcome


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
    meanwhile: Callable[[], None] = lambda: None,
) -> Outcome:
    """Run a plan until it ends in any way, and judge it.

    `on_start` gets the started program, `on_progress` its progress whenever its log has grown;
    `meanwhile` is called in a thread while the program is being started.
    Raises EngineError, ImageError or MachineError if it cannot be started or if the engine is gone
    for good, and Interrupted if a signal came before it was started.
    """
    following: Following | None = None
    try:
        with ExitStack() as stack:
            guard = stack.enter_context(LogGuard(folder.log, largest=largest_file(plan)))
            tail = stack.enter_context(Tail(folder.log))
            if plan.user is not None:
                _hand_over(folder, plan.user)
            with clock.stage("start", f"starting {plan.image or 'the program on this host'}"):
                loading = _load_meanwhile(plan.program, meanwhile)
                execution = stack.enter_context(runtime.start(plan, run_id=folder.run_id))
                on_start(execution)
                loading.join()
                if not gc.isenabled():  # the start was in a hurry
                    gc.freeze()  # modules are not garbage, and a search of them takes 40 ms
                    gc.enable()
            following = _following(plan, folder, view, tail, on_progress)
            with clock.stage("run", _doing(plan)):
                following.follow(execution)
            with clock.stage("collect"):
                following.collect(execution, guard)
    except EngineError as error:
        if following is None or not following.complete:
            raise
        # The container could not be removed: say so, but keep the measurement.
        following.note(str(error))
    return following.outcome()


def _following(
    plan: Plan,
    folder: RunFolder,
    view: View,
    tail: Tail,
    on_progress: Callable[[Progress], None],
) -> Following:
    from orchestrator.run.following import Following  # imported meanwhile

    return Following(plan, folder, view, tail, on_progress)


def _hand_over(folder: RunFolder, user: str) -> None:
    try:
        hand_over(folder, user)
    except OSError as error:
        raise MachineError(
            f"cannot give the run folder {folder.root} to user {user}: {error.strerror}",
            hint="set BENCHDOCK_HOME to a folder on a local disk, or run as another user",
        ) from None


def _load_meanwhile(program: str, meanwhile: Callable[[], None]) -> Thread:
    """Import what follows the program while the engine starts it and this thread would wait."""

    def load() -> None:
        from orchestrator.run import following

        following.prepare(program)
        meanwhile()

    thread = Thread(target=load, daemon=True)
    thread.start()
    return thread
