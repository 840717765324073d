"""The wire format of protocol buffers, as much as the records of datasets need.

https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_LONGEST_VARINT = 10


class WireError(ValueError):
    """Bytes are not a valid message; the message says why."""


def varint(value: int) -> bytes:
    """Encode an integer; a negative one as 64 bits, as int32 and int64 do."""
    if 0 <= value <= 0x7F:
        return bytes((value,))
    value &= 2**64 - 1
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def integer(field: int, value: int) -> bytes:
    """Encode a field that is an integer or a boolean."""
    return varint(field << 3 | VARINT) + varint(value)


def head(field: int, length: int) -> bytes:
    """Encode what comes before the bytes of a field that is bytes, text or a message."""
    return varint(field << 3 | BYTES) + varint(length)


def data(field: int, value: bytes) -> bytes:
    """Encode a field that is bytes, text, a message or packed numbers."""
    return head(field, len(value)) + value


def read_varint(message: bytes, at: int) -> tuple[int, int]:
    """Return the value at a position and the position after it. Raises WireError."""
    value = 0
    for index in range(_LONGEST_VARINT):
        if at + index >= len(message):
            raise WireError("it ends within a number")
        byte = message[at + index]
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return value & 2**64 - 1, at + index + 1
    raise WireError("a number is too long")


def signed(value: int) -> int:
    """Return the integer that 64 bits stand for."""
    return value - 2**64 if value >= 2**63 else value


def fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield number and value of each field. Raises WireError."""
    at = 0
    while at < len(message):
        key, at = read_varint(message, at)
        number, kind = key >> 3, key & 7
        if kind == VARINT:
            value, at = read_varint(message, at)
            yield number, value
            continue
        length = {FIXED64: 8, FIXED32: 4}.get(kind)
        if kind == BYTES:
            length, at = read_varint(message, at)
        if length is None or number == 0:
            raise WireError(f"field {number} has the unknown type {kind}")
        if at + length > len(message):
            raise WireError(f"field {number} is cut off")
        yield number, message[at : at + length]
        at += length


def packed_floats(values: tuple[float, ...]) -> bytes:
    """Encode packed 32-bit floating-point numbers."""
    return struct.pack(f"<{len(values)}f", *values)
