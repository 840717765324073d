"""tf.train.Example, the record of TFRecord files.

Keys are written in order, so the same sample always has the same bytes. Protobuf:
`tensorflow/core/example/{example,feature}.proto`.
"""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.data import protobuf
from orchestrator.data.protobuf import WireError

Feature = bytes | int | tuple[float, ...]
_BYTES_LIST, _FLOAT_LIST, _INT64_LIST = 1, 2, 3


def encode(features: Mapping[str, Feature]) -> bytes:
    """Encode an Example; a feature is one text, one integer, or a list of numbers."""
    return protobuf.data(
        1, b"".join(protobuf.data(1, _entry(key, features[key])) for key in sorted(features))
    )


def _entry(key: str, value: Feature) -> bytes:
    return protobuf.data(1, key.encode()) + protobuf.data(2, _feature(value))


def _feature(value: Feature) -> bytes:
    if isinstance(value, bytes):
        return protobuf.data(_BYTES_LIST, protobuf.data(1, value))
    if isinstance(value, int):
        return protobuf.data(_INT64_LIST, protobuf.data(1, protobuf.varint(value)))
    numbers = protobuf.data(1, protobuf.packed_floats(value)) if value else b""
    return protobuf.data(_FLOAT_LIST, numbers)


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
