"""Small datasets for tests."""

from __future__ import annotations

import io
from pathlib import Path

from orchestrator.data import making, recordio, tfrecord
from orchestrator.data.conversion import Job
from orchestrator.data.pixels import Recipe


class Silent:
    """A watcher that counts."""

    def __init__(self):
        self.done = 0
        self.notes = []

    def begin(self, what, total):
        self.done = 0

    def advance(self):
        self.done += 1

    def note(self, text):
        self.notes.append(text)


def made(
    folder: Path, samples: int = 23, classes: int = 4, *, side: int = 48, height: int = 36
) -> Path:
    """Make a folder of small images."""
    order = making.Order(Recipe(side, height, classes), samples)
    making.make(order, folder, Silent(), threads=2)
    return folder


def job(source: Path, target: Path, to: str, **wishes) -> Job:
    if to in ("tensors", "arrays"):
        wishes.setdefault("resize", 16)
    return Job(source=source, target=target, to=to, threads=2, **wishes)


def jpeg(width=40, height=32, mode="RGB", *, orientation=None, kind="JPEG"):
    """Return an encoded image with a gradient."""
    from PIL import Image

    image = Image.linear_gradient("L").resize((width, height)).convert(mode)
    stream = io.BytesIO()
    exif = Image.Exif()
    if orientation is not None:
        exif[0x0112] = orientation
    image.save(stream, kind, exif=exif)
    return stream.getvalue()


def in_recordio(record: bytes) -> bytes:
    """Return a record as it stands in a file of RecordIO."""
    return b"".join(recordio.frame(record))


def in_tfrecord(record: bytes) -> bytes:
    """Return a record as it stands in a file of TFRecord."""
    return b"".join(tfrecord.frame([record]))


def contents(folder: Path) -> dict[str, bytes]:
    """Return the files of a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
