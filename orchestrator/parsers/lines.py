"""Finds the few interesting lines in a large log, fast and in bounded memory."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

LINE_LIMIT = 1 << 16
WINDOW = 1 << 16

_ANSI = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]")
# mpirun --tag-output and horovodrun: "[1,0]<stdout>:"; Open MPI 5: "[prterun-n1-7@1,0]<stdout>: ";
# horovodrun --gloo: "[0]<stdout>:"; any of these with the time before it. torchrun --tee:
# "[default0]:"; PyTorch's own tracebacks: "[rank0]: "; srun --label: "0: ".
RANK = (
    rb"[ \t]*(?:"
    rb"(?:\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4} ?)?"
    rb"\[(?:[\w.-]{1,80}@)?(?:(?P<job>\d{1,9}),)?(?P<process>\d{1,9})\]<std(?:out|err)>: ?"
    rb"|\[(?:default|rank)(?P<local>\d{1,9})\]: ?"
    rb"|(?P<task>\d{1,9}): )"
)
_RANK = re.compile(RANK)


def clean(line: bytes) -> bytes:
    """Return a line without colours, a rank's prefix and trailing space."""
    return clean_with_rank(line)[0]


def clean_with_rank(line: bytes) -> tuple[bytes, tuple[int, int] | None]:
    """Return a cleaned line, and job and rank if a prefix says which process printed it."""
    line = without_colours(line)
    prefix = _RANK.match(line)
    if prefix is None:
        return line.rstrip(), None
    rank = (int(prefix["job"] or 0), int(prefix["process"] or prefix["local"] or prefix["task"]))
    return line[prefix.end() :].rstrip(), rank


def without_rank(text: str) -> str:
    """Return a line of text without a rank's prefix."""
    line = text.encode("utf-8", "replace")
    prefix = _RANK.match(line)
    return line[prefix.end() :].decode() if prefix else text


def without_colours(text: bytes) -> bytes:
    """Return text without the codes that colour it on a terminal."""
    return _ANSI.sub(b"", text) if b"\x1b" in text else text


class RecentText:
    """The last 64 KiB of a log, to show its last lines."""

    def __init__(self) -> None:
        self._text = bytearray()

    def add(self, text: bytes) -> None:
        """Append text, including its line ends."""
        self._text += text[-WINDOW:]
        if len(self._text) > 2 * WINDOW:
            del self._text[:-WINDOW]

    def lines(self, count: int, *, width: int = 300, unfinished: bytes = b"") -> tuple[str, ...]:
        """Return the last lines that are not blank, without control characters, cut off at `width`.

        `unfinished` is the start of a line that is still being written.
        """
        text = (bytes(self._text[-WINDOW:]) + unfinished[:WINDOW]).replace(b"\r", b"\n")
        found: list[str] = []
        for line in reversed(text.split(b"\n")):
            if len(found) == count:
                break
            shown = printable(without_colours(line).rstrip())
            if shown:
                found.append(shown[:width])
        return tuple(reversed(found))


def printable(text: bytes) -> str:
    """Decode text for a terminal: what is not UTF-8 or not printable becomes U+FFFD."""
    decoded = text.decode("utf-8", "replace").expandtabs(8)
    if decoded.isprintable():
        return decoded
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in decoded)


# More bytes than this in a row are not all blank; checking would cost time.
_BLANKS = 64


class _LineEnds:
    """Counts the line ends in a block before increasing positions."""

    def __init__(self, block: bytes, before: int) -> None:
        self._block = block
        self._count = before
        self._place = 0

    def before(self, place: int) -> int:
        """Return how many line ends the log has before a position in the block."""
        self._count += self._block.count(b"\n", self._place, place)
        self._place = place
        return self._count


class SelectedLines:
    r"""Yields the lines that contain one of some byte strings; the rest goes to `recent`.

    Lines end at \n, \r or \r\n, and blank ones are never yielded. A line longer than `limit` is not
    yielded; `cut` counts such lines that contained one of the strings within the limit. Nothing is
    done per line where no string occurs: `bytes.find` runs over whole blocks. `number` is that of
    the last line yielded, counted like `sed -n`: only by \n. `passed` says whether non-blank text
    was left out since it was last set to False. With a translation `table` the strings are looked
    for in the text that `bytes.translate` makes.
    """

    def __init__(
        self, needles: Sequence[bytes], *, limit: int = LINE_LIMIT, table: bytes | None = None
    ) -> None:
        self.recent = RecentText()
        self.cut = 0
        self.number = 0
        self.passed = False
        self._table = table
        self._line_ends = 0
        self._partial_number = 1
        self._needles = tuple(needles)
        self._limit = limit
        self._partial = bytearray()
        self._skipping = False

    def feed(self, block: bytes) -> Iterator[bytes]:
        """Add the next block and yield the selected lines in it, without their ends.

        The iterator must be exhausted before the next call.
        """
        counter = _LineEnds(block, self._line_ends)
        if b"\r" in block:
            block = block.replace(b"\r", b"\n")
        yield from self._feed(block, counter)
        self._line_ends = counter.before(len(block))

    def _feed(self, block: bytes, counter: _LineEnds) -> Iterator[bytes]:
        start = 0
        if self._partial or self._skipping:
            end = block.find(b"\n")
            head = block if end < 0 else block[: end + 1]
            yield from self._continue(head)
            if end < 0:
                return
            start = end + 1
        last = block.rfind(b"\n", start) + 1 or start
        yield from self._whole_lines(block, start, last, counter)
        if last < len(block):
            self._partial_number = counter.before(last) + 1
            yield from self._continue(block[last:])

    def finish(self) -> Iterator[bytes]:
        """Yield the last line if it has no end and is selected."""
        if self._partial:
            yield from self._continue(b"\n")

    @property
    def unfinished(self) -> bytes:
        """Return the line that is still being written if it is not selected so far."""
        return b"" if self._selected(self._partial) else bytes(self._partial[:WINDOW])

    def _selected(self, text: bytes | bytearray) -> bool:
        if self._table is not None:
            text = text.translate(self._table)
        return any(needle in text for needle in self._needles)

    def _continue(self, text: bytes) -> Iterator[bytes]:
        """Add text to the unfinished line; only its last byte may be a line end."""
        ended = text.endswith(b"\n")
        if self._skipping:
            self._leave_out(text)
            self._skipping = not ended
            return
        self._partial += text
        if len(self._partial) > self._limit + ended:
            self.cut += self._selected(self._partial[: self._limit])
            self._drop_partial()
            self._skipping = not ended
        elif ended:
            line = bytes(self._partial[:-1])
            if self._selected(line):
                self._partial.clear()
                self.number = self._partial_number
                yield line
            else:
                self._drop_partial()

    def _drop_partial(self) -> None:
        self._leave_out(bytes(self._partial))
        self._partial.clear()

    def _leave_out(self, text: bytes) -> None:
        self.passed = self.passed or len(text) > _BLANKS or bool(text.strip())
        self.recent.add(text)

    def _whole_lines(
        self, block: bytes, start: int, stop: int, counter: _LineEnds
    ) -> Iterator[bytes]:
        """Yield the selected lines of block[start:stop], which ends at a line's end."""
        searched = block if self._table is None else block.translate(self._table)
        # Where each needle comes next; a needle that does not come again is not searched again.
        hits = {needle: searched.find(needle, start, stop) for needle in self._needles}
        while start < stop:
            hits = {needle: hit for needle, hit in hits.items() if hit >= 0}
            if not hits:
                break
            first = min(hits.values())
            begin = block.rfind(b"\n", start, first) + 1 or start
            end = block.find(b"\n", first, stop)
            self._add_recent(block, start, begin)
            if end - begin <= self._limit:
                self.number = counter.before(begin) + 1
                yield block[begin:end]
            else:
                self.cut += first < begin + self._limit
                self._add_recent(block, begin, end + 1)
            start = end + 1
            for needle, hit in hits.items():
                if hit < start:
                    hits[needle] = searched.find(needle, start, stop)
        self._add_recent(block, start, stop)

    def _add_recent(self, block: bytes, start: int, stop: int) -> None:
        if start < stop:
            self.passed = self.passed or stop - start > _BLANKS
            self._leave_out(block[max(start, stop - WINDOW) : stop])
