"""Makes runs for a session that has several at once, in a process that the session starts.

It is a process of its own because signals and a run's clean-up belong to a process. It reads a JSON
document per line, a request each, and writes what becomes of it. If the session is killed, its end
of the pipe closes, and the run ends as after a SIGTERM.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from orchestrator.errors import BenchdockError, Interrupted, MachineError
from orchestrator.paths import RunFolder
from orchestrator.request import Request
from orchestrator.run import benchmark
from orchestrator.run.sharing import Sharing
from orchestrator.signals import interruptible
from orchestrator.suites import state
from orchestrator.suites.deciding import MachineDecider
from orchestrator.suites.state import Ended
from orchestrator.ui.plain import SilentView


class _Session:
    """The session at the other end of the pipes; `running` says that a run is going on."""

    def __init__(self) -> None:
        self.running = False
        self._gone = False
        self._said: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._output = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
        # Whatever else prints must not come between.
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        threading.Thread(target=self._read, daemon=True).start()

    def hear(self) -> str | None:
        """Return the next line, None if the session is gone, however often it is asked."""
        while not (self._gone and self._said.empty()):
            line = self._said.get()
            if line is not None:
                return line
        return None

    def tell(self, **told: Any) -> None:
        """Say something; a session that is gone does not hear it."""
        with suppress(BrokenPipeError):
            self._output.write(json.dumps(told) + "\n")
            self._output.flush()

    def _read(self) -> None:
        for line in sys.stdin:
            self._said.put(line)
        # A signal may come just after `hear` took the None that wakes it; the flag is not lost.
        self._gone = True
        self._said.put(None)
        if self.running:
            os.kill(os.getpid(), signal.SIGTERM)


def main() -> None:
    """Make runs until the session ends."""
    session, decider = _Session(), MachineDecider()
    with suppress(Interrupted), interruptible():
        while (line := session.hear()) is not None:
            session.running = True
            end = _run(json.loads(line), decider, session)
            session.running = False
            session.tell(ended=end.model_dump(exclude_none=True))


def _run(asked: Mapping[str, Any], decider: MachineDecider, session: _Session) -> Ended:
    def on_folder(folder: RunFolder) -> None:
        session.tell(folder=folder.run_id)
        if session.hear() is None:
            raise MachineError("the session is gone")

    share = Sharing(wait=asked["wait"], allowed=asked["allow_shared"])
    try:
        request = Request.model_validate(asked["request"])
        decided = decider.decision(request)
        result, _ = benchmark.run(
            request, SilentView(), decided=decided, on_folder=on_folder, share=share
        )
    except Interrupted as error:
        return Ended(status="failed", kind="interrupted", message=str(error))
    except BenchdockError as error:
        return state.of_refusal(error)
    return state.of_result(result)


if __name__ == "__main__":
    main()
