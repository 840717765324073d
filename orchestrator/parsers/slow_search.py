"""Ends a search with a user's regular expression that would take hours.

With nested repeats, Python's `re` tries the same text in ever more ways and reacts to nothing but
signals: no clock of a run is checked. A timer of the process's CPU time interrupts it.
"""

from __future__ import annotations

import re
import signal
from types import FrameType, TracebackType

# Of CPU time; a search that sees two ticks is given up, and so is one that runs after this many in
# a block of the log: until its end no clock of a run is checked.
TICK_SECONDS = 1.0
MOST_TICKS = 10


class _TooSlowError(Exception):
    """A search took too long."""


class SearchWatch:
    """While it is entered, for a block and in the main thread, searches end in time.

    One timer serves many searches, because setting one costs more than a search. `given_up` is the
    text of the search that was given up; no more searches follow it.
    """

    def __init__(self) -> None:
        self.given_up: str | None = None
        self._ticks = 0
        self._begun = 0
        self._seen = 0
        self._searching = False

    def __enter__(self) -> None:
        self._ticks = 0
        self._before = signal.signal(signal.SIGVTALRM, self._tick)
        signal.setitimer(signal.ITIMER_VIRTUAL, TICK_SECONDS, TICK_SECONDS)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, self._before)

    def search(self, pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
        """Return where a pattern is in a text, None also if that was not found in time."""
        if self.given_up is not None:
            return None
        self._begun += 1
        try:
            self._searching = True
            found = pattern.search(text)
            self._searching = False  # inside the block, because a tick may raise until here
            return found
        except _TooSlowError:
            self.given_up = text
            return None
        finally:
            self._searching = False

    def _tick(self, _number: int, _frame: FrameType | None) -> None:
        self._ticks += 1
        too_long = self._begun == self._seen or self._ticks > MOST_TICKS
        if self._searching and too_long:
            raise _TooSlowError
        self._seen = self._begun
