"""What one rank printed to a log."""

from __future__ import annotations

import math
from typing import Any

from orchestrator.parsers.contract import ParseHints, Stage
from orchestrator.parsers.numbers import Line
from orchestrator.parsers.run import Run
from orchestrator.parsers.windows import Added, Windows

MOST_RUNS = 1000


class Log:
    """What one rank printed: its runs, and what rules remember between lines."""

    def __init__(self, hints: ParseHints, *, shares: bool = False, has_rank: bool = False) -> None:
        self.hints = hints
        self.runs: list[Run] = [Run(hints)]
        self._shares = shares
        self.has_rank = has_rank  # lines of other ranks may be in between
        self.stage: Stage = "starting"
        self.state: dict[str, Any] = {}

    @property
    def run(self) -> Run:
        """The run that is being printed."""
        return self.runs[-1]

    def shown_runs(self) -> list[Run]:
        """Return the runs that printed something: the last one may have died after its header."""
        return [run for run in self.runs if run.started or run.facts]

    def begin(self) -> None:
        """Begin another run, unless the current one has printed no figure yet."""
        if self.run.started:
            if len(self.runs) < MOST_RUNS:
                self.runs.append(Run(self.hints))
            else:
                self.run.fail(f"the log contains more than {MOST_RUNS} runs")
        self.state.clear()

    def window(
        self,
        key: tuple[int, ...],
        rate: float | None,
        line: Line,
        *,
        samples: float = 1.0,
        worker: str = "",
    ) -> Added:
        """Take a window's rate in the program's unit; None is one that the log's end cuts off.

        `worker` is the name of the worker that prints it, if lines have one. Returns whether the
        window is new, known from another rank, or the first of another run.
        """
        if rate is None:
            return "again"
        run = self.run
        windows = self._windows_of(key, rate, worker) if self._shares else run.windows
        added = windows.add(key, rate, line, samples=samples)
        if added == "restart":
            self.begin()
            self.run.facts.update(run.facts)
            self.run.worker = worker
            self.run.windows.add(key, rate, line, samples=samples)
        self.stage = "timing"
        return added

    def last_of(self, name: str, value: int, added: Added, line: Line) -> None:
        """Store how many steps an epoch has; all lines of one run agree on it, lines of two runs do
        not.
        """
        if added == "restart":
            self.run.facts[name] = value
        else:
            self.run.same(name, value, line)

    def _windows_of(self, key: tuple[int, ...], rate: float, worker: str) -> Windows:
        """Return the windows of the worker that prints this one.

        Without names, the second worker is the one that prints a window for the second time.
        """
        run = self.run
        if worker:
            run.worker = run.worker or worker
            return run.windows if worker == run.worker else run.others.setdefault(worker, Windows())
        if run.windows.classify(key) == "again":
            return run.others.setdefault(run.windows.repeat(key, rate), Windows())
        return run.windows

    def running(self, key: tuple[int, ...], steps: int, mean: float, line: Line) -> None:
        """Take a mean rate of all steps so far, and derive that of the latest steps."""
        kind = self.run.windows.classify(key)
        if kind == "again" or not 0 < mean < math.inf:
            return
        before = self.state.get("running") if kind == "new" else None
        done, time = before or (0, 0.0)
        total = steps / mean
        if steps > done and total > time:
            rate = (steps - done) / (total - time)
            self.window(key, rate, line, samples=steps - done)
        self.state["running"] = (steps, total)
