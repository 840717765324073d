"""A folder of images with a folder per class, as torchvision, `im2rec` and others read it.

Classes are numbered from 0 in the order of their names' bytes.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from orchestrator.errors import DataError, quoted

SUFFIXES = (".jpg", ".jpeg", ".png")
_SPLITS = {"train", "val", "validation", "test"}


class EntryError(DataError):
    """A file or folder of a dataset, and what is wrong with it."""

    def __init__(self, path: str | Path, says: str, *, hint: str = "") -> None:
        super().__init__(f"{path} {says}", hint=hint)
        self.path, self.says = str(path), says


@dataclass(frozen=True, slots=True)
class Entry:
    """An image: its path relative to the folder, with its size in bytes."""

    path: str
    size: int


@dataclass(frozen=True, kw_only=True)
class Source:
    """The images of a folder, sorted; `labels` are those of `entries`."""

    folder: Path
    classes: tuple[str, ...]
    entries: list[Entry] = field(repr=False)
    labels: list[int] = field(repr=False)

    @cached_property
    def size(self) -> int:
        """Return the bytes of all images."""
        return sum(entry.size for entry in self.entries)

    @cached_property
    def digest(self) -> str:
        """Return a digest of the names and sizes of all images."""
        names = hashlib.sha256()
        for entry in self.entries:
            names.update(os.fsencode(f"{entry.path}\0{entry.size}\n"))
        return names.hexdigest()


def scan(folder: Path) -> Source:
    """Find the images of a folder. Raises EntryError."""
    classes = class_names(folder)
    entries: list[Entry] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        found = images(folder, name)
        entries += found
        labels += [label] * len(found)
    return Source(folder=folder, classes=classes, entries=entries, labels=labels)


def class_names(folder: Path) -> tuple[str, ...]:
    """Return the classes of a folder of images, in order. Raises EntryError."""
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if entry.is_dir()]
    except OSError as error:
        raise EntryError(folder, f"cannot be read: {error.strerror}") from None
    names.sort(key=os.fsencode)
    if not names:
        raise EntryError(
            folder, "has no folders of images", hint="put the images of each class into a folder"
        )
    _refuse_splits(folder, names)
    for name in names:
        _refuse_name(folder, name)
    return tuple(names)


def _refuse_splits(folder: Path, names: list[str]) -> None:
    if "train" in names and _SPLITS.issuperset(names):
        raise EntryError(
            folder,
            f"contains {' and '.join(names)}, each with its own classes",
            hint=f"use {folder / 'train'}",
        )


def _refuse_name(folder: Path, name: str) -> None:
    if name.startswith("."):
        raise EntryError(
            folder / name, "is hidden, but programs count it as a class", hint="remove it"
        )
    if not name.isprintable():
        raise EntryError(
            folder,
            f"contains the name {quoted(name)}, which has unprintable characters",
            hint="rename it",
        )


def images(folder: Path, name: str) -> list[Entry]:
    """Return the images of a class, sorted by the bytes of their paths. Raises EntryError."""
    found = sorted(_found(folder, name), key=lambda entry: os.fsencode(entry.path))
    if not found:
        raise _empty(folder, name)
    return found


def first(folder: Path, name: str) -> Entry:
    """Return some image of a class, which takes no time. Raises EntryError."""
    for entry in _found(folder, name):
        return entry
    raise _empty(folder, name)


def _empty(folder: Path, name: str) -> EntryError:
    return EntryError(
        folder / name,
        "has no images, and some programs would number the classes after it differently",
        hint="remove the folder or put images into it",
    )


def _found(folder: Path, name: str) -> Iterator[Entry]:
    try:
        yield from _walk(folder, name)
    except OSError as error:
        raise EntryError(error.filename, f"cannot be read: {error.strerror}") from None


def _walk(folder: Path, inside: str) -> Iterator[Entry]:
    with os.scandir(folder / inside) as entries:
        for entry in entries:
            path = f"{inside}/{entry.name}"
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                yield from _walk(folder, path)
            elif entry.name.lower().endswith(SUFFIXES):
                _refuse_name(folder, entry.name)
                yield Entry(path, _size(entry))


def _size(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat().st_size
    except FileNotFoundError:
        raise EntryError(
            entry.path, "is a link to a file that does not exist", hint="remove it"
        ) from None
