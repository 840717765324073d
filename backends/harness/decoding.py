"""Images in folders or tar files, decoded on the CPU, for frameworks that decode none themselves.

simplejpeg decodes 1.15 times as fast as Pillow, which images without simplejpeg use. The order is
that of `benchdock data convert`, so that a folder and what was converted from it are read alike.
"""

import io
import os
import random
from collections import namedtuple

import numpy as np

from backends.harness import archives, folders, images
from backends.harness.errors import DataProblem, Unsupported

FORMATS = ("images", "webdataset")
PNG = b"\x89PNG\r\n\x1a\n"


Sample = namedtuple("Sample", "path inside start size label")
Sample.__doc__ = (
    """An image: a file, or `size` bytes from `start` of an archive, where it is `inside`."""
)


class Crops(object):
    """The images of a dataset, each cropped, by their place in an endless order."""

    def __init__(self, reading):
        """List the images; `filter` says what decodes."""
        self.filter, self._decode = _decoder()
        self._side = reading.side
        self._seed = reading.seed if reading.augment else None
        self._samples = _samples(reading)

    def at(self, place):
        """A crop, (side, side, 3), uint8, and its label: the centre, or a random one that only
        depends on seed and place. Raises DataProblem.
        """
        sample = self._samples[place % len(self._samples)]
        try:
            image = self._decode(_stored(sample))
        except Exception as error:  # each decoder has its own
            raise DataProblem("%s cannot be decoded: %s" % (_name(sample), error)) from error
        room = [size - self._side for size in image.shape[:2]]
        if min(room) < 0:
            raise DataProblem("%s is %d x %d, too small" % ((_name(sample),) + image.shape[1::-1]))
        top, left, mirrored = self._chosen(place, room)
        crop = image[top : top + self._side, left : left + self._side]
        return crop[:, ::-1] if mirrored else crop, sample.label

    def _chosen(self, place, room):
        """Where to crop, and whether to mirror."""
        if self._seed is None:
            return room[0] // 2, room[1] // 2, False
        numbers = random.Random("%d %d" % (self._seed, place))
        return numbers.randint(0, room[0]), numbers.randint(0, room[1]), numbers.random() < 0.5


def _samples(reading):
    folder = reading.folder
    if reading.format == "webdataset":
        paths = images.files(folder, images.SIGNS["webdataset"])
        return [Sample(*one) for one in archives.listed(paths)]
    found = folders.listed(folder)
    return [Sample(os.path.join(folder, inside), "", 0, -1, label) for inside, label in found]


def _name(sample):
    return sample.path + (", " + sample.inside if sample.inside else "")


def _stored(sample):
    with open(sample.path, "rb") as file:
        file.seek(sample.start)
        return file.read(sample.size)


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
