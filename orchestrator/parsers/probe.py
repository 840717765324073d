"""Reads logs of our probe: one `probe` event per figure."""

from __future__ import annotations

from orchestrator.ceilings import Ceiling
from orchestrator.parsers import crash
from orchestrator.parsers.contract import ParseHints, Progress
from orchestrator.parsers.events import TAG, is_whole
from orchestrator.parsers.failures import told
from orchestrator.parsers.lines import SelectedLines, clean, printable
from orchestrator.result import Failure, Measurement

program = "probe"

LONGEST_EVENT = 1 << 16


class Parser:
    """Collects figures into `Measurement.begin["ceilings"]`."""

    def __init__(self, hints: ParseHints) -> None:
        del hints
        self._lines = SelectedLines([TAG], limit=LONGEST_EVENT)
        self._found: list[Ceiling] = []
        self._error: Failure | None = None
        self.taken = 0
        self.first_taken: tuple[int, str] | None = None

    def feed(self, block: bytes) -> None:
        """Take the next bytes of the log, cut anywhere."""
        for line in self._lines.feed(block):
            self._line(clean(line))

    @property
    def progress(self) -> Progress:
        """Return how many figures there are."""
        return Progress(
            stage="probing" if self._found else "starting",
            steps_done=len(self._found),
            last_lines=self._lines.recent.lines(10),
        )

    def finish(self, exit_code: int | None = None) -> Measurement:
        """Return the figures; a failure if the program stopped early."""
        for line in self._lines.finish():
            self._line(clean(line))
        found = [one.model_dump(mode="json") for one in self._found]
        return Measurement(
            program=program, begin={"ceilings": found}, failure=self._failure(exit_code)
        )

    def _line(self, line: bytes) -> None:
        # A library may have left text without a line end before it.
        line = line[line.find(TAG) :]
        try:
            if is_whole(line) is False:
                raise ValueError("damaged by other output")
            self._found.append(Ceiling.model_validate_json(line[len(TAG) :]))
            self.taken += 1
            self.first_taken = self.first_taken or (self._lines.number, printable(line)[:300])
        except ValueError:  # pydantic's are such, too
            shown = printable(line[len(TAG) :])[:300]
            self._error = told(line) or Failure(
                kind="crashed", message=f"a line cannot be read: {shown}", evidence=shown
            )

    def _failure(self, exit_code: int | None) -> Failure | None:
        if self._error is not None:
            return self._error
        if self._found and not exit_code:
            return None
        found = crash.evidence(self._lines.recent.lines(crash.EVIDENCE_LINES))
        return found or Failure(kind="no_result", message="the probe broke off")
