"""Checks a dataset: which format it is, whether a program reads it, and every record in it."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from orchestrator.data import check_files, check_folders, manifest, packages, work
from orchestrator.data.faults import Check, Fault
from orchestrator.data.folder import SUFFIXES
from orchestrator.data.manifest import Format, Manifest
from orchestrator.data.tally import SamplesDigest
from orchestrator.data.wanted import TITLES, Reader, Wanted
from orchestrator.data.watching import Watcher
from orchestrator.errors import DataError, either
from orchestrator.machine import inventory

# Faults after these are not looked for: one broken disk would report a million.
MOST_FAULTS = 20

_CHECKS: Mapping[Format, Callable[[Path, Check], Iterator[Fault]]] = {
    "images": check_folders.images,
    "lmdb": check_files.lmdb,
    "recordio": check_files.record_io,
    "tfrecord": check_files.tf_record,
    "webdataset": check_files.web_dataset,
    "tensors": check_folders.tensors,
    "arrays": check_folders.arrays,
    "features": check_folders.arrays,
}
_NEEDS: Mapping[Format, tuple[str, ...]] = {
    "lmdb": (packages.LMDB,),
    "tfrecord": (packages.CRC32C,),
    "arrays": (packages.NUMPY,),
    "features": (packages.NUMPY,),
}
# In this order: a folder of TFRecord has a folder with an index.
_SIGNS: tuple[tuple[str, Format], ...] = (
    (r"data\.mdb", "lmdb"),
    (r".*\.rec", "recordio"),
    (r"(train|validation|val)-\d+-of-\d+", "tfrecord"),
    (r".*\.tensors", "tensors"),
    (r".*\.tar", "webdataset"),
    (r".*\.npz|.*_x\.npy", "arrays"),
)
# Their labels are looked at as ranges.
_WITHOUT_CLASSES: tuple[Format, ...] = ("arrays", "features", "tensors")
_NAMES = 10_000
_FOLDERS, _DEEPEST = 20, 3


@dataclass(frozen=True)
class Report:
    """What a check found. `more` says that there are faults beyond the listed ones.

    `unusual` counts images that are gray, CMYK or PNG.
    """

    folder: Path
    format: Format
    samples: int
    classes: int
    faults: tuple[Fault, ...]
    more: bool = False
    manifest: Manifest | None = None
    unusual: Mapping[str, int] = field(default_factory=dict)


def check(
    folder: Path,
    wanted: Wanted,
    *,
    light: bool = False,
    decode: bool = False,
    watcher: Watcher | None = None,
) -> Report:
    """Check a dataset. Raises DataError if it is none, MachineError if a package is missing."""
    if work.is_unfinished(folder):
        raise DataError(
            f"{folder} holds an unfinished dataset",
            hint="run the command that writes it again to continue",
        )
    found = manifest.read(folder)
    kind = format_of(folder)
    if kind is None:
        raise DataError(
            f"{folder} is not a dataset that benchdock knows", hint=_what_is_read(wanted)
        )
    if not light:
        needed = _NEEDS.get(kind, ())
        packages.need("data check", *needed, *([packages.PILLOW] if decode else []))
    state = Check(wanted=wanted, light=light, decode=decode, threads=inventory.usable_cpus())
    if watcher is not None:
        watcher.begin("checked", found.samples if found is not None else 0)
        state.advance = watcher.advance
    faults = _faults(folder, kind, found, state)
    listed = tuple(islice(faults, MOST_FAULTS))
    more = next(faults, None) is not None
    classes = len(found.classes) if found is not None else len(state.labels)
    samples = found.samples if found is not None and light else state.samples
    return Report(folder, kind, samples, classes, listed, more, found, state.unusual)


def format_of(folder: Path) -> Format | None:
    """Return the format of a dataset by its manifest or its files. Raises DataError."""
    found = manifest.read(folder)
    return found.format if found is not None else detect(folder)


def detect(folder: Path) -> Format | None:
    """Return the format of a folder by the names in it. Raises DataError if it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            some = [(entry.name, entry.is_dir()) for entry in islice(entries, _NAMES)]
    except OSError as error:
        raise DataError(f"the dataset {folder} cannot be read: {error.strerror}") from None
    names = [name for name, is_folder in some if not is_folder]
    for pattern, kind in _SIGNS:
        if any(re.fullmatch(pattern, name) for name in names):
            return kind
    folders = sorted(name for name, is_folder in some if is_folder)
    return _inside(folder, folders)


def _inside(folder: Path, names: list[str]) -> Format | None:
    """Return what the folders in a folder hold: arrays, images, or nothing that is known."""
    for name in islice(names, _FOLDERS):
        for path, folders, files in os.walk(folder / name):
            if any(file.endswith((".npz", "_x.npy")) for file in files):
                return "arrays"
            if any(file.lower().endswith(SUFFIXES) for file in files):
                return "images"
            # Splits, classes, and one level in them.
            deep = len(Path(path).relative_to(folder).parts) >= _DEEPEST
            folders[:] = [] if deep else sorted(folders)[:_FOLDERS]
    return None


def _faults(folder: Path, kind: Format, found: Manifest | None, state: Check) -> Iterator[Fault]:
    wrong = _wrong_format(folder, kind, found, state.wanted)
    if wrong is not None:
        yield wrong
        return
    if found is not None:
        differing = list(_against_manifest(folder, found, state))
        yield from differing
        if differing:
            return
    reader = state.wanted.reader
    both = found is None and (folder / "train").is_dir()
    if kind == "images" and (reader.splits if reader is not None else both):
        inside = check_folders.both_splits(folder, state)
    else:
        inside = _CHECKS[kind](folder, state)
    count = 0
    for count, fault in enumerate(inside, start=1):  # noqa: B007 - it is used after the loop
        yield fault
    if not (count or state.light or kind in _WITHOUT_CLASSES):
        yield from _classes(folder, found, state)
        if found is not None and state.digest is not None:
            yield from _samples(folder, found.samples_digest, state.digest.hexdigest())


def _samples(folder: Path, expected: str, seen: str) -> Iterator[Fault]:
    if seen != expected:
        text = "the digest of its samples is not the one in the manifest"
        yield Fault(str(folder), text, "convert it again")


def _classes(folder: Path, found: Manifest | None, state: Check) -> Iterator[Fault]:
    """Check the number of samples of each class, if every sample was seen."""
    if found is None or not found.per_class:
        yield from state.gaps(str(folder))
    elif state.labels:
        for label, expected in enumerate(found.per_class, start=state.first):
            if state.labels[label] != expected:
                text = f"the class {label} has {state.labels[label]} samples, not {expected}"
                yield Fault(str(folder), text, "convert it again")


def _wrong_format(
    folder: Path, kind: Format, found: Manifest | None, wanted: Wanted
) -> Fault | None:
    """Return the fault that a program reads other formats, with the command that converts."""
    reader = wanted.reader
    if reader is not None and kind not in reader.formats:
        reads = _listed(reader)
        return Fault(
            str(folder),
            f"it is {TITLES[kind]}, but {wanted.program} reads {reads}",
            _conversion(folder, kind, reader, wanted),
        )
    if found is not None and found.model and wanted.model and found.model != wanted.model:
        made = f"benchdock data make NEW --samples {found.samples} -m {wanted.model}"
        text = f"it was made for {found.model}, not for {wanted.model}"
        return Fault(str(folder), text, f"run `{made}`")
    return None


def _conversion(folder: Path, kind: Format, reader: Reader, wanted: Wanted) -> str:
    to = reader.formats[0]
    if to == "images":
        inside = " with train and val" if reader.splits else ", such as the one it was made from"
        return f"use a folder of images{inside}"
    source = shlex.quote(str(folder)) if kind == "images" else "IMAGES"
    words = f"benchdock data convert {source} NEW --to {to}"
    if to == "arrays":
        words += f" --resize {wanted.side or 224}"
    return f"run `{words}`"


def _what_is_read(wanted: Wanted) -> str:
    if wanted.reader is None:
        return "docs/data.md lists the formats"
    return f"{wanted.program} reads {_listed(wanted.reader)}"


def _listed(reader: Reader) -> str:
    return either(dict.fromkeys(TITLES[one] for one in reader.formats))


def _differs(path: Path, file: manifest.File, state: Check) -> str:
    """Say how a file differs from what the manifest says, "" if it does not. Raises OSError."""
    size = path.stat().st_size
    if size != file.bytes:
        return f"it has {size:,} bytes, and {file.bytes:,} in the manifest"
    if not state.light and file.sha256 not in (None, manifest.digest(path)):
        return "its digest is not the one in the manifest"
    return ""


def _against_manifest(folder: Path, found: Manifest, state: Check) -> Iterator[Fault]:
    """Compare the files with the manifest: their sizes, and unless it is light their digests."""
    state.first, state.listed = found.label_base, bool(found.files)
    if found.by_samples and not state.light:
        state.digest = SamplesDigest()
    for file in found.files:
        path = folder / file.name
        try:
            wrong = _differs(path, file, state)
        except FileNotFoundError:
            yield Fault(str(path), "it is missing, but the manifest lists it")
            continue
        except OSError as error:
            yield Fault(str(path), f"it cannot be read: {error.strerror}")
            continue
        if wrong:
            yield Fault(str(path), wrong, "convert it again")
    side = state.wanted.side
    if side is not None and found.widths is not None and found.heights is not None:
        smallest = min(found.widths[0], found.heights[0])
        if smallest < side and state.light:
            text = f"its smallest side is {smallest}, {state.wanted.model} takes {side} x {side}"
            yield Fault(str(folder), text, f"convert the images with --resize {side} or more")
    classes = state.wanted.classes
    if classes is not None and len(found.classes) > classes:
        text = f"it has {len(found.classes)} classes, {state.wanted.model} has {classes}"
        yield Fault(str(folder), text)
