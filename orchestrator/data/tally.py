"""Counts what a manifest says about the samples of a dataset."""

from __future__ import annotations

import hashlib
from collections import Counter

from orchestrator.data.picture import COLOURS
from orchestrator.data.rows import Row


class SamplesDigest:
    """SHA-256 over `number NUL label NUL sha256 LF` of samples in order, labels from 0."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self.count = 0

    def add(self, label: int, sha256: bytes) -> None:
        """Take the next sample, with the digest of its data."""
        self._digest.update(f"{self.count:08d}\0{label}\0{sha256.hex()}\n".encode())
        self.count += 1

    def hexdigest(self) -> str:
        """Return the digest of the samples so far."""
        return self._digest.hexdigest()


class Tally:
    """What a manifest says about samples, counted one by one in order."""

    def __init__(self, classes: int) -> None:
        self._samples = SamplesDigest()
        self._per_class = [0] * classes
        self._colours: Counter[str] = Counter()
        self._png = self._turned = 0
        self._widths: set[int] = set()
        self._heights: set[int] = set()

    def add(self, row: Row) -> None:
        """Count a sample."""
        self._samples.add(row.label, row.digest)
        self._per_class[row.label] += 1
        self._colours[row.picture.colour] += 1
        self._png += row.picture.kind == "png"
        self._turned += row.picture.turned is not None
        self._widths.add(row.picture.width)
        self._heights.add(row.picture.height)

    def facts(self) -> dict[str, object]:
        """Return the fields of a manifest."""
        return {
            "samples": self._samples.count,
            "per_class": tuple(self._per_class),
            "colours": {name: self._colours[name] for name in COLOURS},
            "png": self._png,
            "turned": self._turned,
            "widths": (min(self._widths), max(self._widths)),
            "heights": (min(self._heights), max(self._heights)),
            "samples_digest": self._samples.hexdigest(),
        }
