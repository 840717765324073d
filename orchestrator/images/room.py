"""Whether the disks have room for an image, before minutes go into a build that cannot end well."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from orchestrator import paths
from orchestrator.images.image_table import ImageRow
from orchestrator.units import parse_size, quantity

PRUNE = "benchdock images prune"

# What a build takes while it goes on, as multiples of the finished image. The engine keeps the
# wheels and the installed packages several times: of pytorch-cpu, 0.98 GB, it took 2.98 GB
# (docker 20.10, overlay2). The wheels are a quarter of the image.
BUILD = 3.0
WHEELS = 0.25
# The last layers of an image whose framework is here: backends/ and its bytecode, in bytes.
LAST_LAYERS = 64 * 2**20


@dataclass(frozen=True, kw_only=True)
class Need:
    """So many bytes that something takes in a folder."""

    folder: Path
    size: int


def to_build(row: ImageRow, data_root: Path | None, *, framework: bool) -> list[Need]:
    """Return what a build takes; `framework` tells that its layers have to be made too.

    `data_root` is the folder where the engine keeps images, None if it is on another machine.
    """
    size = _size(row) if framework else 0
    needs = [Need(folder=paths.home(), size=int(size * WHEELS) - _held(paths.wheelhouse(row.id)))]
    if data_root is not None:
        needs.append(Need(folder=data_root, size=int(size * BUILD) or LAST_LAYERS))
    return [need for need in needs if need.size > 0]


def to_pull(row: ImageRow, data_root: Path | None) -> list[Need]:
    """Return what a pull takes at least."""
    size = _size(row)
    return [Need(folder=data_root, size=size)] if data_root is not None and size else []


def shortages(needs: Iterable[Need], what: str) -> Iterator[str]:
    """Say for each disk that has too little room for `what` how much it has."""
    disks: dict[int, list[Need]] = {}
    for need in needs:
        existing = _existing(need.folder)
        disks.setdefault(existing.stat().st_dev, []).append(need)
    for found in disks.values():
        free = shutil.disk_usage(_existing(found[0].folder)).free
        size = sum(need.size for need in found)
        if free < size:
            folders = " and ".join(str(need.folder) for need in found)
            yield (
                f"{what} takes about {quantity(size, 'bytes')} in {folders}, where "
                f"{quantity(free, 'bytes')} are free"
            )


def _size(row: ImageRow) -> int:
    """Return the size that the table says, in bytes; 0 if it says none."""
    return parse_size(row.size) if row.size else 0


def _held(folder: Path) -> int:
    """Return the size of the files in a folder, in bytes."""
    return sum(path.stat().st_size for path in folder.glob("*") if path.is_file())


def _existing(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that exists."""
    return next(path for path in (folder, *folder.parents) if path.exists())
