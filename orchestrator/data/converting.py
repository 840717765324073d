"""Converts a folder of images to a format that programs read fast.

The images' bytes are passed through, except their EXIF orientation. Work in progress is in a hidden
folder of the target; the manifest is written last, so a target with a manifest is complete.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from orchestrator.data import finishing, folder, manifest, packages, parallel, sample, work
from orchestrator.data.conversion import Conversion, Job
from orchestrator.data.folder import Source
from orchestrator.data.picture import BadPicture
from orchestrator.data.watching import Watcher
from orchestrator.errors import DataError, RequestError

_LIBRARIES = {
    "lmdb": [packages.LMDB],
    "recordio": [packages.NUMPY],
    "tfrecord": [packages.CRC32C],
}


def check(job: Job) -> None:
    """Raise RequestError or MachineError for what can be known without looking at the images."""
    wanted = [packages.PILLOW] if job.decode or job.resize or job.skip_bad else []
    wanted += _LIBRARIES.get(job.to, [packages.NUMPY] if job.layout.pixels else [])
    packages.need(f"--to {job.to}", *wanted)
    if job.layout.pixels and job.resize is None:
        raise RequestError(
            f"--to {job.to} writes images of one size", hint="add --resize, such as --resize 224"
        )
    if job.shards is not None and not job.layout.shards:
        raise RequestError(f"--to {job.to} writes one file", hint="remove --shards")
    source, target = job.source.resolve(), job.target.resolve()
    if target == source or target.is_relative_to(source):
        raise RequestError(
            f"{job.target} is inside the images that are read", hint="use another folder"
        )


def look(job: Job, watcher: Watcher) -> Conversion:
    """Look at the source; with `skip_bad` decode all images first. Raises DataError."""
    source = folder.scan(job.source)
    if not job.skip_bad:
        return Conversion(job, source)
    watcher.begin("checked", len(source.entries))
    bad = dict(_bad(job, source, watcher))
    kept = [number for number, one in enumerate(source.entries) if one.path not in bad]
    emptied = set(range(len(source.classes))) - {source.labels[number] for number in kept}
    for label in sorted(emptied):
        raise DataError(
            f"all images of the class {source.classes[label]} are bad",
            hint="remove it or replace its images",
        )
    good = Source(
        folder=source.folder,
        classes=source.classes,
        entries=[source.entries[number] for number in kept],
        labels=[source.labels[number] for number in kept],
    )
    return Conversion(job, good, skipped=tuple(f"{path}: {why}" for path, why in bad.items()))


def _bad(job: Job, source: Source, watcher: Watcher) -> Iterator[tuple[str, str]]:
    """Yield path and fault of each bad image."""

    def fault(path: str) -> tuple[str, str]:
        try:
            sample.examine(sample.read(job.source / path), decode=True)
        except (BadPicture, DataError) as error:
            return path, str(error)
        return path, ""

    paths = (entry.path for entry in source.entries)
    for path, why in parallel.ordered(fault, paths, job.threads):
        watcher.advance()
        if why:
            yield path, why


def convert(job: Job, watcher: Watcher) -> manifest.Manifest:
    """Convert, or finish a conversion that was interrupted; return the manifest.

    Raises DataError, RequestError, MachineError.
    """
    check(job)
    conversion = look(job, watcher)
    if (done := work.finished(job.target, conversion.identity)) is not None:
        watcher.note(f"{job.target} is complete already")
        if done.by_samples and job.decode:
            watcher.note(
                "it was converted with --trust; "
                f"`benchdock data check {shlex.quote(str(job.target))} --decode` decodes its images"
            )
        return done
    with work.place(job.target, conversion.identity, watcher.note) as place:
        done = work.finished(job.target, conversion.identity)
        return done or _carry_out(conversion, place, watcher)


def _carry_out(conversion: Conversion, place: work.Place, watcher: Watcher) -> manifest.Manifest:
    place.check_space(sum(_needed(conversion)))
    watcher.begin("converted", len(conversion))
    for shard in range(len(conversion.ranges)):
        conversion.write_shard(shard, place, watcher)
    return finishing.finish(conversion, place)


def _needed(conversion: Conversion) -> Iterator[int]:
    """Yield about how many bytes each sample takes."""
    job, overhead = conversion.job, conversion.job.layout.overhead
    pixels = 3 * (job.resize or 0) ** 2 if job.layout.pixels else 0
    return ((pixels or entry.size) + overhead for entry in conversion.source.entries)
