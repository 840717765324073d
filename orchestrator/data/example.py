"""tf.train.Example, the record of TFRecord files.

Keys are written in order, so the same sample always has the same bytes. Protobuf:
`tensorflow/core/example/{example,feature}.proto`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from orchestrator.data import protobuf
from orchestrator.data.protobuf import WireError

Feature = bytes | int | tuple[float, ...]
_BYTES_LIST, _FLOAT_LIST, _INT64_LIST = 1, 2, 3
# A longer value is an image: it is not copied, and the next one is another.
_SHORT = 4096
# Most short features are those of every image, or of every image of a class.
_REMEMBERED = 8192


def encode(features: Mapping[str, Feature]) -> list[bytes]:
    """Encode an Example, in parts; a feature is one text, one integer, or a list of numbers."""
    parts: list[bytes] = []
    short: list[bytes] = []
    for key in sorted(features):
        value = features[key]
        if isinstance(value, bytes) and len(value) > _SHORT:
            short.append(_before(key, _BYTES_LIST, protobuf.head(1, len(value)), len(value)))
            parts += (b"".join(short), value)
            short.clear()
        else:
            short.append(_entry(key, value))
    parts.append(b"".join(short))
    return [protobuf.head(1, sum(map(len, parts))), *parts]


@lru_cache(maxsize=_REMEMBERED)
def _entry(key: str, value: Feature) -> bytes:
    if isinstance(value, bytes):
        kind, numbers = _BYTES_LIST, protobuf.data(1, value)
    elif isinstance(value, int):
        kind, numbers = _INT64_LIST, protobuf.data(1, protobuf.varint(value))
    else:
        kind = _FLOAT_LIST
        numbers = protobuf.data(1, protobuf.packed_floats(value)) if value else b""
    return _before(key, kind, numbers, 0)


def _before(key: str, kind: int, start: bytes, left: int) -> bytes:
    """Return the entry of a feature up to the last `left` bytes of its list, which `start` begins.

    An entry is a key (1) and a feature (2), which is a list of some kind.
    """
    feature = protobuf.head(kind, len(start) + left) + start
    entry = protobuf.data(1, key.encode()) + protobuf.head(2, len(feature) + left) + feature
    return protobuf.head(1, len(entry) + left) + entry


def decode(record: bytes) -> dict[str, bytes | int]:
    """Read the first value of each text and integer feature. Raises WireError."""
    found: dict[str, bytes | int] = {}
    for number, features in protobuf.fields(record):
        if number != 1 or not isinstance(features, bytes):
            raise WireError("it is not a tf.train.Example")
        for _, entry in protobuf.fields(features):
            parts = dict(protobuf.fields(entry if isinstance(entry, bytes) else b""))
            key, feature = parts.get(1), parts.get(2, b"")
            if not isinstance(key, bytes) or not isinstance(feature, bytes):
                raise WireError("it is not a tf.train.Example")
            value = _first(feature)
            if value is not None:
                found[key.decode("utf-8", "replace")] = value
    return found


def _first(feature: bytes) -> bytes | int | None:
    for kind, values in protobuf.fields(feature):
        if kind not in (_BYTES_LIST, _INT64_LIST) or not isinstance(values, bytes):
            continue
        for _, value in protobuf.fields(values):
            if kind == _BYTES_LIST and isinstance(value, bytes):
                return value
            if kind == _INT64_LIST:  # packed, or one by one as old writers do
                number = value if isinstance(value, int) else protobuf.read_varint(value, 0)[0]
                return protobuf.signed(number)
    return None
