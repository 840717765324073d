"""Images from a folder per class or a WebDataset, on threads.

The decoders hold no lock of Python while they work. The threads also bring pixels to float32, in
arrays that are used again and again.
"""

from collections import deque
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from backends.harness import decoding, images

FORMATS = decoding.FORMATS
ERRORS = ()


def opened(reading):
    """The reader."""
    return Reader(reading)


class Reader(object):
    """Batches that threads fill ahead of their use."""

    def __init__(self, reading):
        """List the folder and start to read."""
        self._crops = decoding.Crops(reading)
        self.filter = self._crops.filter
        self.workers, self.prefetch = reading.workers, reading.prefetch
        self._threads = ThreadPoolExecutor(reading.workers)
        self._turns = decoding.turns(reading)
        shape = (reading.batch, 3, reading.side, reading.side)
        self._ahead = deque(
            self._started(np.empty(shape, np.float32)) for _ in range(reading.prefetch)
        )
        self._used = np.empty(shape, np.float32)

    def next(self):
        """Inputs and labels; the inputs are valid until the next call. Raises DataProblem."""
        self._ahead.append(self._started(self._used))
        x, samples = self._ahead.popleft()
        self._used = x
        return x, np.array([sample.result() for sample in samples], np.int64)

    def close(self):
        """Stop the threads."""
        for _, samples in self._ahead:
            for sample in samples:
                sample.cancel()
        self._threads.shutdown()

    def _started(self, x):
        """A batch that threads begin to fill."""
        places = enumerate(next(self._turns))
        return x, [self._threads.submit(self._fill, x[n], place) for n, place in places]

    def _fill(self, pixels, place):
        crop, label = self._crops.at(place)
        np.subtract(crop.transpose(2, 0, 1), images.CENTRE, out=pixels)
        pixels /= images.SPREAD
        return label
