"""Checks of datasets in folders of single files or arrays: images, .npy and .npz."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from orchestrator.data import folder as folders
from orchestrator.data import packages, parallel, sample
from orchestrator.data.faults import Check, Fault
from orchestrator.data.folder import EntryError
from orchestrator.data.picture import BadPicture, Picture


def images(folder: Path, check: Check) -> Iterator[Fault]:
    """Check a folder of images; memory holds the names of one class at a time."""
    try:
        classes = folders.class_names(folder)
    except EntryError as error:
        yield _fault(error)
        return
    for label, name in enumerate(classes):
        try:
            found = [folders.first(folder, name)] if check.light else folders.images(folder, name)
        except EntryError as error:
            yield _fault(error)
            continue
        paths = (folder / entry.path for entry in found)
        for path, seen in parallel.ordered(partial(_examined, check), paths, check.threads):
            if isinstance(seen, EntryError):
                yield _fault(seen)
                continue
            if path.is_symlink():
                yield from _link(folder, path)
            yield from check.judge(str(path), seen, label)


def _fault(error: EntryError) -> Fault:
    return Fault(error.path, f"it {error.says}", error.hint)


def _examined(check: Check, path: Path) -> tuple[Path, Picture | BadPicture | EntryError]:
    try:
        return path, check.examine(sample.read(path))
    except EntryError as error:
        return path, error


def _link(folder: Path, path: Path) -> Iterator[Fault]:
    if not path.resolve().is_relative_to(folder.resolve()):
        outside = f"it is a link to {path.resolve()}, which a container does not see"
        yield Fault(str(path), outside, "replace the link by the file")


def both_splits(folder: Path, check: Check) -> Iterator[Fault]:
    """Check the folders train and val of a program that reads both."""
    names = []
    for split in ("train", "val"):
        if not (folder / split).is_dir():
            move = f"move the classes into {folder / split}"
            yield Fault(str(folder), f"{check.wanted.program} reads {split} in it", move)
            return
        yield from images(folder / split, check)
        names.append(sorted(entry.name for entry in os.scandir(folder / split) if entry.is_dir()))
    if names[0] != names[1]:
        differing = min(set(names[0]) ^ set(names[1]))
        text = f"train and val differ in their classes: {differing} is in one of them only"
        yield Fault(str(folder), text)


def arrays(folder: Path, check: Check) -> Iterator[Fault]:
    """Check the arrays that benchdock's own programs read (`backends/harness/data.py`)."""
    if not packages.has(packages.NUMPY):
        return
    for path in sorted(folder.rglob("*")):
        if path.name.endswith(".npz") or path.name.endswith("_x.npy"):
            yield from _arrays(path, check)


def _arrays(path: Path, check: Check) -> Iterator[Fault]:
    try:
        x, y = _loaded(path)
    except (OSError, ValueError, KeyError, EOFError) as error:
        yield Fault(str(path), f"it cannot be read: {error}")
        return
    shape = check.wanted.shape
    if x.dtype.name not in ("uint8", "float32"):
        yield Fault(str(path), f"x is {x.dtype}, not uint8 or float32")
    elif shape is not None and x.shape[1:] != shape:
        takes = f"its samples are {x.shape[1:]}, {check.wanted.model} takes {shape}"
        yield Fault(str(path), takes)
    if y.dtype.kind not in "iu" or len(x) != len(y) or not len(y):
        yield Fault(str(path), f"its {len(x)} samples do not fit labels {y.shape} of {y.dtype}")
        return
    check.samples += len(y)
    check.first = 1 if check.wanted.speech or y.ndim > 1 else 0
    for label in (int(y.min()), int(y.max())):
        yield from check.label(str(path), label)


def _loaded(path: Path) -> tuple[Any, Any]:
    import numpy as np

    if path.suffix == ".npz":
        with np.load(path) as archive:
            return archive["x"], archive["y"]
    labels = path.with_name(path.name.removesuffix("_x.npy") + "_y.npy")
    return np.load(path, mmap_mode="r"), np.load(labels)


def tensors(folder: Path, check: Check) -> Iterator[Fault]:
    """Check that the sizes of tensor files fit the numbers in their names."""
    for path in sorted(folder.glob("*.tensors")):
        count = path.stem.rpartition("-")[2]
        size = path.stat().st_size
        side = _side(size, int(count)) if count.isdecimal() else None
        if side is None:
            yield Fault(str(path), f"{size:,} bytes are not the square images that its name says")
            continue
        check.samples += int(count)
        if check.wanted.side not in (None, side):
            yield Fault(str(path), f"its images are {side} x {side}, not {check.wanted.side}")


def _side(size: int, count: int) -> int | None:
    """Return the side of so many images of uint8 in three channels, None if they are not square."""
    values, rest = divmod(size, 3 * max(1, count))
    side = math.isqrt(values)
    return side if side and not rest and side * side == values else None
