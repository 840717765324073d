"""Checks of datasets in files of records: LMDB, RecordIO, TFRecord, WebDataset."""

from __future__ import annotations

import os
import re
import struct
import tarfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from orchestrator.data import archives, datum, ends, example, packages, picture, recordio, tfrecord
from orchestrator.data.faults import Check, Fault
from orchestrator.data.layouts import INDEX_FOLDER
from orchestrator.data.protobuf import WireError

_SHARD = re.compile(r"(train|validation|val)-(\d+)-of-(\d+)")
_TFRECORD_FIRST = 1
_TAR_END = 1024
# A quick check looks for a sample among these: ImageNet's own tar file, 138 GB, has only others.
_FIRST_MEMBERS = 20
# Of an LMDB: page header, then the record MDB_meta (lmdb.h, mdb.c of OpenLDAP).
_META = struct.Struct("<16xIIQQ" + "IHHQQQQQ" * 2 + "QQ")
_META_MAGIC = 0xBEEFC0DE
_CONVERT = "convert it again"


def lmdb(folder: Path, check: Check) -> Iterator[Fault]:
    """Check an LMDB. Its size comes first: reading a truncated one kills the process (SIGBUS)."""
    path = folder / "data.mdb"
    try:
        with path.open("rb") as stream:
            whole = _pages(stream, path.stat().st_size)
    except OSError as error:
        yield Fault(str(path), f"it cannot be read: {error.strerror}")
        return
    if whole is not None:
        yield Fault(str(path), whole, _CONVERT)
        return
    if (folder / "lock.mdb").exists():
        locked = "a lock file is in it, which stops readers of another user (Permission denied)"
        yield Fault(str(folder / "lock.mdb"), locked, "remove it")
    if check.light and not packages.has(packages.LMDB):
        return
    yield from _entries(folder, check)


def _pages(stream: BinaryIO, size: int) -> str | None:
    """Return what is wrong with an LMDB file according to its two first pages, None if nothing."""
    metas = []
    head = stream.read(_META.size)
    if len(head) < _META.size:
        return picture.other(head) if size < 100 else "it is cut off"
    first = _META.unpack(head)
    if first[0] != _META_MAGIC:
        return f"it is not an LMDB but {picture.other(head)}"
    metas.append(first)
    stream.seek(first[4])
    second = stream.read(_META.size)
    if len(second) == _META.size:
        metas.append(_META.unpack(second))
    newest = max(metas, key=lambda meta: int(meta[-1]))
    needed = (int(newest[-2]) + 1) * int(first[4])
    if size < needed:
        return f"it is cut off: {size:,} of {needed:,} bytes"
    return None


def _entries(folder: Path, check: Check) -> Iterator[Fault]:
    import lmdb as library

    packages.need("data check", packages.LMDB)
    try:
        database = library.open(str(folder), readonly=True, lock=False, readahead=False)
    except library.Error as error:
        yield Fault(str(folder / "data.mdb"), f"it cannot be opened: {error}", _CONVERT)
        return
    with database, database.begin() as reader:
        cursor = reader.cursor()
        entries = iter(cursor)
        if check.light:
            ends = [cursor.item()] if cursor.first() else []
            entries = iter([*ends, cursor.item()] if cursor.last() else ends)
        for key, value in entries:
            where = f"{folder}, key {key.decode('utf-8', 'replace')}"
            try:
                found = datum.decode(value)
            except WireError as error:
                yield Fault(where, f"it is not a Datum of Caffe: {error}", _CONVERT)
                continue
            if found.shape is None:
                yield from check.image(where, found.data, found.label)
            else:
                yield from _raw(where, found, check)
    if not check.samples:
        yield Fault(str(folder), "it is empty", _CONVERT)


def _raw(where: str, found: datum.Datum, check: Check) -> Iterator[Fault]:
    assert found.shape is not None
    check.samples += 1
    yield from check.label(where, found.label)
    channels, height, width = found.shape
    if len(found.data) != channels * height * width:
        yield Fault(where, f"{len(found.data)} bytes are not {channels} x {height} x {width}")
    shape = check.wanted.shape
    if shape is None or len(shape) != 3:
        return
    if channels != shape[0] or min(height, width) < shape[1]:
        takes = f"{check.wanted.model} takes {shape}"
        yield Fault(where, f"it is {(channels, height, width)}, {takes}")


def record_io(folder: Path, check: Check) -> Iterator[Fault]:
    """Check every .rec file of a folder, and its index."""
    files = sorted(folder.glob("*.rec"))
    indexed = check.wanted.reader is not None and check.wanted.reader.index
    for path in files:
        index = path.with_suffix(".idx")
        if not index.exists() and indexed:
            yield Fault(str(index), "it is missing", _CONVERT)
        yield from _guarded(path, check, _record_file(path, index, check))
    if indexed and not any(path.name == "train.rec" for path in files):
        yield Fault(str(folder), "it has no train.rec", f"rename {files[0].name} to train.rec")


def _record_file(path: Path, index: Path, check: Check) -> Iterator[Fault]:
    with path.open("rb") as stream:
        at, count = 0, 0
        starts = _starts(index)
        records = recordio.read(stream)
        for record in islice(records, 1) if check.light else records:
            where = f"{path}, record {count}"
            expected = next(starts, at)
            if expected != at:
                yield Fault(str(index), f"record {count} is at {at}, not at {expected}", _CONVERT)
                starts = iter(())
            count, at = count + 1, stream.tell()
            image = recordio.unpack(record)
            label = int(image.labels[0]) if image.labels else 0
            yield from check.image(where, image.data, label)
        if not count:
            yield Fault(str(path), "it is empty", _CONVERT)
        elif check.light:
            yield from _end(path, None if check.listed else ends.record_io(stream, index))
        elif next(starts, None) is not None:
            yield Fault(str(index), f"it lists more than the {count} records", _CONVERT)


def _end(path: Path, wrong: str | None) -> Iterator[Fault]:
    """Yield what is wrong with the end of a file; a manifest has its size, which was compared."""
    if wrong is not None:
        yield Fault(str(path), f"it is damaged: {wrong}", _CONVERT)


def _starts(index: Path) -> Iterator[int]:
    if index.exists():
        with index.open() as lines:
            for line in lines:
                yield int(line.split("\t")[1])


def tf_record(folder: Path, check: Check) -> Iterator[Fault]:
    """Check every shard of TFRecord, their names and DALI's indexes."""
    check.first = _TFRECORD_FIRST
    shards = sorted(path for path in folder.iterdir() if _SHARD.fullmatch(path.name))
    if not check.listed:
        yield from _numbering(folder, shards)
    verify = not check.light or packages.has(packages.CRC32C)
    counts = []
    for path in shards:
        before = check.samples
        yield from _guarded(path, check, _tf_shard(path, check, verify=verify))
        counts.append(check.samples - before)
    uneven = len(set(counts[:-1])) > 1 or counts[-1] > counts[0]
    if check.wanted.reader and check.wanted.reader.equal and uneven and not check.light:
        text = f"its shards differ in length, and {check.wanted.program} needs equal ones"
        yield Fault(str(folder), text, _CONVERT)


def _numbering(folder: Path, shards: list[Path]) -> Iterator[Fault]:
    found = [match for path in shards if (match := _SHARD.fullmatch(path.name))]
    for split in sorted({match[1] for match in found}):
        numbers = {int(match[2]) for match in found if match[1] == split}
        for total in {int(match[3]) for match in found if match[1] == split}:
            missing = sorted(set(range(total)) - numbers)
            if missing:
                name = f"{split}-{missing[0]:05d}-of-{total:05d}"
                yield Fault(str(folder / name), "it is missing", _CONVERT)


def _tf_shard(path: Path, check: Check, *, verify: bool) -> Iterator[Fault]:
    with path.open("rb") as stream:
        count, start = 0, 0
        index = path.parent / INDEX_FOLDER / f"{path.name}.idx"
        lines = index.read_text().splitlines() if index.exists() and not check.light else None
        records = tfrecord.read(stream, verify=verify)
        for record in islice(records, 1) if check.light else records:
            where = f"{path}, record {count}"
            if lines is not None and lines[count : count + 1] != [
                f"{start} {stream.tell() - start}"
            ]:
                yield Fault(str(index), f"it is out of step at record {count}", _CONVERT)
                lines = None
            count, start = count + 1, stream.tell()
            yield from _tf_example(where, record, check)
        if not count:
            yield Fault(str(path), "it is empty", _CONVERT)
        elif check.light:
            yield from _end(path, None if check.listed else ends.tf_record(stream))


def _tf_example(where: str, record: bytes, check: Check) -> Iterator[Fault]:
    try:
        found = example.decode(record)
    except WireError as error:
        yield Fault(where, str(error), _CONVERT)
        return
    data, label = found.get("image/encoded"), found.get("image/class/label")
    if not isinstance(data, bytes) or not isinstance(label, int):
        yield Fault(where, "it has no image/encoded or no image/class/label", _CONVERT)
        return
    yield from check.image(where, data, label)


def web_dataset(folder: Path, check: Check) -> Iterator[Fault]:
    """Check every tar file of a WebDataset."""
    for path in sorted(folder.glob("*.tar")):
        yield from _guarded(path, check, _tar(path, check))


def _tar(path: Path, check: Check) -> Iterator[Fault]:
    with path.open("rb") as stream:  # an archive that is cut off between members reads as whole
        stream.seek(-min(_TAR_END, path.stat().st_size), os.SEEK_END)
        if stream.read() != bytes(_TAR_END):
            yield Fault(str(path), "it is cut off", _CONVERT)
            return
    empty = True
    with tarfile.open(path, "r:") as tar:
        for member, label in archives.pairs(tar, _FIRST_MEMBERS if check.light else None):
            empty = False
            where = f"{path}, {member.name}"
            if isinstance(label, str):
                yield Fault(where, label, _CONVERT)
                continue
            data, digits = archives.content(tar, member), archives.content(tar, label)
            yield from check.image(where, data, int(digits))
            if check.light:
                return
    if empty:
        yield Fault(str(path), "it has no image with a label", _CONVERT)


def _guarded(path: Path, check: Check, faults: Iterator[Fault]) -> Iterator[Fault]:
    """Turn what is damaged in a file into a fault; what comes after it cannot be checked."""
    before = check.samples
    try:
        with path.open("rb") as stream:
            head = stream.read(64)
        if head.startswith(picture.POINTERS):
            yield Fault(str(path), f"it is {picture.other(head)}")
            return
        yield from faults
    except OSError as error:
        yield Fault(str(path), f"it cannot be read: {error.strerror or error}")
    except (tfrecord.FrameError, recordio.RecordError, tarfile.TarError, ValueError) as error:
        # A light check also looks at the end, whose number is not known.
        where = str(path) if check.light else f"{path}, record {check.samples - before}"
        yield Fault(where, f"it is damaged: {error}", _CONVERT)
