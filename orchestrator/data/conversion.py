"""One conversion: the samples in their order, and how each becomes a record of a shard."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from orchestrator.data import orders, parallel, sample, work
from orchestrator.data.folder import Source
from orchestrator.data.layouts import LAYOUTS, LONGEST_KEY, Layout, Naming, Sample, lmdb_key
from orchestrator.data.manifest import Split
from orchestrator.data.picture import BadPicture, upright
from orchestrator.data.rows import Row, Rows
from orchestrator.data.sample import Prepared
from orchestrator.data.shards import FlatWriter, LmdbWriter, Writer
from orchestrator.data.watching import Watcher
from orchestrator.errors import DataError

# Samples between two commits, after which a killed conversion goes on.
COMMIT = 1000


@dataclass(frozen=True, kw_only=True)
class Job:
    """A conversion: what the user wants. `seed` None keeps the order of the names."""

    source: Path
    target: Path
    to: str
    resize: int | None = None
    seed: int | None = 0
    shards: int | None = None
    split: Split = "train"
    decode: bool = True
    skip_bad: bool = False
    threads: int = 1

    @property
    def decodes(self) -> bool:
        """Whether each image is decoded: to check it, or to resize it."""
        return self.decode or self.resize is not None

    @property
    def layout(self) -> Layout:
        """Return the format."""
        return LAYOUTS[self.to]


class Conversion:
    """A conversion of a folder that was looked at."""

    def __init__(self, job: Job, source: Source, *, skipped: tuple[str, ...] = ()) -> None:
        """Raises DataError for a path that the format cannot hold."""
        self.job = job
        self.source = source
        self.skipped = skipped
        self._order = orders.order(source.entries, job.seed)
        if job.to == "lmdb":
            for entry in source.entries:
                if len(lmdb_key(0, entry.path)) > LONGEST_KEY:
                    raise DataError(
                        f"the path {entry.path} is longer than the keys of LMDB", hint="rename it"
                    )

    def __len__(self) -> int:
        return len(self._order)

    @cached_property
    def ranges(self) -> list[range]:
        """Return the samples of each shard."""
        wanted = self.job.shards or orders.usual_shards(self.source.size)
        return orders.divide(len(self), wanted if self.job.layout.shards else 1)

    @cached_property
    def identity(self) -> str:
        """Return a digest of what decides the bytes: the images, the options, the encoder."""
        job = self.job
        facts = [
            job.to,
            job.resize,
            job.seed,
            len(self.ranges),
            job.split,
            self.encoder,
            list(self.source.classes),
            self.source.digest,
        ]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()

    @cached_property
    def encoder(self) -> str | None:
        """Return what encodes the images, None if their bytes are passed through."""
        return sample.encoder(sample.QUALITY) if self.job.resize else None

    def naming(self, shard: int) -> Naming:
        """Return what the name of a shard depends on."""
        return Naming(
            split=self.job.split,
            shard=shard,
            shards=len(self.ranges),
            count=len(self.ranges[shard]),
        )

    def path(self, number: int) -> str:
        """Return the path of a sample, relative to the source."""
        return self.source.entries[self._order[number]].path

    def write_shard(self, shard: int, place: work.Place, watcher: Watcher) -> None:
        """Write a shard, or what is missing of it. Raises DataError, OSError."""
        samples, rows = self.ranges[shard], Rows(place.rows(shard))
        if rows.count == len(samples) and not place.part(shard).exists():
            return  # it has its final name
        writer = self._writer(shard, place, rows)
        each = 1 if self.job.decodes else parallel.QUICK
        for _ in range(rows.count):
            watcher.advance()
        try:
            left = samples[rows.count :]
            for one in parallel.ordered(self._sample, left, self.job.threads, each=each):
                rows.add(Row(one.digest, writer.add(one), one.label, one.stored.picture))
                if rows.pending == COMMIT:
                    writer.commit()
                    rows.commit()
                watcher.advance()
            writer.commit()
            rows.commit()
            writer.finish()
        except BaseException:
            writer.abandon()
            raise

    def _writer(self, shard: int, place: work.Place, rows: Rows) -> Writer:
        layout, part = self.job.layout, place.part(shard)
        part.parent.mkdir(exist_ok=True)
        if self.job.to == "lmdb":
            return LmdbWriter(part.parent, layout)
        head = layout.head(len(self.ranges[shard]), self.job.resize or 0)
        return FlatWriter(part, layout, head, rows.end)

    def _sample(self, number: int) -> Sample:
        label = self.source.labels[self._order[number]]
        path = self.path(number)
        try:
            stored = prepare(self.job, sample.read(f"{self.job.source}/{path}"))
        except BadPicture as error:
            raise DataError(
                f"{self.job.source}/{path}: {error}",
                hint="remove it, or add --skip-bad to leave such images out",
            ) from None
        digest = hashlib.sha256(stored.data).digest()
        return Sample(number, label, path, self.source.classes[label], stored, digest)


def prepare(job: Job, data: bytes) -> Prepared:
    """Return an image as it will be stored. Raises BadPicture."""
    if job.resize is None:
        found = sample.examine(data, decode=job.decode)
        return Prepared(upright(data, found), found)
    found = sample.examine(data, decode=False)
    change = sample.square if job.layout.pixels else sample.resized
    return change(data, found, job.resize)
