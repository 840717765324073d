r"""Common parts of the parsers of vendors' programs.

A parser module is data and small functions; this module does everything that is common:

    program = "horovod"

    def _window(log: Log, found: Found) -> None:
        log.window((found.count("step"),), found.number("rate"), found.line)

    def _total(log: Log, found: Found) -> None:
        log.run.take("total", found.number("rate"), found.line)

    def _conclude(run: Run, hints: ParseHints) -> None:
        run.recompute(first=0, last=0)
        run.headline(run.printed.get("total"), estimator="mean_of_rates", missing="Total img/sec")

    FORMAT = Format(
        program=program,
        rules=(
            Rule(b"Iter #", re.compile(rf"Iter #(?P<step>{COUNT}): (?P<rate>{NUMBER}) img/sec"),
                 _window),
            Rule(b"Total img/sec", re.compile(rf"Total img/sec .*: (?P<rate>{NUMBER}) "), _total),
        ),
        conclude=_conclude,
    )

    def Parser(hints: ParseHints) -> LogParser:  # noqa: N802
        return vendor.Parser(FORMAT, hints)

and the module is listed in `orchestrator/programs.py`.

Lines. Only lines that contain a rule's needle are read, so a needle must be bytes that every line
of the rule contains and few others do. A pattern is *matched* at the line's start (without colours,
rank prefix and space at both ends); the first rule that matches takes the line. Use NUMBER and
COUNT of `numbers`, or ONE_DECIMAL and similar ones if printf fixes the digits, and let the pattern
continue after the number: a number that is cut off by a line's end must not match. `open_end` is
for numbers of any length at a line's end. A line that matches nothing is skipped, with a warning if
it contains one of `marks`. `found.number()` is None if the log is cut off right after the number:
pass it on, `take` and `window` handle it.

Ranks. A `Log` is what one rank printed (by prefix), and has separate runs. If a figure is of all
ranks, the lowest rank with a result counts; `take` and `window` recognize what is repeated. If each
rank prints the rate of its devices (`shares`), `workers` adds up their windows. Prefixes of log
collectors are removed before a parser sees a line (`collected`); one that identifies a rank becomes
such a prefix.

Runs. A log may contain several runs. A rule calls `log.begin()` at the line that only starts one
(which does nothing while the run is empty); `log.window` does it by itself if step numbers start
again. With more than one run there is no result unless one is chosen (`--block N`); all of them
are in `begin["blocks"]`, each with its metrics. If the output of workers was gathered one after the
other, their totals agree and the fact `workers` gives their number: the first one counts.

Request. `fact` keeps what the program states: `model`, `layers`, `mode` or `phase`,
`dtype`, `batch` (per device), `devices`, `device` (`cpu`, `gpu`). A run with a result whose facts
contradict the hints is a failure of the kind `contradiction` (`agreement`): a parser only has to
keep the facts.

Our messages. If our helper that prepares a run (it writes the network for the program) fails, it
says why in an `error` event, which becomes the failure.

Figures. `take(name, value, line)` keeps a printed number in `run.printed` and the line as evidence;
the same number again is ignored, a different one makes the run contradict itself. `conclude` turns
them into metrics by `headline` (-> throughput), `recompute` (-> throughput_recomputed) and
`seconds`. Zero, nan, inf and missing headlines become the run's problem, hence a failure.

A measurement's `begin` contains the run's facts (model, batch, devices, ...: what was printed or
hinted, `batch` per device) and always: `estimator` (one of ESTIMATORS), `scope`, `evidence` (lines
[number, text] that gave the headline), `windows` (count, used, dropped_first, dropped_last, why).
Metrics: `throughput`, `throughput_recomputed`, `throughput_min`, `throughput_max` (samples/s, all
devices); `latency_mean|median|min|max|p90|p95|p99` and `step_time_*` in seconds.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.parsers import crash, events, failures, workers
from orchestrator.parsers.broken import BrokenNumbers
from orchestrator.parsers.contract import ParseHints, Progress
from orchestrator.parsers.estimators import ESTIMATORS, Scope
from orchestrator.parsers.lines import SelectedLines, clean_with_rank, printable
from orchestrator.parsers.log import Log
from orchestrator.parsers.numbers import COUNT, NUMBER, SHOWN, Found, Line
from orchestrator.parsers.run import Run
from orchestrator.parsers.windows import Added
from orchestrator.result import Failure, Measurement
from orchestrator.units import SAMPLES_PER_SECOND, counted
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
_RANKS_AGREE = 0.01
_MOST_SHOWN = 8


def live_samples(run: Run) -> tuple[float, str]:
    """The windows' rates are samples/s over all devices."""
    del run
    return 1.0, SAMPLES_PER_SECOND


@dataclass(frozen=True, kw_only=True)
class Format:
    """What a program prints. `conclude` is called once per run, at the end of the log.

    `table` translates bytes before needles are searched, if lines have nothing else in common.
    A program without `has_end` prints no summary: a crash after its last figure is a failure.
    `synonyms` maps models' names as the program prints them to those it accepts.
    `shares` says that each worker of a job prints the rate of its devices: they are added up.
    `marks` are parts of lines with figures: a line with one that matches no rule is damaged.
    `live` returns what a window's rate is multiplied by, and the unit that this gives, for the view
    of a running program.
    """

    program: str
    rules: tuple[Rule, ...]
    conclude: Callable[[Run, ParseHints], None]
    table: bytes | None = None
    has_end: bool = True
    synonyms: Mapping[str, str] = field(default_factory=dict)
    shares: bool = False
    marks: tuple[bytes, ...] = ()
    live: Callable[[Run], tuple[float, str]] = live_samples


@dataclass(frozen=True)
class Rule:
    """Lines that hold the needle and match the pattern at their start are taken.

    Ours are anchored, since people quote logs. With `open_end` a number may be the last of a line
    and may have any number of digits: the next line shows whether it is complete.
    """

    needle: bytes
    pattern: re.Pattern[str]
    take: Callable[[Log, Found], None]
    open_end: bool = field(default=False, kw_only=True)

    def find(self, text: str) -> re.Match[str] | None:
        """Return the match in a line."""
        # People indent the logs that they quote.
        return self.pattern.match(text, len(text) - len(text.lstrip()))


def shown(text: bytes | str) -> str:
    """Return the start of a text, safe to show on a terminal."""
    raw = text.encode("utf-8", "replace") if isinstance(text, str) else text
    return printable(raw[: 4 * SHOWN])[:SHOWN]


class Parser:
    """Reads a vendor program's log by its format. See LogParser."""

    def __init__(self, form: Format, hints: ParseHints) -> None:
        self._format = form
        self._hints = hints
        needles = dict.fromkeys((*(rule.needle for rule in form.rules), *form.marks))
        own = events.TAG.translate(form.table) if form.table else events.TAG
        self._lines = SelectedLines((*needles, own), table=form.table)
        self._told: Failure | None = None
        self._logs: dict[tuple[int, int] | None, Log] = {}
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
        log = self._chosen_log()
        runs = log.shown_runs()
        warnings: list[str] = []
        begin = self._banner(warnings)
        if self._damaged:
            warnings.append(f"{counted(self._damaged, 'line')} with figures cannot be read")
        run, problem = self._chosen_run(log)
        if len(runs) > 1:
            begin["blocks"] = [one.block() for one in runs]
        begin |= run.summary()
        failure = self._failure(run, problem, exit_code)
        return Measurement(
            program=self._format.program,
            begin=begin,
            metrics=run.metrics,
            warnings=(*warnings, *run.warnings, *self._rank_doubts(log, run)),
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

    def _chosen_log(self) -> Log:
        """Conclude all runs; return the log of the lowest rank that has a result, else the first.

        Rank None, of lines without prefix, is the lowest.
        """
        if self._format.shares:
            self._logs = workers.join(self._logs)
        workers.count(list(self._logs.values()))
        for log in self._logs.values():
            for run in log.shown_runs():
                run.synonyms = self._format.synonyms
                workers.add_up(run)
                run.conclude(self._format.conclude, self._hints)
        logs = [self._logs[rank] for rank in sorted(self._logs, key=lambda r: r or (-1, -1))]
        good = [log for log in logs if any(run.succeeded for run in log.runs)]
        return next(iter(good or logs), Log(self._hints))

    def _chosen_run(self, log: Log) -> tuple[Run, str]:
        """Return the requested run, or an empty one and why there is none.

        `parsers.parse` refuses a missing block.
        """
        runs = log.shown_runs()
        asked = self._hints.block
        if asked is not None and asked <= len(runs):
            return runs[asked - 1], ""
        if len(runs) > 1 and workers.are_of_one(runs):
            runs[0].warn(f"{len(runs)} workers print one after the other: the first one counts")
            return runs[0], ""
        if len(runs) > 1:
            values = ", ".join(run.short() for run in runs[:_MOST_SHOWN])
            more = ", ..." if len(runs) > _MOST_SHOWN else ""
            return Run(self._hints), (
                f"the log contains {len(runs)} runs ({values}{more}): "
                f"choose one with --block 1 to --block {len(runs)}"
            )
        # If nothing was found, the warnings say why.
        return (runs[0] if runs else log.run), ""

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

    def _rank_doubts(self, chosen: Log, run: Run) -> list[str]:
        """Warn about ranks that printed different figures."""
        value = run.throughput
        others = [
            other.throughput
            for log in self._logs.values()
            for other in log.runs
            if log is not chosen and other.throughput is not None
        ]
        far = [v for v in others if value and abs(v - value) > _RANKS_AGREE * value]
        if not far:
            return []
        return [f"{len(far)} of {len(others)} other ranks printed a rate more than 1 % different"]
