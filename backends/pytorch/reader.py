"""Images from a folder per class, by PyTorch's DataLoader and simplejpeg.

simplejpeg decodes 1.15 times as fast as Pillow, which images without simplejpeg use. Workers send
bytes: sending float32 through shared memory costs a quarter of the speed.

The order is that of `benchdock data convert`, so that a folder and what was converted from it are
read alike.
"""

import io
import os

import numpy as np
import torch
from torch.utils import data

from backends.harness import folders, images
from backends.harness.errors import DataProblem, Unsupported

FORMAT = "images"
ERRORS = ()


def opened(reading):
    """The reader."""
    return Reader(reading)


class Reader(object):
    """A DataLoader over an endless order of batches."""

    def __init__(self, reading):
        """List the folder and start the workers."""
        self.filter, decode = _decoder()
        self.workers, self.prefetch = reading.workers, reading.prefetch
        samples = Samples(reading, decode)
        batches = Batches(len(samples), reading)
        loader = data.DataLoader(samples, batch_sampler=batches, num_workers=reading.workers)
        self._batches = iter(loader)

    def next(self):
        """Inputs and labels; the inputs are a view of NHWC. Raises DataProblem."""
        try:
            x, y = next(self._batches)
        except DataProblem as error:
            # The worker's traceback, whose last line is the exception.
            last = str(error).strip().splitlines()[-1]
            raise DataProblem(last.partition("DataProblem: ")[2] or last) from error
        x = x.permute(0, 3, 1, 2).float().sub_(float(images.CENTRE)).div_(float(images.SPREAD))
        return x.numpy(), y.numpy()

    def close(self):
        """Stop the workers."""
        self._batches = None


class Samples(data.Dataset):
    """All images of a folder, in order."""

    def __init__(self, reading, decode):
        """List the folder. Raises `DataProblem`."""
        super(Samples, self).__init__()
        self._folder, self._side, self._decode = reading.folder, reading.side, decode
        self._listed = folders.listed(reading.folder)

    def __len__(self):
        """How many images there are."""
        return len(self._listed)

    def __getitem__(self, index):
        """The centre of an image, (side, side, 3), uint8, and its label."""
        path, label = self._listed[index]
        path = os.path.join(self._folder, path)
        try:
            with open(path, "rb") as file:
                image = self._decode(file.read())
        except Exception as error:  # each decoder has its own
            raise DataProblem("%s cannot be decoded: %s" % (path, error)) from error
        top, left = [(size - self._side) // 2 for size in image.shape[:2]]
        if min(top, left) < 0:
            raise DataProblem("%s is %d x %d, too small" % ((path,) + image.shape[1::-1]))
        crop = image[top : top + self._side, left : left + self._side]
        return torch.from_numpy(np.ascontiguousarray(crop)), label


class Batches(data.Sampler):
    """Endless batches of numbers of this rank: rank, rank + world, rank + 2 * world..."""

    def __init__(self, total, reading):
        """`total` is the number of samples."""
        self._total, self._reading = total, reading

    def __iter__(self):
        """Yield lists."""
        asked = self._reading
        start = asked.rank * asked.batch
        while True:
            yield [(start + number) % self._total for number in range(asked.batch)]
            start = (start + asked.batch * asked.world) % self._total


def _decoder():
    """Name and function of the decoder: bytes to an array (height, width, 3), uint8, RGB."""
    try:
        import simplejpeg
    except ImportError:
        return _pillow()

    def decode(content):
        return simplejpeg.decode_jpeg(content, "RGB", fastdct=False, fastupsample=False)

    return "simplejpeg, accurate", decode


def _pillow():
    try:
        from PIL import Image
    except ImportError as error:
        raise Unsupported(
            "this image has neither simplejpeg nor Pillow to decode images"
        ) from error

    def decode(content):
        return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))

    return "Pillow", decode
