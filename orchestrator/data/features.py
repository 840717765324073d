"""Makes sets of features for the networks that do not take photographs, as pairs of .npy files.

Integers only, as in `pixels`; a `float32` is an integer divided by a power of two, which is exact.
Each class has a pattern of its own below noise, so that a network can learn something. Utterances
have different lengths; the networks take a fixed one, so silence follows, and a third file says how
many frames each one has.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from backends.zoo import draw
from orchestrator.data import finishing, manifest, packages, parallel, work
from orchestrator.data.manifest import Manifest
from orchestrator.data.watching import Watcher

VERSION = 1
_FILE_BYTES = 64 * 2**20
# The shortest utterance is a third of the longest one, so that its labels still fit.
_SHORTEST = 3
# As many as synthetic samples have.
_LABELS = 16
_UNIT = 64


@dataclass(frozen=True)
class Order:
    """How many samples for which network."""

    model: str
    samples: int
    seed: int = 0

    @property
    def identity(self) -> str:
        """Return a digest of what decides the samples."""
        facts = json.dumps(["features", VERSION, asdict(self)])
        return hashlib.sha256(facts.encode()).hexdigest()

    def numbers(self, *words: object, size: int) -> Any:
        """Return integers from 0 to 255 that depend on network, seed and these words only."""
        import numpy as np

        text = "\0".join(map(str, ("benchdock", VERSION, self.model, self.seed, *words)))
        values = hashlib.shake_256(text.encode()).digest(size)
        return np.frombuffer(values, np.uint8).astype(np.int32)

    def label(self, index: int, position: int, classes: int) -> int:
        """Return a class, from 0."""
        wide = self.numbers("label", index, position, size=4)
        return int.from_bytes(bytes(map(int, wide)), "big") % classes


@dataclass(frozen=True)
class Sample:
    """A sample: its values, its label or labels, and how many frames are not silence."""

    x: Any
    y: Any
    frames: int | None = None


def _vector(order: Order, index: int, shape: tuple[int, ...], classes: int) -> Sample:
    import numpy as np

    label = order.label(index, 0, classes)
    pattern = order.numbers("pattern", label, size=shape[0])
    noise = order.numbers("noise", index, size=shape[0])
    return Sample(((pattern + noise - 255) / np.float32(_UNIT)).astype(np.float32), label)


def _digit(order: Order, index: int, shape: tuple[int, ...], classes: int) -> Sample:
    """Return strokes on a black ground, as in MNIST: coarse blocks, with a free margin."""
    import numpy as np

    label, side = order.label(index, 0, classes), shape[-1]
    blocks = order.numbers("pattern", label, size=25).reshape(5, 5) > 128
    strokes = np.pad(np.kron(blocks, np.ones((4, 4), np.int32)), (side - 20) // 2)
    noise = order.numbers("noise", index, size=side * side).reshape(side, side)
    return Sample((strokes * (128 + noise // 2)).astype(np.uint8)[None], label)


def _utterance(order: Order, index: int, shape: tuple[int, ...], classes: int) -> Sample:
    """Return a spectrogram in which each label has its part; 0 is the blank and does not occur."""
    import numpy as np

    _, longest, bands = shape
    shortest = longest // _SHORTEST
    frames = shortest + order.label(index, _LABELS, longest - shortest + 1)
    labels = [1 + order.label(index, position, classes - 1) for position in range(_LABELS)]
    patterns = np.stack([order.numbers("pattern", one, size=bands) for one in labels])
    values = np.zeros(shape, np.float32)
    noise = order.numbers("noise", index, size=frames * bands).reshape(frames, bands)
    spoken = patterns[np.arange(frames) * _LABELS // frames] + noise - 255
    values[0, :frames] = spoken / np.float32(_UNIT)
    return Sample(values, np.array(labels), frames)


_MAKERS: Mapping[str, Callable[[Order, int, tuple[int, ...], int], Sample]] = {
    "acoustic_model": _vector,
    "deep_mnist": _digit,
    "deep_speech2": _utterance,
}
MODELS = tuple(_MAKERS)


def make(order: Order, target: Path, watcher: Watcher, *, threads: int) -> Manifest:
    """Make the samples, or those that are missing. Raises DataError, MachineError."""
    packages.need("data make", packages.NUMPY)
    if (done := work.finished(target, order.identity)) is not None:
        watcher.note(f"{target} is complete already")
        return done
    graph = draw(order.model)
    size = 4
    for length in graph.input_shape:
        size *= length
    with work.place(target, order.identity, watcher.note) as place:
        place.check_space(order.samples * size)
        watcher.begin("made", order.samples)
        per_file = max(1, _FILE_BYTES // size)
        files: list[Path] = []
        for start in range(0, order.samples, per_file):
            numbers = range(start, min(start + per_file, order.samples))
            files += _file(order, graph, place, numbers, watcher, threads)
        found = _manifest(order, files)
        manifest.write(found, target)
    return found


def _file(
    order: Order, graph: Any, place: work.Place, numbers: range, watcher: Watcher, threads: int
) -> list[Path]:
    """Write the samples of one pair of files, unless it is there; return its files."""
    import numpy as np

    stem = f"part-{numbers.start:08d}"
    names = ["x", "y", *(["frames"] if graph.kind == "speech" else [])]
    paths = [place.target / f"{stem}_{name}.npy" for name in names]
    if all(path.exists() for path in paths):
        for _ in numbers:
            watcher.advance()
        return paths

    def one(index: int) -> Sample:
        return _MAKERS[order.model](order, index, graph.input_shape, graph.classes)

    found = []
    for sample in parallel.ordered(one, numbers, threads):
        found.append(sample)
        watcher.advance()
    arrays = {
        "x": np.stack([sample.x for sample in found]),
        "y": np.array([sample.y for sample in found], np.int64),
        "frames": np.array([sample.frames for sample in found]),
    }
    for name, path in zip(names, paths, strict=True):
        with (place.folder / path.name).open("wb") as stream:
            np.save(stream, arrays[name])
        (place.folder / path.name).replace(path)
    return paths


def _digests(files: list[Path]) -> Iterator[tuple[str, bytes]]:
    """Yield labels and digest of each sample."""
    import numpy as np

    for path in files:
        if path.name.endswith("_x.npy"):
            labels = np.load(path.with_name(path.name.replace("_x.npy", "_y.npy")))
            for x, y in zip(np.load(path, mmap_mode="r"), labels, strict=True):
                yield " ".join(map(str, np.atleast_1d(y))), hashlib.sha256(x.tobytes()).digest()


def _manifest(order: Order, files: list[Path]) -> Manifest:
    samples, count = hashlib.sha256(), 0
    for count, (label, digest) in enumerate(_digests(files), start=1):
        samples.update(f"{count - 1:08d}\0{label}\0{digest.hex()}\n".encode())
    return Manifest.model_validate(
        {
            "format": "features",
            "model": order.model,
            "samples": count,
            "conversion": order.identity,
            "samples_digest": samples.hexdigest(),
            "files": tuple(
                manifest.File(
                    name=path.name, bytes=path.stat().st_size, sha256=finishing.digest(path)
                )
                for path in files
            ),
        }
    )
