"""The formats that `convert` writes: names of files, first label, records and indexes.

The programs that read each format set these: tf_cnn_benchmarks and nvcnn want `train-*-of-*` with
labels from 1, MXNet's scripts `train.rec` with `train.idx`, Caffe a folder with `data.mdb`.
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from orchestrator.data import datum, example, recordio, tfrecord
from orchestrator.data.manifest import Split
from orchestrator.data.sample import Prepared

# Keys of LMDB are 511 bytes at most, as Debian and PyPI build it.
LONGEST_KEY = 511
INDEX_FOLDER = "dali-index"
_BOXES = tuple(f"image/object/bbox/{corner}" for corner in ("xmin", "ymin", "xmax", "ymax"))
_BLOCK = 512
# In the header of a tar member: where the name, the size and the checksum are, and how long.
_NAME, _SIZE, _CHECKSUM = (0, 100), (124, 12), (148, 8)


@dataclass(frozen=True, slots=True)
class Sample:
    """A sample at its place in the order: `label` is from 0, `digest` the SHA-256 of its data."""

    number: int
    label: int
    path: str
    class_name: str
    stored: Prepared
    digest: bytes


@dataclass(frozen=True, kw_only=True)
class Naming:
    """What names of files depend on: `count` is the number of samples of the shard."""

    split: Split
    shard: int
    shards: int
    count: int

    @property
    def short(self) -> str:
        """Return the split as MXNet's scripts call it."""
        return "train" if self.split == "train" else "val"


@dataclass(frozen=True, kw_only=True)
class Layout:
    """A format. `overhead` is about how many bytes a sample takes beside its data.

    record: the bytes of a sample in a shard, in parts, so that images are not copied.
    head, tail: what comes before and after all samples of a shard, of which the number and the side
    of an image are known.
    shards: whether there may be several. pixels: whether it holds decoded images of one size.
    """

    title: str
    file: Callable[[Naming], str]
    record: Callable[[Sample], Sequence[bytes]]
    label_base: int = 0
    overhead: int = 200
    shards: bool = True
    pixels: bool = False
    head: Callable[[int, int], bytes] = lambda _count, _side: b""
    tail: Callable[[], bytes] = lambda: b""


def lmdb_key(number: int, path: str) -> bytes:
    """Return a key: eight digits are the order, as in Caffe's `convert_imageset`."""
    return f"{number:08d}_".encode() + os.fsencode(path)


def _datum(sample: Sample) -> Sequence[bytes]:
    return datum.encode(datum.Datum(sample.stored.data, sample.label))


def _recordio(sample: Sample) -> Sequence[bytes]:
    image = recordio.Image(sample.stored.data, (float(sample.label),), sample.number)
    return recordio.frame(*recordio.pack(image))


def _tfrecord(sample: Sample) -> Sequence[bytes]:
    """Return an Example with the features of ImageNet's usual conversion, without boxes."""
    found = sample.stored.picture
    name = sample.class_name.encode("utf-8", "surrogateescape")
    features: dict[str, example.Feature] = {
        "image/encoded": sample.stored.data,
        "image/class/label": sample.label + 1,
        "image/class/synset": name,
        "image/class/text": name,
        "image/filename": os.fsencode(sample.path),
        "image/format": b"PNG" if found.kind == "png" else b"JPEG",
        "image/height": found.height,
        "image/width": found.width,
        "image/channels": 3,
        "image/colorspace": b"RGB",
        **dict.fromkeys(_BOXES, ()),
    }
    return tfrecord.frame(example.encode(features))


def _webdataset(sample: Sample) -> Sequence[bytes]:
    ending = "png" if sample.stored.picture.kind == "png" else "jpg"
    name = f"{sample.number:08d}"
    label = str(sample.label).encode()
    return *_member(f"{name}.{ending}", sample.stored.data), *_member(f"{name}.cls", label)


def _member(name: str, data: bytes) -> tuple[bytes, bytes, bytes]:
    """Return a file in a tar: what `tarfile` writes of it, in a third of the time."""
    header = _blank_header()[:]
    _put(header, _NAME, name.encode())
    _put(header, _SIZE, b"%011o" % len(data))
    _put(header, _CHECKSUM, b"%06o\0" % sum(header))
    return bytes(header), data, bytes(-len(data) % _BLOCK)


def _put(header: bytearray, field: tuple[int, int], value: bytes) -> None:
    start, length = field
    assert len(value) <= length
    header[start : start + len(value)] = value


@cache
def _blank_header() -> bytearray:
    """Return the header of an empty file without a name; blanks stand for the checksum."""
    header = bytearray(tarfile.TarInfo().tobuf(tarfile.USTAR_FORMAT))
    _put(header, _CHECKSUM, b" " * _CHECKSUM[1])
    return header


def _array_head(count: int, side: int) -> bytes:
    """Return the head of an .npy file of images, the same in every version of NumPy."""
    shape = f"({count}, 3, {side}, {side})"
    text = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}"
    room = -(10 + len(text) + 1) % 64
    head = f"{text}{' ' * room}\n".encode()
    return b"\x93NUMPY\x01\0" + len(head).to_bytes(2, "little") + head


LAYOUTS: Mapping[str, Layout] = {
    "lmdb": Layout(
        title="LMDB of Datum (Caffe, Caffe2)",
        file=lambda _: "data.mdb",
        record=_datum,
        overhead=4096,  # a value fills whole pages
        shards=False,
    ),
    "recordio": Layout(
        title="RecordIO (MXNet)",
        file=lambda naming: f"{naming.short}.rec",
        record=_recordio,
        shards=False,
    ),
    "tfrecord": Layout(
        title="TFRecord (TensorFlow, DALI)",
        file=lambda one: f"{one.split}-{one.shard:05d}-of-{one.shards:05d}",
        record=_tfrecord,
        label_base=1,
        overhead=600,
    ),
    "webdataset": Layout(
        title="WebDataset (PyTorch)",
        file=lambda one: f"{one.short}-{one.shard:06d}.tar",
        record=_webdataset,
        overhead=2560,
        tail=lambda: bytes(2 * _BLOCK),
    ),
    "tensors": Layout(
        title="tensors (DLBS)",
        file=lambda one: f"images-{one.shard:05d}-{one.count}.tensors",
        record=lambda sample: (sample.stored.data,),
        overhead=0,
        pixels=True,
    ),
    "arrays": Layout(
        title="NumPy arrays (benchdock's own programs)",
        file=lambda one: f"{one.split}-{one.shard:05d}_x.npy",
        record=lambda sample: (sample.stored.data,),
        overhead=8,
        pixels=True,
        head=_array_head,
    ),
}
