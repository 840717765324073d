"""`make bench-data` measures conversions; exit status 1 if a limit is missed.

CPU seconds of `benchdock data convert` and of the bare loop that a person would write for the
format, with its library, in turn. Both start from the folder and write the same records.
"""

from __future__ import annotations

import hashlib
import io
import os
import random
import struct
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import google_crc32c
import lmdb
import numpy as np
from PIL import Image

from orchestrator.data import checking, converting, making, wanted
from orchestrator.data.conversion import Job
from orchestrator.data.pixels import Recipe
from orchestrator.machine import inventory
from tests.bench.pairs import in_turn, report
from tests.support.datasets import Silent

SAMPLES, CLASSES, SHARDS = 1000, 20, 8
PER_SHARD = -(-SAMPLES // SHARDS)
MAGIC = 0xCED7230A
ROUNDS = {True: 5, False: 9}
# With decoding, or without: then the digest of the samples takes as long as a copy.
LEAST = {True: 0.8, False: 0.45}
LEAST_OF_DIGEST = 0.65


@dataclass(frozen=True, kw_only=True)
class Loop:
    """What a bare loop does beside copying: decode each image, keep the digest of the samples."""

    images: Path
    target: Path
    decode: bool
    digest: bool

    def samples(self) -> Iterator[tuple[int, int, str, bytes]]:
        """Yield number, label, path and bytes of each image, shuffled."""
        listed = []
        classes = sorted(entry.name for entry in os.scandir(self.images) if entry.is_dir())
        for label, name in enumerate(classes):
            for file in sorted(os.listdir(self.images / name)):
                listed.append((label, f"{name}/{file}"))
        random.Random(0).shuffle(listed)
        digest = hashlib.sha256()
        for number, (label, path) in enumerate(listed):
            with open(f"{self.images}/{path}", "rb") as stream:
                data = stream.read()
            if self.decode:
                Image.open(io.BytesIO(data)).load()
            if self.digest:
                one = hashlib.sha256(data).hexdigest()
                digest.update(f"{number:08d}\0{label}\0{one}\n".encode())
            yield number, label, path, data


def varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def field(number: int, data: bytes) -> bytes:
    return bytes([number << 3 | 2]) + varint(len(data)) + data


def to_lmdb(loop: Loop) -> None:
    database = lmdb.open(str(loop.target), map_size=2**40, lock=False)
    writer = database.begin(write=True)
    for number, label, path, data in loop.samples():
        datum = b"".join((b"\x22", varint(len(data)), data, b"\x28", varint(label), b"\x38\x01"))
        writer.put(f"{number:08d}_{path}".encode(), datum, append=True)
        if number % 1000 == 999:
            writer.commit()
            writer = database.begin(write=True)
    writer.commit()
    database.close()


def to_recordio(loop: Loop) -> None:
    magic, offset = struct.pack("<I", MAGIC), 0
    loop.target.mkdir()
    with (
        (loop.target / "train.rec").open("wb") as file,
        (loop.target / "train.idx").open("w") as index,
        (loop.target / "train.lst").open("w") as listing,
    ):
        for number, label, path, data in loop.samples():
            words = np.frombuffer(data, "<u4", len(data) // 4)
            assert not (words == MAGIC).any(), "this loop writes whole records only"
            head = struct.pack("<IIfQQ", 24 + len(data), 0, label, number, 0)
            record = b"".join((magic, head, data, bytes(-len(data) % 4)))
            file.write(record)
            index.write(f"{number}\t{offset}\n")
            listing.write(f"{number}\t{label:.6f}\t{path}\n")
            offset += len(record)


def masked(data: bytes) -> bytes:
    crc = google_crc32c.value(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def feature(key: bytes, kind: int, values: bytes) -> bytes:
    return field(1, field(1, key) + field(2, field(kind, values)))


SAME = tuple(
    feature(b"image/" + key, kind, values)
    for key, kind, values in (
        (b"channels", 3, b"\x0a\x01\x03"),
        (b"colorspace", 1, field(1, b"RGB")),
        (b"format", 1, field(1, b"JPEG")),
    )
)
BOXES = b"".join(
    feature(b"image/object/bbox/" + box, 2, b"") for box in (b"xmax", b"xmin", b"ymax", b"ymin")
)


def example(label: int, path: str, data: bytes) -> bytes:
    """Encode an Example; features that are the same for all images were encoded before."""
    channels, colours, kind = SAME
    at = data.index(b"\xff\xc0")
    height, width = struct.unpack(">HH", data[at + 5 : at + 9])
    synset = field(1, path.partition("/")[0].encode())
    features = (
        channels,
        feature(b"image/class/label", 3, field(1, varint(label + 1))),
        feature(b"image/class/synset", 1, synset),
        feature(b"image/class/text", 1, synset),
        colours,
        feature(b"image/encoded", 1, field(1, data)),
        feature(b"image/filename", 1, field(1, path.encode())),
        kind,
        feature(b"image/height", 3, field(1, varint(height))),
        BOXES,
        feature(b"image/width", 3, field(1, varint(width))),
    )
    return field(1, b"".join(features))


def to_tfrecord(loop: Loop) -> None:
    (loop.target / "dali-index").mkdir(parents=True)
    samples = loop.samples()
    for shard in range(SHARDS):
        name = f"train-{shard:05d}-of-{SHARDS:05d}"
        offset = 0
        with (
            (loop.target / name).open("wb") as file,
            (loop.target / "dali-index" / f"{name}.idx").open("w") as index,
        ):
            for _, label, path, data in islice(samples, PER_SHARD):
                record = example(label, path, data)
                head = struct.pack("<Q", len(record))
                file.write(b"".join((head, masked(head), record, masked(record))))
                index.write(f"{offset} {len(record) + 16}\n")
                offset += len(record) + 16


def to_webdataset(loop: Loop) -> None:
    loop.target.mkdir()
    samples = loop.samples()
    for shard in range(SHARDS):
        name = loop.target / f"train-{shard:06d}.tar"
        with tarfile.open(name, "w", format=tarfile.USTAR_FORMAT) as tar:
            for number, label, _, data in islice(samples, PER_SHARD):
                for ending, content in (("jpg", data), ("cls", str(label).encode())):
                    info = tarfile.TarInfo(f"{number:08d}.{ending}")
                    info.size = len(content)
                    tar.addfile(info, io.BytesIO(content))


LOOPS: dict[str, Callable[[Loop], None]] = {
    "lmdb": to_lmdb,
    "recordio": to_recordio,
    "tfrecord": to_tfrecord,
    "webdataset": to_webdataset,
}


def empty(folder: Path) -> None:
    """Remove what the last turn wrote, in a process of its own: its time is not ours."""
    subprocess.run(["rm", "-rf", folder], check=True)


def check(folder: Path) -> None:
    """Insist that what a loop wrote is whole."""
    found = checking.check(folder, wanted.named(None, None))
    assert (found.samples, found.faults) == (SAMPLES, ()), found


def measure(images: Path, to: str, *, decode: bool, digest: bool) -> float:
    """Return CPU seconds of the bare loop / those of a conversion."""
    ours, bare = (images.parent / f"{to}-{name}" for name in ("ours", "bare"))
    loop = Loop(images=images, target=bare, decode=decode, digest=digest)
    job = Job(source=images, target=ours, to=to, decode=decode, threads=inventory.usable_cpus())

    def convert() -> None:
        empty(ours)
        converting.convert(job, Silent())

    def by_hand() -> None:
        empty(bare)
        LOOPS[to](loop)

    pair = in_turn(convert, by_hand, ROUNDS[decode], time.process_time)
    check(bare)
    mine, theirs = (1e6 * seconds / SAMPLES for seconds in pair.medians)
    print(f"      {to}: {mine:.0f} us per image, by hand {theirs:.0f}")
    return 1 / pair.ratio


def main() -> int:
    """Measure the formats named on the command line, else all."""
    kept = True
    with tempfile.TemporaryDirectory() as folder:
        images = Path(folder, "images")
        order = making.Order(Recipe(500, 375, CLASSES), SAMPLES)
        making.make(order, images, Silent(), threads=inventory.usable_cpus())
        for to in sys.argv[1:] or LOOPS:
            ratio = measure(images, to, decode=True, digest=False)
            kept &= report(
                f"{to}: bare loop that decodes / ours", ratio, LEAST[True], "x", at_least=True
            )
            ratio = measure(images, to, decode=False, digest=False)
            kept &= report(f"{to}: bare copy / --trust", ratio, LEAST[False], "x", at_least=True)
            ratio = measure(images, to, decode=False, digest=True)
            name = f"{to}: copy with the samples' digest / --trust"
            kept &= report(name, ratio, LEAST_OF_DIGEST, "x", at_least=True)
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
