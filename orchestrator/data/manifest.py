"""The manifest of a dataset: what is in it, beside the data.

Its name matches no pattern by which programs look for data (`train-*`, `*.rec`).
"""

import errno
import hashlib
import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StrictInt, StrictStr

from orchestrator.data.picture import PNG, UNUSUAL
from orchestrator.errors import DataError, RequestError
from orchestrator.paths import write_aside
from orchestrator.record_files import may_exist, read_file
from orchestrator.request import LenientRecord
from orchestrator.version import VERSION

NAME = "benchdock-dataset.json"
Format = Literal[
    "images", "lmdb", "recordio", "tfrecord", "webdataset", "tensors", "arrays", "features"
]
Split = Literal["train", "validation"]
Count = Annotated[StrictInt, Field(ge=0)]


class File(LenientRecord):
    """A file of a dataset: its name in the folder, its size in bytes, and its digest.

    The shards of a conversion with `--trust` have none: `samples_digest` proves what is in them.
    """

    name: StrictStr
    bytes: Count
    sha256: StrictStr | None = None


class Manifest(LenientRecord):
    """A dataset. `samples_digest` is the same for one source in every format.

    schema_version: in 1, every file has a digest.
    label_base: the number of the first class in the files.
    per_class: the number of samples of each class.
    widths, heights: smallest and largest, in pixels.
    colours: how many images are rgb, gray and cmyk.
    png: how many images are PNG. turned: of how many the EXIF orientation was set to 1.
    source_digest: SHA-256 of names and sizes of the source's files.
    samples_digest: SHA-256 over `number NUL label NUL sha256 LF` of each sample in order, with
        eight digits, labels from 0, and the digest of the encoded image.
    pixels_digest: SHA-256 of the pixels of the first made images; no encoder changes it.
    order: how the samples are ordered: "sorted", or "shuffled by SEED".
    resize: the short side of the images, if they were resized; of `tensors` and `arrays` each side.
    encoder: what encoded the images, if benchdock did.
    skipped: how many images were left out because they are bad.
    conversion: a digest of what decided the bytes, by which a finished conversion is recognized.
    model: the network that a set of features is for.
    """

    schema_version: Literal[1, 2] = Field(default=2, alias="schema")
    format: Format
    split: Split = "train"
    samples: Count
    classes: tuple[StrictStr, ...] = ()
    per_class: tuple[Count, ...] = ()
    label_base: Count = 0
    widths: tuple[Count, Count] | None = None
    heights: tuple[Count, Count] | None = None
    colours: dict[str, Count] = Field(default_factory=dict)
    png: Count = 0
    turned: Count = 0
    skipped: Count = 0
    model: StrictStr | None = None
    source_digest: StrictStr | None = None
    samples_digest: StrictStr
    pixels_digest: StrictStr | None = None
    order: StrictStr = "sorted"
    resize: Count | None = None
    encoder: StrictStr | None = None
    conversion: StrictStr | None = None
    benchdock: StrictStr = VERSION
    files: tuple[File, ...] = ()

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    @property
    def unusual(self) -> dict[str, int]:
        """Return how many images are what `Picture.unusual` names."""
        counts = {word: self.colours.get(colour, 0) for colour, word in UNUSUAL.items()}
        return {word: count for word, count in {**counts, PNG: self.png}.items() if count}

    @property
    def by_samples(self) -> bool:
        """Whether only the digest of the samples says what is in some file."""
        return any(file.sha256 is None for file in self.files)


def path_in(folder: Path) -> Path:
    """Return the path of a dataset's manifest."""
    return folder / NAME


def write(manifest: Manifest, folder: Path) -> None:
    """Write a manifest, whole or not at all. Raises OSError."""
    text = manifest.model_dump_json(indent=1, by_alias=True, exclude_none=True)
    write_aside(path_in(folder), text + "\n")


def read(folder: Path) -> Manifest | None:
    """Return a dataset's manifest, None if it has none. Raises DataError if it cannot be read."""
    path = path_in(folder)
    if not may_exist(path):
        return None
    if not os.access(path, os.R_OK):
        raise DataError(f"{path} cannot be read: {os.strerror(errno.EACCES)}")
    try:
        return read_file(Manifest, path)
    except RequestError as error:
        raise DataError(error.what, hint="remove it or convert the dataset again") from None


def digest(path: Path) -> str:
    """Return the SHA-256 of a file of a dataset. Raises OSError."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
