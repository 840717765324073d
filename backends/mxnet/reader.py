"""Images from RecordIO, by MXNet's ImageRecordIter.

With `round_batch` a last batch is filled up from the start, and the next pass goes on after these
samples: nothing is left out and nothing is read twice. Without it, MXNet fills it with what is in
memory and says nothing.
"""

import os

import mxnet as mx
import numpy as np

from backends.harness import images
from backends.harness.errors import DataProblem

FORMAT = "recordio"
FORMATS = (FORMAT,)
ERRORS = (mx.base.MXNetError,)


def opened(reading):
    """The reader."""
    return Reader(reading)


class Reader(object):
    """ImageRecordIter, which decodes and normalises on its own threads."""

    filter = "ImageRecordIter"

    def __init__(self, reading):
        """Open the file; with several processes each takes a part of it."""
        self.workers, self.prefetch = reading.workers, reading.prefetch
        self._base = reading.label_base
        path = images.files(reading.folder, images.SIGNS[FORMAT])[0]
        index = os.path.splitext(path)[0] + ".idx"
        # Without an index, parts are cut by bytes.
        indexed = {"path_imgidx": index} if os.path.exists(index) else {}
        planes = ("r", "g", "b")
        means = {"mean_" + plane: float(images.CENTRE) for plane in planes}
        self._images = mx.io.ImageRecordIter(
            path_imgrec=path,
            data_shape=(3, reading.side, reading.side),
            batch_size=reading.batch,
            preprocess_threads=reading.workers,
            prefetch_buffer=reading.prefetch,
            round_batch=True,
            shuffle=False,
            num_parts=reading.world,
            part_index=reading.rank,
            scale=1.0 / float(images.SPREAD),
            verbose=False,
            **dict(dict(means, **indexed), **_random(reading)),
        )

    def next(self):
        """Inputs and labels."""
        batch = self._next()
        labels = batch.label[0].asnumpy().astype(np.int64) - self._base
        return batch.data[0].asnumpy(), labels

    def _next(self):
        for _ in range(2):
            try:
                return self._images.next()
            except StopIteration:
                self._images.reset()
        raise DataProblem("the dataset has no sample")

    def close(self):
        """Its threads end with it."""
        self._images = None


def _random(reading):
    """What makes crops and mirroring random; older releases know no `seed_aug` and ignore it."""
    if not reading.augment:
        return {}
    return {
        "rand_crop": True,
        "rand_mirror": True,
        "seed": reading.seed,
        "seed_aug": reading.seed,
    }
