"""Counts what a manifest says about the samples of a dataset."""

from __future__ import annotations

import hashlib
from collections import Counter

from orchestrator.data.picture import COLOURS
from orchestrator.data.rows import Row


class Tally:
    """What a manifest says about samples, counted one by one in order."""

    def __init__(self, classes: int) -> None:
        self._samples = hashlib.sha256()
        self._per_class = [0] * classes
        self._colours: Counter[str] = Counter()
        self._png = self._turned = self._count = 0
        self._widths: set[int] = set()
        self._heights: set[int] = set()

    def add(self, row: Row) -> None:
        """Count a sample."""
        line = f"{self._count:08d}\0{row.label}\0{row.digest.hex()}\n"
        self._samples.update(line.encode())
        self._count += 1
        self._per_class[row.label] += 1
        self._colours[row.picture.colour] += 1
        self._png += row.picture.kind == "png"
        self._turned += row.picture.turned is not None
        self._widths.add(row.picture.width)
        self._heights.add(row.picture.height)

    def facts(self) -> dict[str, object]:
        """Return the fields of a manifest."""
        return {
            "samples": self._count,
            "per_class": tuple(self._per_class),
            "colours": {name: self._colours[name] for name in COLOURS},
            "png": self._png,
            "turned": self._turned,
            "widths": (min(self._widths), max(self._widths)),
            "heights": (min(self._heights), max(self._heights)),
            "samples_digest": self._samples.hexdigest(),
        }
