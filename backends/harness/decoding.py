"""Images of a folder per class, decoded on the CPU, for frameworks that decode none themselves.

simplejpeg decodes 1.15 times as fast as Pillow, which images without simplejpeg use. The order is
that of `benchdock data convert`, so that a folder and what was converted from it are read alike.
"""

import io
import os
import random

import numpy as np

from backends.harness import folders
from backends.harness.errors import DataProblem, Unsupported

PNG = b"\x89PNG\r\n\x1a\n"


class Crops(object):
    """The images of a folder, each cropped, by their place in an endless order."""

    def __init__(self, reading):
        """List the folder; `filter` says what decodes."""
        self.filter, self._decode = _decoder()
        self._folder, self._side = reading.folder, reading.side
        self._seed = reading.seed if reading.augment else None
        self._listed = folders.listed(reading.folder)

    def at(self, place):
        """A crop, (side, side, 3), uint8, and its label: the centre, or a random one that only
        depends on seed and place. Raises DataProblem.
        """
        path, label = self._listed[place % len(self._listed)]
        path = os.path.join(self._folder, path)
        try:
            with open(path, "rb") as file:
                image = self._decode(file.read())
        except Exception as error:  # each decoder has its own
            raise DataProblem("%s cannot be decoded: %s" % (path, error)) from error
        room = [size - self._side for size in image.shape[:2]]
        if min(room) < 0:
            raise DataProblem("%s is %d x %d, too small" % ((path,) + image.shape[1::-1]))
        top, left, mirrored = self._chosen(place, room)
        crop = image[top : top + self._side, left : left + self._side]
        return crop[:, ::-1] if mirrored else crop, label

    def _chosen(self, place, room):
        """Where to crop, and whether to mirror."""
        if self._seed is None:
            return room[0] // 2, room[1] // 2, False
        numbers = random.Random("%d %d" % (self._seed, place))
        return numbers.randint(0, room[0]), numbers.randint(0, room[1]), numbers.random() < 0.5


def turns(reading):
    """Yield the places of each batch of this rank: rank, rank + world, rank + 2 * world..."""
    start = reading.rank * reading.batch
    while True:
        yield list(range(start, start + reading.batch))
        start += reading.batch * reading.world


def _decoder():
    """Name and function of the decoder: bytes to an array (height, width, 3), uint8, RGB."""
    try:
        import simplejpeg
    except ImportError:
        return _pillow()

    def decode(content):
        if content.startswith(PNG):
            raise ValueError("it is a PNG, and simplejpeg reads only JPEG; save it as a JPEG")
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
