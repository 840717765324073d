"""Checks that the disks have space for an image, before minutes go into a build that must fail."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from orchestrator import paths
from orchestrator.images.image_table import Image
from orchestrator.units import parse_size, quantity

PRUNE = "benchdock images prune"

# Space that a build needs while it runs, as multiples of the finished image. The engine keeps the
# wheels and the installed packages several times: pytorch-cpu, 0.98 GB, needed 2.98 GB (docker
# 20.10, overlay2). The wheels are a quarter of the image.
BUILD = 3.0
WHEELS = 0.25
# Bytes of the last layers of an image whose framework is here: backends/ and its bytecode.
LAST_LAYERS = 64 * 2**20


@dataclass(frozen=True, kw_only=True)
class SpaceNeed:
    """The number of bytes needed in a folder."""

    folder: Path
    size: int


def to_build(image: Image, data_root: Path | None, *, framework: bool) -> list[SpaceNeed]:
    """Return the space that a build needs; `framework` says that its layers must be built too.

    `data_root` is the folder where the engine keeps images, None if it is on another machine.
    """
    size = _size(image) if framework else 0
    needs = [
        SpaceNeed(folder=paths.home(), size=int(size * WHEELS) - _held(paths.wheelhouse(image.id)))
    ]
    if data_root is not None:
        needs.append(SpaceNeed(folder=data_root, size=int(size * BUILD) or LAST_LAYERS))
    return [need for need in needs if need.size > 0]


def to_pull(image: Image, data_root: Path | None) -> list[SpaceNeed]:
    """Return the minimum space that a pull needs."""
    size = _size(image)
    return [SpaceNeed(folder=data_root, size=size)] if data_root is not None and size else []


def shortages(needs: Iterable[SpaceNeed], what: str) -> Iterator[str]:
    """Report each disk that has too little space for `what`, with its free space."""
    disks: dict[int, list[SpaceNeed]] = {}
    for need in needs:
        existing = _existing(need.folder)
        disks.setdefault(existing.stat().st_dev, []).append(need)
    for found in disks.values():
        free = shutil.disk_usage(_existing(found[0].folder)).free
        size = sum(need.size for need in found)
        if free < size:
            folders = " and ".join(str(need.folder) for need in found)
            yield (
                f"{what} needs about {quantity(size, 'bytes')} in {folders}, but only "
                f"{quantity(free, 'bytes')} are free"
            )


def _size(image: Image) -> int:
    """Return the size in the table, in bytes; 0 if it has none."""
    return parse_size(image.size) if image.size else 0


def _held(folder: Path) -> int:
    """Return the size of the files in a folder, in bytes."""
    return sum(path.stat().st_size for path in folder.glob("*") if path.is_file())


def _existing(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that exists."""
    return next(path for path in (folder, *folder.parents) if path.exists())
