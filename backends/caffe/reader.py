"""Images from an LMDB of Datum, by Caffe's Data layer in a network of its own.

Without `crop_size` Caffe ends the process if images differ in size, and without `force_color` at a
gray one. It crops the centre in the phase TEST, and anywhere in the phase TRAIN.

NVIDIA's fork chooses the number of its threads in the first iteration of a solver, which a network
of its own has not: it is told to use one of each kind. Intel's is told to compute with BVLC's code,
which every build of it has.
"""

import numpy as np

from backends.caffe.dialects import BVLC, Word, head
from backends.caffe.inputs import CENTRE, DATA, LABEL, SPREAD
from backends.caffe.pycaffe import load, run
from backends.caffe.text import as_file, render
from backends.harness import images

# Fields of DataParameter that only some forks and releases have.
PREFETCH, THREADS = "prefetch", ("threads", "parser_threads")
PLAIN = "CAFFE"


class DataLayer(object):
    """The reader of a fork."""

    FORMATS = ("lmdb",)
    # What Caffe cannot read ends the process.
    ERRORS = ()

    def __init__(self, dialect):
        """`dialect` is the fork's."""
        self._dialect = dialect

    def opened(self, reading):
        """The reader's batches."""
        return Batches(reading, self._dialect)


class Batches(object):
    """A network of one layer, which reads ahead on one thread."""

    workers = 1
    filter = "Data layer"

    def __init__(self, reading, dialect):
        """Parse the network."""
        self._base = reading.label_base
        caffe = load()
        known = caffe.proto.caffe_pb2.DataParameter.DESCRIPTOR.fields_by_name
        # An old fork that cannot be told reads three batches ahead.
        self.prefetch = images.PREFETCH if PREFETCH in known else 3
        with as_file(network(reading, dialect, known)) as path:
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


def network(reading, dialect=BVLC, known=(PREFETCH,)):
    """The network's text; `known` are the fields of this Caffe's DataParameter."""
    transform = [("scale", 1.0 / SPREAD)] + [("mean_value", CENTRE)] * 3
    transform += [("crop_size", reading.side), ("force_color", True)]
    transform += [("mirror", reading.augment)]
    source = [
        ("source", reading.folder),
        ("batch_size", reading.batch),
        ("backend", Word("LMDB")),
    ]
    source += [(PREFETCH, reading.prefetch)] if PREFETCH in known else []
    source += [(name, 1) for name in THREADS if name in known]
    layer = [("name", DATA), ("type", "Data"), ("top", DATA), ("top", LABEL)]
    fields = [("transform_param", transform), ("data_param", source)]
    engine = PLAIN if PLAIN in dialect.engines else "auto"
    text = [("name", "reader")] + head(dialect, engine=engine)
    return render(text + [("layer", layer + fields)])
