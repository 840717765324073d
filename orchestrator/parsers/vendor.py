"""Reads the log of a vendor's program by its format: the common part of their parsers.

Parser modules import what they need from here; `formats` says how to write one.
"""

from __future__ import annotations

import math
from typing import Any

from orchestrator.parsers import choice, crash, events, failures, workers
from orchestrator.parsers.broken import BrokenNumbers
from orchestrator.parsers.contract import ParseHints, Progress
from orchestrator.parsers.estimators import ESTIMATORS, Scope
from orchestrator.parsers.formats import Format, Rule, shown
from orchestrator.parsers.lines import SelectedLines, clean_with_rank
from orchestrator.parsers.log import Log
from orchestrator.parsers.numbers import COUNT, NUMBER, Found, Line
from orchestrator.parsers.run import Run
from orchestrator.parsers.windows import Added
from orchestrator.parsers.workers import Rank
from orchestrator.result import Failure, Measurement
from orchestrator.units import counted
from orchestrator.vendor_images.banner import read_banner

__all__ = [
    "COUNT",
    "ESTIMATORS",
    "NUMBER",
    "Added",
    "Format",
    "Found",
    "Line",
    "Log",
    "Parser",
    "Rule",
    "Run",
    "Scope",
    "shown",
]

_LAST_LINES = 10
_HEAD = 1 << 18  # bytes at the start of a log among which an image's banner is looked for
_MOST_RANKS = 4096


class Parser:
    """Reads a vendor program's log by its format. See LogParser."""

    def __init__(self, form: Format, hints: ParseHints) -> None:
        self._format = form
        self._hints = hints
        needles = dict.fromkeys((*(rule.needle for rule in form.rules), *form.marks))
        own = events.TAG.translate(form.table) if form.table else events.TAG
        self._lines = SelectedLines((*needles, own), table=form.table)
        self._told: Failure | None = None
        self._logs: dict[Rank, Log] = {}
        self._latest: Log | None = None
        self._head = bytearray()
        self._fed = False
        self._taken = b""
        self.taken = 0
        self.first_taken: tuple[int, str] | None = None
        self._damaged = 0
        self._broken = BrokenNumbers()

    def feed(self, block: bytes) -> None:
        """Take the next bytes of the log, cut anywhere."""
        self._fed = self._fed or bool(block)
        if len(self._head) < _HEAD:
            self._head += block[: _HEAD - len(self._head)]
        self._broken.feed(block)
        for raw in self._lines.feed(block):
            self._line(raw, ended=True)

    @property
    def progress(self) -> Progress:
        """Return how far the program is, from what was fed so far."""
        last = self._last_lines(_LAST_LINES)
        if self._latest is None:
            return Progress(last_lines=last)
        run = self._latest.run
        windows = run.windows
        factor, unit = self._format.live(run)
        logs = self._logs.values() if self._format.shares else [self._latest]
        rate = workers.latest_rate([log.run for log in logs]) * factor
        return Progress(
            stage=self._latest.stage,
            steps_done=windows.last_key[-1] if windows.last_key else 0,
            throughput=rate if math.isfinite(rate) else None,
            unit=unit,
            last_lines=last,
        )

    def finish(self, exit_code: int | None = None) -> Measurement:
        """Judge the whole log, in the light of the program's exit code if known."""
        for raw in self._lines.finish():
            self._line(raw, ended=False)
        self._broken.finish()
        self._logs = choice.conclude(self._logs, self._format, self._hints)
        log = choice.lowest_rank(self._logs) or Log(self._hints)
        runs = log.shown_runs()
        warnings: list[str] = []
        begin = self._banner(warnings)
        if self._damaged:
            warnings.append(f"{counted(self._damaged, 'line')} with figures cannot be read")
        run, problem = choice.requested_run(log, self._hints)
        if len(runs) > 1:
            begin["blocks"] = [one.block() for one in runs]
        begin |= run.summary()
        failure = self._failure(run, problem, exit_code)
        return Measurement(
            program=self._format.program,
            begin=begin,
            metrics=run.metrics,
            warnings=(*warnings, *run.warnings, *choice.rank_doubts(self._logs, log, run)),
            failure=failure,
        )

    def _line(self, raw: bytes, *, ended: bool) -> None:
        self._lines.recent.add(raw + b"\n")
        cleaned, rank = clean_with_rank(raw)
        if events.TAG in cleaned:
            self._told = self._told or failures.told(cleaned)
            return
        text, follows = cleaned.decode("utf-8", "replace"), not self._lines.passed
        line = Line(self._lines.number, text, ended, follows)
        self._lines.passed = True
        for rule in self._format.rules:
            match = rule.find(line.text)
            if match is not None:
                log = self._logs.get(rank)
                if log is None:
                    if len(self._logs) >= _MOST_RANKS:
                        return
                    shares, named = self._format.shares, rank is not None
                    log = self._logs[rank] = Log(self._hints, shares=shares, has_rank=named)
                self._latest = log
                self._taken = raw
                self.taken += 1
                self.first_taken = self.first_taken or (line.number, shown(line.text))
                rule.take(log, Found(match, line))
                log.run.state(line)
                self._lines.passed = False
                if rule.open_end:
                    self._broken.watch(raw, log.run, line)
                return
        self._damaged += any(mark in cleaned for mark in self._format.marks)

    def _last_lines(self, count: int) -> tuple[str, ...]:
        return self._lines.recent.lines(count, unfinished=self._lines.unfinished)

    def _failure(self, run: Run, problem: str, exit_code: int | None) -> Failure | None:
        if self._told is not None:
            return self._told
        if problem:
            return Failure(kind="no_result", message=problem)
        if run.succeeded and exit_code:
            return Failure(kind="crashed", message="the program failed after its result")
        ended = self._end_failure() if run.succeeded or run.kind == "contradiction" else None
        return ended if run.succeeded or ended is not None else self._no_result(run, exit_code)

    def _no_result(self, run: Run, exit_code: int | None) -> Failure:
        """Return why a run without a result has none."""
        last = self._last_lines(crash.EVIDENCE_LINES)
        unexplained = run.kind == "no_result" and not run.contradicts
        died = crash.evidence(last, isolated=self._hints.isolated) if unexplained else None
        if died is not None:
            return died
        if not self._fed and not exit_code:
            return Failure(kind="no_output", message="the program printed nothing")
        evidence = run.problem_line or (last[-1] if last else "")
        return Failure(
            kind="crashed" if exit_code and run.kind == "no_result" else run.kind,
            message=run.problem or f"the log contains no result of {self._format.program}",
            evidence=evidence,
        )

    def _end_failure(self) -> Failure | None:
        """Return the crash after the last figure of a program that prints no summary."""
        if self._format.has_end:
            return None
        lines = self._last_lines(crash.EVIDENCE_LINES)
        taken = shown(self._taken.rstrip())
        after = next((i for i in range(len(lines), 0, -1) if lines[i - 1] == taken), 0)
        return crash.evidence(lines[after:], isolated=self._hints.isolated)

    def _banner(self, warnings: list[str]) -> dict[str, Any]:
        """Return what an image's banner at the start of the log says, if there is one."""
        if b"NVIDIA Release" not in self._head and b" GPU" not in self._head:
            return {}
        banner = read_banner(self._head.decode("utf-8", "replace").splitlines())
        warnings += banner.warnings()
        if not banner.release:
            return {}
        return {"image_release": banner.release, "image_product": banner.product}
