"""What is wrong with a dataset, and the checks of a single image that all formats share."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from orchestrator.data import sample
from orchestrator.data.picture import BadPicture, Picture
from orchestrator.data.tally import SamplesDigest
from orchestrator.data.wanted import Wanted


@dataclass(frozen=True)
class Fault:
    """Something that would stop a run or falsify its figure: where, what, and what to do."""

    where: str
    what: str
    hint: str = ""

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}"
        return f"{text}; {self.hint}" if self.hint else text


@dataclass
class Check:
    """A check that goes on: what is wanted, how thorough it is, and what it has seen.

    light: only what takes no time. decode: decode each image. advance: called for each sample.
    first: the number of the first class in the files. listed: the manifest lists the files.
    digest: of the samples in files of records, if it is compared with that of the manifest.
    """

    wanted: Wanted
    light: bool = False
    decode: bool = False
    threads: int = 1
    advance: Callable[[], None] = lambda: None
    first: int = 0
    listed: bool = False
    digest: SamplesDigest | None = None
    samples: int = 0
    labels: Counter[int] = field(default_factory=Counter)
    unusual: Counter[str] = field(default_factory=Counter)

    def examine(self, data: bytes) -> Picture | BadPicture:
        """Return what an image is, or what is wrong with it. It may run in any thread."""
        try:
            return sample.examine(data, decode=self.decode)
        except BadPicture as error:
            return error

    def image(self, where: str, data: bytes, label: int | None) -> Iterator[Fault]:
        """Check an encoded image and its label as the files have it; yield what is wrong."""
        if self.digest is not None and label is not None:
            self.digest.add(label - self.first, hashlib.sha256(data).digest())
        return self.judge(where, self.examine(data), label)

    def judge(self, where: str, found: Picture | BadPicture, label: int | None) -> Iterator[Fault]:
        """Count an image and yield what is wrong with it."""
        self.samples += 1
        self.advance()
        if label is not None:
            yield from self.label(where, label)
        if isinstance(found, BadPicture):
            yield Fault(where, str(found), "remove or replace it")
            return
        self.unusual.update(found.unusual)
        if found.kind == "png" and self.wanted.reader is not None and not self.wanted.reader.png:
            png = f"it is a PNG, and {self.wanted.program} reads only JPEG"
            yield Fault(where, png, "save it as a JPEG")
        side = self.wanted.side
        if side is not None and min(found.width, found.height) < side:
            size = (
                f"it is {found.width} x {found.height}, {self.wanted.model} takes {side} x {side}"
            )
            yield Fault(where, size, f"convert the images with --resize {side} or more")
        if found.turned is not None:
            turned = "its EXIF orientation is not 1, so some programs turn it and others do not"
            yield Fault(where, turned, "convert the images with `benchdock data convert`")

    def label(self, where: str, label: int) -> Iterator[Fault]:
        """Count a label and check its range."""
        self.labels[label] += 1
        classes = self.wanted.classes
        last = self.first + classes - 1 if classes is not None else label
        if not self.first <= label <= last:
            text = f"its label is {label}"
            bounds = f"{self.first} to {last}" if classes is not None else f"{self.first} or more"
            model = f", {self.wanted.model} has" if classes is not None else ", labels are"
            yield Fault(where, f"{text}{model} {bounds}")

    def gaps(self, where: str) -> Iterator[Fault]:
        """Yield a fault if a class before the last one has no sample."""
        if not self.labels:
            return
        empty = [label for label in range(self.first, max(self.labels)) if not self.labels[label]]
        if empty:
            several = f" (and {len(empty) - 1} more)" if len(empty) > 1 else ""
            yield Fault(where, f"the class {empty[0]} has no sample{several}")
