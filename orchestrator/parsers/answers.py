"""Reads logs of our programs that answer in records: one event per record, and no timed steps."""

from __future__ import annotations

from collections.abc import Collection
from typing import Generic, TypeVar

from pydantic import BaseModel

from orchestrator.parsers import crash
from orchestrator.parsers.contract import Progress, Stage
from orchestrator.parsers.events import TAG, is_whole
from orchestrator.parsers.failures import told
from orchestrator.parsers.lines import SelectedLines, clean, printable
from orchestrator.result import Failure, Measurement

LONGEST_EVENT = 1 << 16

Answer = TypeVar("Answer", bound=BaseModel)


class AnswerParser(Generic[Answer]):
    """Collects records into `Measurement.begin`, under `key`.

    `stage` is what the program does while it answers; `fine` are its exit codes after all answers.
    """

    def __init__(
        self, program: str, key: str, record: type[Answer], stage: Stage, fine: Collection[int]
    ) -> None:
        self._program, self._key, self._record, self._stage = program, key, record, stage
        self._fine = {None, *fine}
        self._lines = SelectedLines([TAG], limit=LONGEST_EVENT)
        self._found: list[Answer] = []
        self._error: Failure | None = None
        self.taken = 0
        self.first_taken: tuple[int, str] | None = None

    def feed(self, block: bytes) -> None:
        """Take the next bytes of the log, cut anywhere."""
        for line in self._lines.feed(block):
            self._line(clean(line))

    @property
    def progress(self) -> Progress:
        """Return how many answers there are."""
        return Progress(
            stage=self._stage if self._found else "starting",
            steps_done=len(self._found),
            last_lines=self._lines.recent.lines(10),
        )

    def finish(self, exit_code: int | None = None) -> Measurement:
        """Return the answers; a failure if the program stopped early."""
        for line in self._lines.finish():
            self._line(clean(line))
        found = [one.model_dump(mode="json") for one in self._found]
        return Measurement(
            program=self._program, begin={self._key: found}, failure=self._failure(exit_code)
        )

    def _line(self, line: bytes) -> None:
        # A library may have left text without a line end before it.
        line = line[line.find(TAG) :]
        text = line[len(TAG) :]
        try:
            if is_whole(line) is False:
                raise ValueError("damaged by other output")
            self._found.append(self._record.model_validate_json(text))
            self.taken += 1
            self.first_taken = self.first_taken or (self._lines.number, printable(line)[:300])
        except ValueError:  # pydantic's are such, too
            # Of the other events only errors matter.
            self._error = told(line) or _unread(text)

    def _failure(self, exit_code: int | None) -> Failure | None:
        if self._error is not None:
            return self._error
        if self._found and exit_code in self._fine:
            return None
        found = crash.evidence(self._lines.recent.lines(crash.EVIDENCE_LINES))
        return found or Failure(kind="no_result", message=f"the {self._program} program broke off")


def _unread(text: bytes) -> Failure:
    shown = printable(text)[:300]
    return Failure(kind="crashed", message=f"a line cannot be read: {shown}", evidence=shown)
