"""Makes foreign text safe to print, and keeps a broken terminal from ending a run."""

from __future__ import annotations

import re
import sys
from typing import TextIO

_ESCAPES = re.compile(
    "(?:\x1b\\[|\x9b)[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor
    "|(?:\x1b\\]|\x9d)[^\x07\x1b\x9c]*(?:\x07|\x1b\\\\|\x9c)?"  # OSC: titles, links, clipboard
    "|\x1b[PX^_][^\x1b]*(?:\x1b\\\\)?"  # DCS, SOS, PM, APC
    "|\x1b[ -/]*[0-~]"  # the rest: charsets, reset
)
# Reordering and invisible characters can make a line look like a different one.
_INVISIBLE = (
    0x061C,
    0xFEFF,
    *range(0x200B, 0x2010),
    *range(0x2028, 0x202F),
    *range(0x2060, 0x2070),
)
_CONTROLS = {
    **dict.fromkeys((*range(0x20), *range(0x7F, 0xA0), *_INVISIBLE), None),
    **dict.fromkeys(range(0xD800, 0xE000), "\ufffd"),
    ord("\t"): "    ",
    ord("\n"): " ",
    ord("\r"): " ",
}


def clean(text: str) -> str:
    """Return one line without escape sequences, control, bidirectional and invisible characters."""
    if "\x1b" in text or "\x9b" in text or "\x9d" in text:
        text = _ESCAPES.sub("", text)
    return text if text.isascii() and text.isprintable() else text.translate(_CONTROLS)


def print_note(text: str) -> None:
    """Print a note on standard error."""
    print(clean(f"note: {text}"), file=sys.stderr)


class Outlet:
    r"""A text stream that ignores failures: a closed terminal must not end a run.

    A character that the stream's encoding lacks is written as an escape such as `\u2713`.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.broken = False

    @property
    def encoding(self) -> str:
        """Return the encoding of the underlying stream, ASCII if it has none."""
        return getattr(self._stream, "encoding", None) or "ascii"

    def isatty(self) -> bool:
        """Whether the stream is a terminal."""
        return not self.broken and self._stream.isatty()

    def fileno(self) -> int:
        """Return the file descriptor, which is used to get the terminal's size. Raises OSError."""
        return self._stream.fileno()

    def write(self, text: str) -> int:
        """Write, or silently drop what cannot be written."""
        if self.broken:
            return len(text)
        try:
            self._stream.write(text)
        except UnicodeEncodeError:
            self.write(text.encode(self.encoding, "backslashreplace").decode(self.encoding))
        except (OSError, ValueError):  # ValueError: the stream is closed
            self.broken = True
        return len(text)

    def write_bytes(self, block: bytes) -> None:
        """Write bytes unchanged if the underlying stream has a binary buffer."""
        buffer = getattr(self._stream, "buffer", None)
        if buffer is None:
            self.write(block.decode("utf-8", "replace"))
            return
        self.flush()
        try:
            buffer.write(block)
            buffer.flush()
        except (OSError, ValueError):
            self.broken = True

    def flush(self) -> None:
        """Flush; ignore failures."""
        try:
            self._stream.flush()
        except (OSError, ValueError):
            self.broken = True

    def line(self, text: str) -> None:
        """Write one line, made safe."""
        self.write(clean(text) + "\n")
        self.flush()
