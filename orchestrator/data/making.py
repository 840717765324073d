"""Makes a folder of images, a folder per class, the same for everyone who makes it.

Each image gets its final name only when it is complete, so making can be interrupted and continued.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from orchestrator.data import manifest, packages, parallel, picture, sample, work
from orchestrator.data.manifest import Manifest
from orchestrator.data.pixels import VERSION, Maker, Recipe
from orchestrator.data.rows import Row
from orchestrator.data.tally import Tally
from orchestrator.data.watching import Watcher
from orchestrator.errors import RequestError

# With it an image of ImageNet's size takes about as many bytes as one of ImageNet.
QUALITY = 92
# So many images have their pixels in the manifest's digest, which no encoder changes.
_PROVEN = 16
# Of an image with strong noise.
_BYTES_PER_PIXEL = 0.75
_BLOCK = 4096


@dataclass(frozen=True)
class Order:
    """How many images of which recipe. Raises RequestError for a class without an image."""

    recipe: Recipe
    samples: int

    def __post_init__(self) -> None:
        if self.samples < self.recipe.classes:
            raise RequestError(
                f"{self.samples} samples are too few for {self.recipe.classes} classes",
                hint=f"use --samples {self.recipe.classes} or more, or --classes",
            )

    @property
    def identity(self) -> str:
        """Return a digest of what decides the images."""
        facts = ["images", VERSION, asdict(self.recipe), self.samples]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()

    def class_name(self, label: int) -> str:
        """Return the name of a class; sorted by name, the classes are in the order of numbers."""
        digits = max(3, len(str(self.recipe.classes - 1)))
        return f"class-{label:0{digits}}"

    def path(self, index: int) -> str:
        """Return the path of an image in the folder."""
        return f"{self.class_name(self.recipe.label(index))}/{index:08d}.jpg"


def make(order: Order, target: Path, watcher: Watcher, *, threads: int) -> Manifest:
    """Make the images, or those that are missing. Raises DataError, MachineError."""
    packages.need("data make", packages.NUMPY, packages.PILLOW)
    if (done := work.finished(target, order.identity)) is not None:
        watcher.note(f"{target} is complete already")
        return done
    with work.place(target, order.identity, watcher.note) as place:
        recipe = order.recipe
        size = int(recipe.width * recipe.height * _BYTES_PER_PIXEL) + _BLOCK
        place.check_space(order.samples * size)
        watcher.begin("made", order.samples)
        return work.finished(target, order.identity) or _make(order, place, watcher, threads)


def _make(order: Order, place: work.Place, watcher: Watcher, threads: int) -> Manifest:
    maker = Maker(order.recipe)
    for label in range(order.recipe.classes):
        (place.target / order.class_name(label)).mkdir(exist_ok=True)

    def one(index: int) -> bytes:
        data = _image(order, maker, place, index)
        digest, found = hashlib.sha256(data).digest(), picture.read(data)
        return Row(digest, 0, order.recipe.label(index), found).packed()

    rows = []
    for row in parallel.ordered(one, range(order.samples), threads):
        rows.append(row)
        watcher.advance()
    found = _manifest(order, rows, _proof(order, maker))
    manifest.write(found, place.target)
    return found


def _image(order: Order, maker: Maker, place: work.Place, index: int) -> bytes:
    """Return the bytes of an image, which is made if it is not there yet."""
    from PIL import Image

    path = place.target / order.path(index)
    if path.exists():
        return path.read_bytes()
    stream = io.BytesIO()
    Image.fromarray(maker.pixels(index)).save(stream, "JPEG", quality=QUALITY)
    aside = place.folder / path.name
    aside.write_bytes(stream.getvalue())
    aside.replace(path)
    return stream.getvalue()


def _proof(order: Order, maker: Maker) -> str:
    pixels = hashlib.sha256()
    for index in range(min(_PROVEN, order.samples)):
        pixels.update(maker.pixels(index).tobytes())
    return pixels.hexdigest()


def _manifest(order: Order, rows: Sequence[bytes], proof: str) -> Manifest:
    classes = order.recipe.classes
    tally = Tally(classes)
    for label in range(classes):
        for row in rows[label::classes]:
            tally.add(Row.unpacked(row))
    return Manifest.model_validate(
        {
            "format": "images",
            "classes": tuple(map(order.class_name, range(classes))),
            "encoder": sample.encoder(QUALITY),
            "conversion": order.identity,
            "pixels_digest": proof,
            **tally.facts(),
        }
    )
