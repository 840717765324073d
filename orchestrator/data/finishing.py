"""Completes a conversion: indexes, digests, the manifest."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from orchestrator.data import indexes, manifest, parallel, work
from orchestrator.data.conversion import Conversion
from orchestrator.data.manifest import Manifest
from orchestrator.data.rows import Row, Rows
from orchestrator.data.tally import Tally
from orchestrator.paths import write_aside

SKIPPED = "benchdock-skipped.txt"


def finish(conversion: Conversion, place: work.Place) -> Manifest:
    """Move the shards to their names, and write indexes and manifest. Raises OSError."""
    files: dict[Path, bool] = {}
    for shard, samples in enumerate(conversion.ranges):
        file = place.target / conversion.job.layout.file(conversion.naming(shard))
        if place.part(shard).exists():
            place.part(shard).replace(file)
        paths = [conversion.path(number) for number in samples]
        told = indexes.Shard(
            file=file, first=samples.start, paths=paths, rows=Rows(place.rows(shard))
        )
        files[file] = conversion.job.decodes
        files |= dict.fromkeys(indexes.write(conversion.job.to, told), True)
    if conversion.skipped:
        write_aside(place.target / SKIPPED, "".join(f"{one}\n" for one in conversion.skipped))
    _sync(place.target)
    found = _manifest(conversion, place, files)
    manifest.write(found, place.target)
    return found


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _manifest(conversion: Conversion, place: work.Place, files: dict[Path, bool]) -> Manifest:
    """Return the manifest; `files` says which files get a digest."""
    job = conversion.job
    tally = Tally(len(conversion.source.classes))
    for row in _rows(conversion, place):
        tally.add(row)

    def listed(path: Path) -> manifest.File:
        return manifest.File(
            name=path.relative_to(place.target).as_posix(),
            bytes=path.stat().st_size,
            sha256=manifest.digest(path) if files[path] else None,
        )

    return Manifest.model_validate(
        {
            "format": job.to,
            "split": job.split,
            "classes": conversion.source.classes,
            "label_base": job.layout.label_base,
            "skipped": len(conversion.skipped),
            "source_digest": conversion.source.digest,
            "order": "sorted" if job.seed is None else f"shuffled by {job.seed}",
            "resize": job.resize,
            "encoder": conversion.encoder,
            "conversion": conversion.identity,
            "files": tuple(parallel.ordered(listed, files, job.threads)),
            **tally.facts(),
        }
    )


def _rows(conversion: Conversion, place: work.Place) -> Iterator[Row]:
    for shard in range(len(conversion.ranges)):
        yield from Rows(place.rows(shard))
