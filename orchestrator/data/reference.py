"""What readers must find in a dataset: digests of its first samples, decoded with Pillow."""

from __future__ import annotations

import hashlib
import re
import tarfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from orchestrator.data import archives, datum, example, orders, packages, recordio, sample, tfrecord
from orchestrator.data import folder as folders
from orchestrator.data.layouts import LAYOUTS
from orchestrator.data.picture import BadPicture
from orchestrator.errors import DataError

# The order of a folder of images is that of `convert` without --shuffle and --sorted.
_SEED = 0


@dataclass(frozen=True, kw_only=True)
class Digests:
    """SHA-256 of labels (int32, little endian) and pixels (uint8, CHW, RGB) of `samples`."""

    samples: int
    labels: str
    pixels: str


def digests(folder: Path, kind: str, side: int, count: int) -> Digests:
    """Return the digests of the first samples: as stored, and again from the start at the end.

    Each is cropped at its centre to `side`. Raises DataError, MachineError.
    """
    packages.need("parity --data", packages.PILLOW, *_NEEDS.get(kind, ()))
    labels, pixels = hashlib.sha256(), hashlib.sha256()
    for label, data in islice(_endless(folder, kind), count):
        labels.update(label.to_bytes(4, "little"))
        pixels.update(_centre(folder, data, side))
    return Digests(samples=count, labels=labels.hexdigest(), pixels=pixels.hexdigest())


def _endless(folder: Path, kind: str) -> Iterator[tuple[int, bytes]]:
    while True:
        empty = True
        for one in _SAMPLES[kind](folder):
            yield one
            empty = False
        if empty:
            raise DataError(f"{folder} has no samples", hint="convert it again")


def _centre(folder: Path, data: bytes, side: int) -> bytes:
    try:
        image = sample.decoded(data).convert("RGB")
    except BadPicture as error:
        raise DataError(
            f"{folder} has a bad image: {error}", hint=f"run `benchdock data check {folder}`"
        ) from None
    if min(image.size) < side:
        width, height = image.size
        raise DataError(
            f"{folder} has an image of {width} x {height}, which is too small for {side} x {side}",
            hint=f"convert the images with --resize {side} or more",
        )
    left, top = ((size - side) // 2 for size in image.size)
    crop = image.crop((left, top, left + side, top + side))
    return b"".join(plane.tobytes() for plane in crop.split())


def _images(folder: Path) -> Iterator[tuple[int, bytes]]:
    found = folders.scan(folder)
    for number in orders.order(found.entries, _SEED):
        yield found.labels[number], sample.read(folder / found.entries[number].path)


def _tfrecord(folder: Path) -> Iterator[tuple[int, bytes]]:
    for path in _files(folder, r"(train|validation|val)-\d+-of-\d+"):
        with path.open("rb") as stream:
            for record in tfrecord.read(stream, verify=False):
                found = example.decode(record)
                label, data = found["image/class/label"], found["image/encoded"]
                if isinstance(label, int) and isinstance(data, bytes):
                    yield label - LAYOUTS["tfrecord"].label_base, data


def _recordio(folder: Path) -> Iterator[tuple[int, bytes]]:
    with _files(folder, r".*\.rec")[0].open("rb") as stream:
        for record in recordio.read(stream):
            image = recordio.unpack(record)
            yield int(image.labels[0]), image.data


def _lmdb(folder: Path) -> Iterator[tuple[int, bytes]]:
    import lmdb

    opened = lmdb.open(str(folder), readonly=True, lock=False)
    with opened as database, database.begin() as reader:
        for _, value in reader.cursor():
            found = datum.decode(value)
            yield found.label, found.data


def _webdataset(folder: Path) -> Iterator[tuple[int, bytes]]:
    for path in _files(folder, r".*\.tar"):
        with tarfile.open(path, "r:") as tar:
            for image, label in archives.pairs(tar):
                if isinstance(label, str):
                    raise DataError(f"{path}, {image.name}: {label}", hint="convert it again")
                yield int(archives.content(tar, label)), archives.content(tar, image)


def _files(folder: Path, pattern: str) -> list[Path]:
    """Return the files of one split: of training, if there are several."""
    found = sorted(path for path in folder.iterdir() if re.fullmatch(pattern, path.name))
    return [path for path in found if path.name.startswith("train")] or found


_SAMPLES: Mapping[str, Callable[[Path], Iterator[tuple[int, bytes]]]] = {
    "images": _images,
    "lmdb": _lmdb,
    "recordio": _recordio,
    "tfrecord": _tfrecord,
    "webdataset": _webdataset,
}
_NEEDS = {"lmdb": (packages.LMDB,)}
