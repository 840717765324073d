"""Images from an LMDB of Datum, by Caffe's Data layer in a network of its own.

Without `crop_size` Caffe ends the process if images differ in size, and without `force_color` at a
gray one. It crops the centre in the phase TEST, and anywhere in the phase TRAIN.
"""

import numpy as np

from backends.caffe.dialects import Word
from backends.caffe.inputs import CENTRE, DATA, LABEL, SPREAD
from backends.caffe.pycaffe import load, run
from backends.caffe.text import as_file, render
from backends.harness import images

FORMAT = "lmdb"
# What Caffe cannot read ends the process.
ERRORS = ()


def opened(reading):
    """The reader."""
    return Reader(reading)


class Reader(object):
    """A network of one layer, which reads ahead on one thread."""

    workers = 1
    prefetch = images.PREFETCH
    filter = "Data layer"

    def __init__(self, reading):
        """Parse the network."""
        self._base = reading.label_base
        caffe = load()
        with as_file(network(reading)) as path:
            self._net = caffe.Net(path, caffe.TRAIN if reading.augment else caffe.TEST)

    def next(self):
        """Inputs and labels; Caffe reads BGR."""
        run(self._net)
        blobs = self._net.blobs
        labels = blobs[LABEL].data.reshape(-1).astype(np.int64) - self._base
        return blobs[DATA].data[:, ::-1], labels

    def close(self):
        """Its thread ends with the network."""
        self._net = None


def network(reading):
    """The network's text."""
    transform = [("scale", 1.0 / SPREAD)] + [("mean_value", CENTRE)] * 3
    transform += [("crop_size", reading.side), ("force_color", True)]
    transform += [("mirror", reading.augment)]
    source = [
        ("source", reading.folder),
        ("batch_size", reading.batch),
        ("backend", Word("LMDB")),
        ("prefetch", reading.prefetch),
    ]
    head = [("name", DATA), ("type", "Data"), ("top", DATA), ("top", LABEL)]
    fields = [("transform_param", transform), ("data_param", source)]
    return render([("name", "reader"), ("layer", head + fields)])
