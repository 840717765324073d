"""Reads logs of our programs: `::benchdock {json}` lines with raw samples."""

from __future__ import annotations

import math
from typing import Any, assert_never

from orchestrator import stats
from orchestrator.parsers import agreement, crash, events
from orchestrator.parsers.contract import ParseHints, Progress, Stage
from orchestrator.parsers.failures import failure_of, shown
from orchestrator.parsers.lines import SelectedLines, clean
from orchestrator.parsers.samples import Interval, Samples
from orchestrator.result import Failure, FailureKind, Measurement, Metric
from orchestrator.units import BYTES, DIMENSIONLESS, SAMPLES_PER_SECOND, counted

program = "benchdock"

_LAST_LINES = 10
# Statements of a begin line that must agree with the request.
_STATED = {"model", "phase", "dtype", "batch", "devices", "device"}
_MOST_WARNINGS = 20


class Parser:
    """Reads the log of one of our programs; keeps only the step times (8 bytes each).

    A tagged line that cannot be read is a warning; the result is refused if the line is needed.
    """

    def __init__(self, hints: ParseHints) -> None:
        self._hints = hints
        self._lines = SelectedLines([events.TAG], limit=events.LONGEST_EVENT)
        self._stage: Stage = "starting"
        self._begin: events.Begin | None = None
        self._begin_line = ""
        self._data: events.Data | None = None
        self._warmup: events.Warmup | None = None
        self._samples = Samples()
        self._end: events.End | None = None
        self._window: tuple[float, float] | None = None
        self._failure: Failure | None = None
        self._warnings: list[str] = []
        self._unreadable = 0
        self.taken = 0
        self.first_taken: tuple[int, str] | None = None
        self._checked = False
        self._unchecked = b""
        self._fed = False

    def feed(self, block: bytes) -> None:
        """Take the next bytes of the log, cut anywhere."""
        self._fed = self._fed or bool(block)
        for line in self._lines.feed(block):
            self._line(line)

    @property
    def progress(self) -> Progress:
        """Return the program's progress from the text so far."""
        done, total = self._samples.count, self._begin.steps if self._begin else None
        if self._stage == "warmup":
            done = self._warmup.steps if self._warmup else 0
            total = self._begin.warmup if self._begin else None
        return Progress(
            stage=self._stage,
            steps_done=done,
            steps_total=total,
            throughput=self._samples.latest_throughput,
            window=self._window,
            last_lines=self._last_lines(_LAST_LINES),
        )

    def finish(self, exit_code: int | None = None) -> Measurement:
        """Judge the whole log. A failed run has no metrics, but its raw samples."""
        for line in self._lines.finish():
            self._line(line)
        if self._lines.cut:
            self._unreadable += self._lines.cut
            self._warn(f"{self._lines.cut} tagged lines are longer than any event")
        failure = self._failure or self._judge(exit_code)
        if self._unreadable > _MOST_WARNINGS:
            self._warnings.append(f"{self._unreadable} tagged lines could not be read in all")
        metrics, interval = {}, Interval()
        if failure is None:
            interval = self._interval()
            metrics = self._metrics() | interval.metrics
            self._warnings += (*interval.warnings, *self._doubts())
        self._warnings += self._samples.left_out()
        return Measurement(
            program=program,
            begin=self._told(),
            fingerprint=self._begin.fingerprint if self._begin else None,
            metrics=metrics,
            steps=self._samples.records(),
            warmup=self._warmup.model_dump(exclude={"event"}) if self._warmup else {},
            warnings=tuple(self._warnings),
            notes=interval.notes,
            failure=failure,
        )

    def _told(self) -> dict[str, Any]:
        """Return what the program said before its first step."""
        told = self._begin.model_dump(exclude={"event", "doubts"}) if self._begin else {}
        if self._data is not None:
            told["reader"] = self._data.model_dump(exclude={"event", "crc"}, exclude_none=True)
        if rank_times := self._samples.rank_times():
            told["rank_times"] = rank_times
        return told

    def _line(self, raw: bytes) -> None:
        line = clean(raw)
        start = line.find(events.TAG)
        before, line = line[: max(start, 0)], line[max(start, 0) :]
        whole = events.is_whole(line)
        # After text without a line end, only a checksum distinguishes our line from a quoted one.
        if start < 0 or (before and not whole):
            self._refuse(
                raw, "a tagged line does not start at the beginning of its line", before + line
            )
            return
        if whole is False:
            self._refuse(raw, "a tagged line was damaged by other output", line)
            return
        try:
            event = events.read(line)
        except ValueError as error:
            self._refuse(raw, f"a tagged line cannot be read ({error})", line)
            return
        if before:
            self._lines.recent.add(before + b"\n")
        self.taken += 1
        self.first_taken = self.first_taken or (self._lines.number, shown(line))
        self._checked = self._checked or whole is True
        self._unchecked = self._unchecked or (line if whole is None else b"")
        self._event(event, line)

    def _refuse(self, raw: bytes, why: str, line: bytes) -> None:
        """Treat a tagged line as text of the log; the result is refused if it is needed."""
        self._lines.recent.add(raw + b"\n")
        self._unreadable += 1
        self._warn(f"{why}: {shown(line)}")

    def _event(self, event: events.AnyEvent, line: bytes) -> None:
        match event:
            case events.Begin():
                self._on_begin(event, line)
            case events.Data():
                self._data = self._data or event
            case events.Warmup():
                self._warmup = event
                self._stage = "warmup" if self._stage == "starting" else self._stage
            case events.Steps():
                self._on_steps(event, line)
            case events.End():
                self._on_end(event, line)
            case events.Error():
                # What a lost rank makes the others say is printed first.
                if self._failure is None or event.signal is not None:
                    self._failure = failure_of(event, line)
            case _:
                assert_never(event)

    def _on_begin(self, event: events.Begin, line: bytes) -> None:
        if self._begin is not None and self._begin != event:
            self._inconsistent("the log contains more than one run", line)
        if self._begin is None:
            self._begin, self._begin_line = event, shown(line)
        self._stage = "warmup" if self._stage == "starting" else self._stage

    def _on_steps(self, event: events.Steps, line: bytes) -> None:
        if self._end is not None:
            self._inconsistent("there are timed steps after the end", line)
        problem = self._samples.add(event)
        if problem:
            self._inconsistent(problem, line)
        if event.ended is not None and event.block_seconds is not None:
            begin = self._window[0] if self._window else event.ended - event.block_seconds
            self._window = (begin, event.ended)
        self._stage = "timing"

    def _on_end(self, event: events.End, line: bytes) -> None:
        if self._end is not None and self._end.model_dump_json() != event.model_dump_json():
            self._inconsistent("the log contains two different ends", line)
        self._end = self._end or event
        self._stage = "done"

    def _judge(self, exit_code: int | None) -> Failure | None:
        """Decide whether a log without an error event is a success."""
        if self._end is None:
            last = self._last_lines(crash.EVIDENCE_LINES)
            died = crash.evidence(last, isolated=self._hints.isolated)
            return died or self._stopped(died_of=exit_code)
        if exit_code:
            return Failure(kind="crashed", message="the program failed after its result")
        if self._checked and self._unchecked:
            return Failure(
                kind="no_result",
                message="inconsistent: a tagged line has lost its checksum to other output",
                evidence=shown(self._unchecked),
            )
        problem = self._contradiction(self._end)
        if problem:
            return Failure(kind="no_result", message=problem)
        return self._other_run()

    def _other_run(self) -> Failure | None:
        """Return why the begin line is of a different run than the requested one, None if it is
        not.
        """
        begin, hints = self._begin, self._hints
        assert begin is not None  # `_contradiction` refuses a log without one
        stated = begin.model_dump(include=_STATED)
        asked, ran = hints.fingerprint, begin.fingerprint
        if ran is not None and ran == asked:
            del stated["model"]  # the same network, whatever its name
        _, said = agreement.contradiction(stated, hints)
        if not said and hints.dtype not in (None, begin.dtype):
            said = f"the log says {begin.dtype}, not {hints.dtype} as requested"
        if not said and None not in (asked, ran) and asked != ran:
            said = (
                f"the log says network {ran}, not {asked} as planned: the file changed after "
                "the start, or the image contains another release of benchdock; run it again"
            )
        if not said:
            return None
        return Failure(kind="contradiction", message=said, evidence=self._begin_line)

    def _stopped(self, died_of: int | None) -> Failure:
        """Build the failure of a log that has no end and does not say why."""
        if not self._fed and not died_of:
            return Failure(kind="no_output", message="the program printed nothing")
        at = self.progress
        message = "the program printed no result line"
        if at.stage == "warmup":
            done = counted(at.steps_done, "step")
            message = f"no end line: the program stopped after {done} of warm-up"
        elif at.stage == "timing":
            of = f" of {at.steps_total}" if at.steps_total else ""
            message = f"no end line: the program stopped after {at.steps_done}{of} timed steps"
        return Failure(
            kind="crashed" if died_of else "no_result",
            message=message,
            evidence=at.last_lines[-1] if at.last_lines else "",
        )

    def _last_lines(self, count: int) -> tuple[str, ...]:
        return self._lines.recent.lines(count, unfinished=self._lines.unfinished)

    def _contradiction(self, end: events.End) -> str:
        """Return why the end line cannot be right, or ""."""
        if not 0 < end.seconds < math.inf or end.samples <= 0:
            return f"{end.samples} samples in {end.seconds} seconds is not a throughput"
        if not math.isfinite(end.samples / end.seconds):
            return f"{end.samples} samples in {end.seconds} seconds is not a plausible throughput"
        if self._begin is None:
            return "the begin line is missing: it is unknown what was measured"
        problem = self._samples.contradiction(
            samples=end.samples,
            seconds=end.seconds,
            per_step=self._begin.batch * self._begin.devices,
        )
        return f"inconsistent: {problem}" if problem else ""

    def _interval(self) -> Interval:
        end = self._end
        assert end is not None  # _judge refuses a log without end
        return self._samples.interval(end.samples, end.seconds)

    def _metrics(self) -> dict[str, Metric]:
        end = self._end
        assert end is not None  # _judge refuses a log without end
        metrics = {"throughput": Metric(value=end.samples / end.seconds, unit=SAMPLES_PER_SECOND)}
        metrics |= self._samples.metrics()
        if end.peak_memory is not None:
            metrics["peak_memory"] = Metric(value=end.peak_memory, unit=BYTES)
        if end.loss is not None and math.isfinite(end.loss):
            metrics["loss"] = Metric(value=end.loss, unit=DIMENSIONLESS)
        return metrics

    def _doubts(self) -> list[str]:
        end, begin = self._end, self._begin
        assert end is not None  # _judge refuses a log without these
        assert begin is not None
        found = stats.doubts(self._samples.seconds, window=end.seconds)
        found += self._samples.doubts()
        found += (shown(text.encode("utf-8", "replace")) for text in begin.doubts)
        if begin.steps is not None and begin.steps != self._samples.count:
            found.append(f"{begin.steps} steps were requested, {self._samples.count} were timed")
        if end.loss is not None and not math.isfinite(end.loss):
            found.append(f"the loss is {end.loss}: training diverged (the throughput stands)")
        return found

    def _fail(self, kind: FailureKind, message: str, line: bytes) -> None:
        """Keep the first failure: the others follow from it."""
        self._failure = self._failure or Failure(kind=kind, message=message, evidence=shown(line))

    def _inconsistent(self, problem: str, line: bytes) -> None:
        self._fail("no_result", f"inconsistent: {problem}", line)

    def _warn(self, text: str) -> None:
        if len(self._warnings) < _MOST_WARNINGS:
            self._warnings.append(text)
