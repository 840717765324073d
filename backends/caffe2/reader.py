"""Images from an LMDB of Caffe's Datum, by Caffe2's ImageInput.

A process has one reader: a second ImageInput after `ResetWorkspace` crashes.
"""

import os

from caffe2.python import core, workspace

from backends.harness import images

FORMATS = ("lmdb",)
ERRORS = (RuntimeError, OSError)

DB, PIXELS, LABELS = "reader_db", "reader_pixels", "reader_labels"


def opened(reading):
    """The reader."""
    return Reader(reading)


class Reader(object):
    """A net of one operator, which decodes the next batch while the last one is used."""

    filter = "ImageInput"
    prefetch = 1

    def __init__(self, reading):
        """Make the net; the operator wants to resize: to at least `minsize`, which all have."""
        self.workers = reading.workers
        self._base = reading.label_base
        net = core.Net("reader")
        start = core.Net("reader_start")
        # Without the folder Caffe2 would create an empty database.
        os.stat(os.path.join(reading.folder, "data.mdb"))
        start.CreateDB([], DB, db=reading.folder, db_type="lmdb")
        workspace.RunNetOnce(start)
        net.ImageInput(
            DB,
            [PIXELS, LABELS],
            batch_size=reading.batch,
            use_caffe_datum=1,
            color=1,
            is_test=0 if reading.augment else 1,
            mirror=1 if reading.augment else 0,
            minsize=reading.side,
            crop=reading.side,
            mean=float(images.CENTRE),
            std=float(images.SPREAD),
            decode_threads=reading.workers,
        )
        workspace.CreateNet(net)
        self._net = net.Name()

    def next(self):
        """Inputs and labels; ImageInput yields NHWC and BGR."""
        workspace.RunNet(self._net)
        pixels = workspace.FetchBlob(PIXELS)[..., ::-1].transpose(0, 3, 1, 2)
        return pixels, workspace.FetchBlob(LABELS).astype("int64") - self._base

    def close(self):
        """Its threads end with the workspace."""
