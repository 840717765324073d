"""Records of LMDB: Caffe's Datum.

Fields of `caffe.proto` (BVLC/caffe): 1 channels, 2 height, 3 width, 4 data, 5 label, 7 encoded.
Caffe2's ImageInput reads Datum too (`use_caffe_datum=1`), so one LMDB serves both.
"""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.data import protobuf
from orchestrator.data.protobuf import WireError


@dataclass(frozen=True)
class Datum:
    """An image with its label (from 0): encoded, or raw pixels (channels, height, width), BGR."""

    data: bytes
    label: int
    shape: tuple[int, int, int] | None = None


def encode(datum: Datum) -> list[bytes]:
    """Encode a Datum, in parts. An encoded image has no shape, as `convert_imageset` writes it."""
    sizes = enumerate(datum.shape or (), start=1)
    return [
        *(protobuf.integer(field, size) for field, size in sizes),
        protobuf.head(4, len(datum.data)),
        datum.data,
        protobuf.integer(5, datum.label),
        protobuf.integer(7, 1) if datum.shape is None else b"",
    ]


def decode(record: bytes) -> Datum:
    """Read a Datum. Raises WireError."""
    found = dict(protobuf.fields(record))
    data, label, encoded = found.get(4), found.get(5, 0), found.get(7, 0)
    if not isinstance(data, bytes) or not isinstance(label, int):
        raise WireError("it is not a Datum of Caffe")
    sizes = [found.get(field, 0) for field in (1, 2, 3)]
    channels, height, width = (size if isinstance(size, int) else 0 for size in sizes)
    shape = None if encoded else (channels, height, width)
    return Datum(data, protobuf.signed(label), shape)
