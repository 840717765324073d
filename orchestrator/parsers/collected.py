"""Reads a log with and without the prefixes that a log collector may have added."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy

from orchestrator.parsers.contract import LogParser
from orchestrator.parsers.prefixes import Prefix, Remover, learn, may_bear
from orchestrator.result import Failure, Measurement

CHUNK = 1 << 20  # bytes of text in which prefixes are looked for
_SAMPLE = 1 << 13  # bytes at the start, in the middle and at the end of a chunk
_FIRST_LINES, _LATER_LINES = 40, 4  # of each sample
# Chunks after which only the best reading continues, and most chunks in which none takes a line.
_TRIAL, _LONGEST_TRIAL = 2, 64


class _Reading:
    """A parser that reads the log without some of the prefixes."""

    def __init__(self, parser: LogParser, prefixes: tuple[Prefix, ...]) -> None:
        self.parser = parser
        self.prefixes = prefixes
        self._remove = Remover(prefixes)

    def feed(self, text: bytes, *, at_line: bool) -> None:
        """Add text; text that continues a line has no prefix there."""
        self.parser.feed(self._remove(text) if at_line and self.prefixes else text)

    def finish(self, exit_code: int | None) -> Measurement:
        """Judge the whole log, and report which prefixes were removed."""
        found = self.parser.finish(exit_code)
        if not self.prefixes:
            return found
        names = tuple(dict.fromkeys(prefix.name for prefix in self.prefixes))
        begin = found.begin.model_copy(update={"prefixes": names})
        return found.model_copy(update={"begin": begin})


class CollectedLog:
    """Feeds a program's parser, and other ones without prefixes from where the log has them.

    A program's lines may start like a collector's, so each number of prefixes is tried, and one
    more is removed only if more lines then belong to the program. A log without prefixes is read as
    if this class did not exist.
    """

    def __init__(self, new_parser: Callable[[], LogParser]) -> None:
        self._readings = [_Reading(new_parser(), ())]
        self._known: set[tuple[Prefix, ...]] = set()
        self._chunks = 0
        self._since = 0  # the chunk that started a trial
        self._again = 0  # the chunk from which prefixes that were not useful are tried again
        self._pending: list[bytes] = []
        self._size = 0
        self._at_line = True
        self._lines = _FIRST_LINES

    @property
    def taken(self) -> int:
        """Return how many lines so far belong to the program."""
        return self._fullest.parser.taken

    @property
    def first_taken(self) -> tuple[int, str] | None:
        """Return the first of them."""
        return self._fullest.parser.first_taken

    @property
    def _fullest(self) -> _Reading:
        """Return the reading with the most lines of the program, the plainest of equals."""
        return max(self._readings, key=lambda reading: reading.parser.taken)

    def feed(self, block: bytes) -> None:
        """Take the next bytes of the log, cut anywhere."""
        self._pending.append(block)
        self._size += len(block)
        if self._size < CHUNK:
            return
        text = b"".join(self._pending)
        start = 0
        while len(text) - start >= CHUNK:
            end = text.rfind(b"\n", start, start + CHUNK) + 1 or start + CHUNK
            self._chunk(text[start:end])
            start = end
        self._pending = [text[start:]]
        self._size = len(text) - start

    def finish(self, exit_code: int | None = None) -> Measurement:
        """Judge the whole log, using the program's exit code if known. Call it once."""
        if self._size:
            self._chunk(b"".join(self._pending))
        best, *others = self._readings
        found = best.finish(exit_code)
        for other in others:
            bare, more = other.finish(exit_code), other.parser.taken - best.parser.taken
            if _is_better(bare.failure, found.failure, more):
                best, found = other, bare
        return found

    def _chunk(self, text: bytes) -> None:
        """Take text that starts and ends with a line unless a line is longer than a chunk."""
        if len(self._readings) == 1 and not self._readings[0].prefixes and self._at_line:
            self._learn(text)
        for reading in self._readings:
            reading.feed(text, at_line=self._at_line)
        self._at_line = text.endswith(b"\n")
        self._chunks += 1
        if len(self._readings) > 1:
            self._end_trial()

    def _end_trial(self) -> None:
        best, age = self._fullest, self._chunks - self._since
        if age < _TRIAL or (age < _LONGEST_TRIAL and not best.parser.taken):
            return
        # The unchanged log stays, for comparison with the other readings.
        self._readings = [*dict.fromkeys((self._readings[0], best))]
        self._again = 4 * self._chunks

    def _learn(self, text: bytes) -> None:
        lines = [*_sample(text, self._lines)]
        self._lines = _LATER_LINES
        if not may_bear(lines):
            return
        prefixes = learn(lines)
        if not prefixes or (prefixes in self._known and self._chunks < self._again):
            return
        self._known.add(prefixes)
        self._since = self._chunks
        for depth in range(1, len(prefixes) + 1):
            parser = deepcopy(self._readings[0].parser)
            self._readings.append(_Reading(parser, prefixes[:depth]))
        if prefixes[0].is_json:
            # A program's JSON has other keys, and its parser may accept any.
            del self._readings[0]


def _is_better(bare: Failure | None, found: Failure | None, more: int) -> bool:
    """Whether the log without prefixes says more, with `more` lines of the program."""
    if more < 0 or found is None:
        return more > 0 and bare is None
    if more > 0:
        return True
    # For the same lines, only a crash may be seen better: a contradiction stays one.
    return bare is not None and found.kind == "no_result" != bare.kind


def _sample(text: bytes, count: int) -> Iterator[bytes]:
    """Yield lines from the start, the middle and the end of a text."""
    size = len(text)
    if size <= 3 * _SAMPLE:
        yield from text.split(b"\n")
        return
    for place in (0, size // 2, size - _SAMPLE):
        # The first and the last line of a piece may be incomplete.
        lines = text[place : place + _SAMPLE].split(b"\n")
        yield from lines[bool(place) : count + 1][: max(1, len(lines) - 2)]
