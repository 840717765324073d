"""Reads a log as UTF-8 text, whatever its encoding: gzip and UTF-16 are decoded on the way."""

from __future__ import annotations

import codecs
import gzip
import zlib
from collections.abc import Iterator
from itertools import chain
from typing import BinaryIO, cast

from orchestrator.errors import RequestError

BLOCK = 1 << 20
_HEAD = 1 << 12  # bytes that show how a log without a byte order mark is encoded

_GZIP = b"\x1f\x8b"
# How other compressed files start, and the command that prints their contents.
_COMPRESSED = (
    (b"\x28\xb5\x2f\xfd", "with zstd", "zstd -dc"),
    (b"\xfd7zXZ\x00", "with xz", "xz -dc"),
    (b"BZh", "with bzip2", "bzip2 -dc"),
    (b"\x04\x22\x4d\x18", "with lz4", "lz4 -dc"),
    (b"\x1f\x9d", "with compress", "zcat"),
    (b"PK\x03\x04", "as a zip archive", "unzip -p"),
)
_TAR = b"ustar"  # at byte 257 of an archive
_TAR_PLACE = 257
# Longer marks first: that of UTF-32 starts like that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def text_blocks(stream: BinaryIO, name: str) -> Iterator[bytes]:
    """Yield a log's text in UTF-8, in blocks of about 1 MiB; plain text is unchanged.

    `name` is what the user typed for the log, `-` for standard input. Raises RequestError for an
    archive, a file with a compression other than gzip, or a gzip file that is damaged or cut off.
    """
    blocks = _read(stream)
    first = next(blocks, b"")
    if first.startswith(_GZIP):
        blocks = _unzipped(chain([first], blocks), name)
        first = next(blocks, b"")
    _refuse(first, name)
    return _decoded(first, blocks)


def _read(stream: BinaryIO) -> Iterator[bytes]:
    while block := stream.read(BLOCK):
        yield block


class _Joined:
    """A readable file made of blocks, one after the other."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._left = b""

    def read(self, size: int) -> bytes:
        """Return at most `size` bytes, none at the end."""
        self._left = self._left or next(self._blocks, b"")
        part, self._left = self._left[:size], self._left[size:]
        return part


def _unzipped(blocks: Iterator[bytes], name: str) -> Iterator[bytes]:
    """Yield the contents of a gzip file, with all its members."""
    done = 0
    command = f"run `zcat {name} | benchdock parse PROGRAM -` to read what is there"
    hint = f"copy it again; {command}" if name != "-" else "send it again"
    try:
        with gzip.GzipFile(fileobj=cast("BinaryIO", _Joined(blocks))) as file:
            while block := file.read(BLOCK):
                yield block
                done += len(block)
    except EOFError:
        raise RequestError(
            f"the gzip file {name!r} is cut off after {done:,} bytes of text", hint=hint
        ) from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise RequestError(
            f"the gzip file {name!r} is damaged after {done:,} bytes of text: {error}", hint=hint
        ) from None


def _refuse(first: bytes, name: str) -> None:
    for magic, how, command in _COMPRESSED:
        if first.startswith(magic):
            raise _packed(name, f"is compressed {how}", command)
    if first[_TAR_PLACE : _TAR_PLACE + len(_TAR)] == _TAR:
        raise _packed(name, "is a tar archive", "tar -xOf")


def _packed(name: str, what: str, command: str) -> RequestError:
    shown = "FILE" if name == "-" else name
    return RequestError(
        f"the log {name!r} {what}",
        hint=f"run `{command} {shown} | benchdock parse PROGRAM -` to read it",
    )


def _decoded(first: bytes, blocks: Iterator[bytes]) -> Iterator[bytes]:
    mark, encoding = _encoding(first)
    first = first[len(mark) :]
    if encoding == "utf-8":
        yield from filter(None, chain([first], blocks))
        return
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    for block in chain([first], blocks):
        if text := decoder.decode(block):
            yield text.encode("utf-8", "replace")
    if text := decoder.decode(b"", final=True):
        yield text.encode("utf-8", "replace")


def _encoding(first: bytes) -> tuple[bytes, str]:
    """Return the byte order mark, if there is one, and the encoding."""
    for mark, encoding in _MARKS:
        if first.startswith(mark):
            return mark, encoding
    # Without a mark UTF-16 is recognized by its zeros: English text has one in every character.
    head = first[:_HEAD]
    even, odd = head[::2], head[1::2]
    if len(odd) >= 8:
        if odd.count(0) > len(odd) * 3 // 4 and even.count(0) < len(even) // 8:
            return b"", "utf-16-le"
        if even.count(0) > len(even) * 3 // 4 and odd.count(0) < len(odd) // 8:
            return b"", "utf-16-be"
    return b"", "utf-8"
