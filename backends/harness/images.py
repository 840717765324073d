"""Real images: what all readers of datasets agree on, and the proof of what one has read.

A framework reads images by its own fast path, in the module `reader.py` of its backend:

* `FORMATS`, the formats of images that it reads;
* `ERRORS`, the exceptions by which the framework reports bad data;
* `opened(reading)`, an object with `next()`, `close()`, `filter` (how it decodes), the number of
  its `workers`, and `prefetch` (how many batches each reads ahead).

`next()` returns inputs and labels of a batch as `backends.harness.data` has them: float32, NCHW,
RGB, about -2 to 2, and int64 labels from 0. All readers do the same to the same samples: the centre
of each stored image, nothing resized; samples in the order of the dataset, and again from the
start after the last one. With several processes each takes its share of the batches. If they
augment, they crop anywhere in the image, and mirror one of two; each framework has random numbers
of its own, so what it reads is not proven.

Decoders differ. Those that the readers use agree to the bit for RGB images in JPEG; others, such as
TensorFlow's default, differ from them in 67 % of all values.
"""

import hashlib
import json
import os
import re
from collections import OrderedDict, namedtuple

import numpy as np

from backends import options
from backends.harness import folders, machine
from backends.harness.errors import DataProblem

MANIFEST = "benchdock-dataset.json"
# Enough to show a difference in any decoder, and read in less than a second.
PROVEN = 200
PREFETCH = 2
CENTRE_CROP = "centre crop %d"
AUGMENTED = "random crop %d, mirrored at random"

# uint8 to -2..2, about what normalization by mean and variance does to photographs.
CENTRE = np.float32(127.5)
SPREAD = np.float32(63.75)

# By which files a format is recognised, if there is no manifest.
SIGNS = {
    "lmdb": r"data\.mdb",
    "recordio": r".*\.rec",
    "tfrecord": r"(train|validation|val)-\d+-of-\d+",
    "webdataset": r".*\.tar",
}
LABEL_BASES = {"tfrecord": 1}

Reading = namedtuple(
    "Reading", "folder side batch workers prefetch rank world label_base augment seed format"
)
Reading.__doc__ = """What a reader shall read.

`side` is that of the square images, `workers` the number of threads or processes that decode,
`prefetch` how many batches may be ahead, `label_base` the number of the first class in the files,
`augment` whether crops and mirroring are random, from the `seed` of this rank. `format` is what
`found_format` says of the folder.
"""


def is_read_by(reader, folder, graph):
    """Whether a folder has images in the format of a reader, which may be None."""
    if reader is None or len(graph.input_shape) != 3 or graph.input_shape[0] != 3:
        return False
    return found_format(folder) in reader.FORMATS


def found_format(folder):
    """The format of a dataset, by its manifest or its files; None if it is another one."""
    named = manifest(folder).get("format")
    if named is not None:
        return named
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
        for known in sorted(SIGNS):
            if re.match(SIGNS[known] + "$", name):
                return known
    return "images" if _has_images(folder) else None


def _has_images(folder):
    """Whether the first file in folders inside that is data at all is an image."""
    for where, inner, names in os.walk(folder):
        inner.sort()
        for name in sorted(names) if where != folder else ():
            if name.endswith((".npz", ".npy")):
                return False
            if name.lower().endswith(folders.SUFFIXES):
                return True
    return False


def manifest(folder):
    """What the manifest says; {} if there is none."""
    path = os.path.join(folder, MANIFEST)
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except (IOError, OSError):
        return {}
    except ValueError as error:
        raise DataProblem("%s is damaged: %s" % (path, error)) from error


def files(folder, pattern):
    """Sorted paths of the files of one split: of training, if there are several."""
    names = [name for name in sorted(os.listdir(folder)) if re.match(pattern + "$", name)]
    train = [name for name in names if name.startswith("train")]
    return [os.path.join(folder, name) for name in train or names]


def reading(settings, graph, rank, world):
    """The `Reading` of one process."""
    found = found_format(settings.data)
    base = manifest(settings.data).get("label_base", LABEL_BASES.get(found, 0))
    asked = settings.options.get(options.WORKERS, "auto")
    workers = max(1, machine.cpus() // world - 1) if asked == "auto" else int(asked)
    return Reading(
        settings.data,
        graph.input_shape[-1],
        settings.batch,
        workers,
        PREFETCH,
        rank,
        world,
        base,
        settings.options.get(options.AUGMENT) == "on",
        settings.seed + rank,
        found,
    )


class Images(object):
    """A reader's batches, checked; `facts` say how it reads, and what its first samples were."""

    fixed = False

    def __init__(self, reader, asked, graph):
        """Read the first samples, unless they are random."""
        self._reader, self._asked, self._classes = reader, asked, graph.classes
        self._source = self._guarded(lambda: reader.opened(asked))
        self.facts = OrderedDict(
            [
                ("format", asked.format),
                ("transform", (AUGMENTED if asked.augment else CENTRE_CROP) % asked.side),
                ("filter", self._source.filter),
                ("workers", self._source.workers),
                ("prefetch", self._source.prefetch),
                ("order", "sequential"),
                ("rank", asked.rank),
                ("world", asked.world),
            ]
        )
        if not asked.augment:
            self.facts.update(self._prove(PROVEN))

    def next(self):
        """Inputs (float32) and labels (int64). Raises DataProblem."""
        x, y = self._guarded(self._source.next)
        if y.min() < 0 or y.max() >= self._classes:
            base = self._asked.label_base
            raise DataProblem(
                "%s: a label is not %d to %d" % (self._asked.folder, base, base + self._classes - 1)
            )
        return x, y

    def close(self):
        """Stop reading ahead."""
        self._source.close()

    def _guarded(self, read):
        try:
            return read()
        except self._reader.ERRORS as error:
            text = " ".join(str(error).split())
            raise DataProblem("%s cannot be read: %s" % (self._asked.folder, text)) from error

    def _prove(self, count):
        """Digests of the first samples; they are read before the first step and not used again."""
        proof, left = Proof(), count
        while left > 0:
            x, y = self.next()
            proof.add(x[:left], y[:left])
            left -= len(y)
        return proof.facts()


class Proof(object):
    """SHA-256 of labels (int32, little endian) and of pixels (uint8, CHW, RGB) of samples."""

    def __init__(self):
        """Nothing was read yet."""
        self._count = 0
        self._labels, self._pixels = hashlib.sha256(), hashlib.sha256()

    def add(self, x, y):
        """Take inputs and labels as `next` returns them."""
        self._count += len(y)
        self._labels.update(np.ascontiguousarray(y, "<i4").tobytes())
        # Exact: a step of a pixel is 10**5 times what float32 rounds off.
        pixels = np.rint(x * SPREAD + CENTRE)
        self._pixels.update(np.ascontiguousarray(pixels, np.uint8).tobytes())

    def facts(self):
        """The number of samples and both digests."""
        return OrderedDict(
            [
                ("samples", self._count),
                ("labels", self._labels.hexdigest()),
                ("pixels", self._pixels.hexdigest()),
            ]
        )
