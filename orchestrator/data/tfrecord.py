"""The frames of TFRecord: length, its checksum, data, its checksum.

`tensorflow/core/lib/io/record_writer.h`; the checksum is a masked CRC-32C.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import BinaryIO

HEADER = 12
FRAME = HEADER + 4
LENGTH = 8
_MASK = 0xA282EAD8
# A length beyond this is damage, whatever its checksum says.
LONGEST = 2**31
# Of a length, which is little endian: the bytes that are zero in all that occur.
UPPER = bytes(4)


class FrameError(ValueError):
    """A record is damaged; the message says how."""


def masked_crc(*parts: bytes) -> int:
    """Return the masked CRC-32C of bytes, which may be in parts."""
    import google_crc32c

    crc = 0
    for part in parts:
        crc = int(google_crc32c.extend(crc, part))
    return ((crc >> 15 | crc << 17) + _MASK) & 0xFFFFFFFF


def frame(record: Sequence[bytes]) -> list[bytes]:
    """Return a record, which is in parts, in its frame."""
    length = struct.pack("<Q", sum(map(len, record)))
    head, tail = struct.pack("<I", masked_crc(length)), struct.pack("<I", masked_crc(*record))
    return [length + head, *record, tail]


def read(stream: BinaryIO, *, verify: bool = True) -> Iterator[bytes]:
    """Yield the records of a file; `verify` checks their checksums. Raises FrameError."""
    while header := stream.read(HEADER):
        if len(header) < HEADER:
            raise FrameError("the file is cut off")
        (length,) = struct.unpack("<Q", header[:8])
        damaged = verify and struct.unpack("<I", header[8:])[0] != masked_crc(header[:8])
        if damaged or length > LONGEST:
            raise FrameError("the checksum of its length is wrong")
        record, tail = stream.read(length), stream.read(4)
        if len(record) < length or len(tail) < 4:
            raise FrameError("the file is cut off")
        if verify and struct.unpack("<I", tail)[0] != masked_crc(record):
            raise FrameError("the checksum of its data is wrong")
        yield record


def ends(length: bytes, left: int) -> bool:
    """Whether a record of this length, as it stands in the file, takes the `left` bytes of it."""
    return len(length) == LENGTH and left == FRAME + struct.unpack("<Q", length)[0]
