"""Reads the reports of programs that measure bandwidth: short logs, which count as a whole.

A figure in them is a table's cell or a value in a JSON document, and the document says how its
figures hang together: a sum, a mean, a size over a time. A reader checks that, so a report that is
cut off or damaged has no figure.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator.metric import Metric
from orchestrator.parsers import crash
from orchestrator.parsers.contract import ParseHints, Progress
from orchestrator.parsers.lines import SelectedLines, clean
from orchestrator.parsers.numbers import Line
from orchestrator.program_facts import ProgramFacts
from orchestrator.result import Failure, FailureKind, Measurement

GIGA = 1e9
# Tables have tens of rows, those of a fine step thousands.
_MOST_LINES = 20_000
_LARGEST_DOCUMENT = 8 << 20
# As `bytes.translate` takes it: lines of numbers have only the places of their digits in common.
DIGITS = bytes.maketrans(b"123456789", b"000000000")


@dataclass(frozen=True, kw_only=True)
class Report:
    """What one run of a program reported; `evidence` are the lines of its figures."""

    metrics: Mapping[str, Metric]
    facts: Mapping[str, Any] = field(default_factory=dict)
    evidence: tuple[Line, ...] = ()
    warnings: tuple[str, ...] = ()


class Refused(Exception):  # noqa: N818 - it says what happened to the report
    """A report without a figure: why, and the line that shows it."""

    def __init__(self, why: str, line: Line | None = None, kind: FailureKind = "no_result") -> None:
        super().__init__(why)
        self.line = line
        self.kind = kind


@dataclass(frozen=True, kw_only=True)
class Form:
    """How a program reports.

    Lines with a needle that `known` recognizes belong to the program. `split` cuts them into runs,
    `read` reads one of these, and `document` reads a JSON document; both raise Refused.
    """

    program: str
    needles: Sequence[bytes]
    known: Callable[[str], bool]
    split: Callable[[Sequence[Line]], Sequence[Sequence[Line]]]
    read: Callable[[Sequence[Line]], Report]
    document: Callable[[Any], Report] | None = None
    table: bytes | None = None


class ReportParser:
    """Collects the lines of a program, and judges them at the end of the log."""

    def __init__(self, form: Form, hints: ParseHints) -> None:
        self._form, self._hints = form, hints
        self._selected = SelectedLines(form.needles, table=form.table)
        self._lines: list[Line] = []
        self._document: bytearray | None = bytearray() if form.document else None
        self._fed = False
        self.taken = 0
        self.first_taken: tuple[int, str] | None = None

    def feed(self, block: bytes) -> None:
        """Take the next bytes of the log, cut anywhere."""
        self._fed = self._fed or bool(block)
        self._keep(block)
        for raw in self._selected.feed(block):
            self._line(raw, ended=True)

    @property
    def progress(self) -> Progress:
        """Return the last lines: a report has no steps."""
        recent = self._selected.recent
        return Progress(last_lines=recent.lines(10, unfinished=self._selected.unfinished))

    def finish(self, exit_code: int | None = None) -> Measurement:
        """Judge the whole report."""
        for raw in self._selected.finish():
            self._line(raw, ended=False)
        program = self._form.program
        try:
            found, blocks = self._report()
            if exit_code:
                raise Refused("the program failed after its result", kind="crashed")
        except Refused as refused:
            failure = self._failure(refused, exit_code)
            evidence = [refused.line.evidence()] if refused.line else []
            begin = {"evidence": evidence} if evidence else {}
            return Measurement(program=program, begin=begin, failure=failure)
        lines = tuple(line.evidence() for line in found.evidence)
        told = {**found.facts, **({"evidence": lines} if lines else {}), **blocks}
        return Measurement(
            program=program,
            begin=ProgramFacts.model_validate(told),
            metrics=dict(found.metrics),
            warnings=found.warnings,
        )

    def _keep(self, block: bytes) -> None:
        """Keep a log that starts like a JSON document; any other one needs no memory."""
        if self._document is None:
            return
        if not self._document:
            block = block.lstrip()
        if self._document or block.startswith(b"{"):
            self._document += block
        elif block:
            self._document = None
        if self._document is not None and len(self._document) > _LARGEST_DOCUMENT:
            self._document = None

    def _line(self, raw: bytes, *, ended: bool) -> None:
        self._selected.recent.add(raw + b"\n")
        text = clean(raw).decode("utf-8", "replace")
        if not self._form.known(text):
            return
        line = Line(self._selected.number, text, ended)
        self.taken += 1
        number, shown = line.evidence()
        self.first_taken = self.first_taken or (int(number), str(shown))
        if len(self._lines) < _MOST_LINES:
            self._lines.append(line)

    def _report(self) -> tuple[Report, dict[str, Any]]:
        """Return the wanted run, and what to say of several. Raises Refused."""
        if self._document and self._form.document is not None and self.taken:
            return self._form.document(_loaded(self._document)), {}
        if self.taken > _MOST_LINES:
            raise Refused(f"the log has more than {_MOST_LINES:,} lines of a report")
        runs = [run for run in self._form.split(self._lines) if run]
        if not runs:
            raise Refused("")
        if len(runs) == 1:
            return self._form.read(runs[0]), {}
        blocks = {"blocks": tuple(self._block(run) for run in runs)}
        wanted = self._hints.block
        if wanted is None:
            raise Refused(f"the log contains {len(runs)} runs: choose one with --block")
        return self._form.read(runs[min(wanted, len(runs)) - 1]), blocks

    def _block(self, run: Sequence[Line]) -> dict[str, Any]:
        try:
            found = self._form.read(run)
        except Refused as refused:
            return {"problem": str(refused)}
        metrics = {name: one.model_dump() for name, one in found.metrics.items()}
        return {**found.facts, "metrics": metrics, "problem": ""}

    def _failure(self, refused: Refused, exit_code: int | None) -> Failure:
        last = self.progress.last_lines
        if not str(refused) or refused.kind == "no_result":
            died = crash.evidence(last, isolated=self._hints.isolated)
            if died is not None:
                return died
        if not self._fed and not exit_code:
            return Failure(kind="no_output", message="the program printed nothing")
        shown = str(refused.line.evidence()[1]) if refused.line else last[-1] if last else ""
        message = str(refused) or f"the log contains no result of {self._form.program}"
        return Failure(kind=refused.kind, message=message, evidence=shown)


def _loaded(data: bytearray) -> Any:
    """Return a JSON document, without what a launcher printed after it. Raises Refused."""
    try:
        return json.JSONDecoder().raw_decode(data.decode("utf-8", "replace"))[0]
    except (ValueError, RecursionError):
        raise Refused("the JSON document is cut off or damaged") from None


def member(document: Any, *path: str) -> Any:
    """Return what is at a path of a JSON document, None if there is nothing."""
    for name in path:
        document = document.get(name) if isinstance(document, dict) else None
    return document


def number(value: Any) -> float | None:
    """Return a JSON value as a positive, finite number, None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 < value < 1e300 else None


def one_run(lines: Sequence[Line], starts: Callable[[str], bool]) -> list[list[Line]]:
    """Cut lines before each one that starts a run; those before the first belong to it."""
    runs: list[list[Line]] = [[]]
    begun = False
    for line in lines:
        if starts(line.text):
            if begun:
                runs.append([])
            begun = True
        runs[-1].append(line)
    return runs
