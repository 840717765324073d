"""Images from a folder per class or a WebDataset, by PyTorch's DataLoader.

Workers send bytes: sending float32 through shared memory costs a quarter of the speed.
"""

import numpy as np
import torch
from torch.utils import data

from backends.harness import decoding, images
from backends.harness.errors import DataProblem

FORMATS = decoding.FORMATS
ERRORS = ()


def opened(reading):
    """The reader."""
    return Reader(reading)


class Reader(object):
    """A DataLoader over an endless order of batches."""

    def __init__(self, reading):
        """List the folder and start the workers."""
        crops = decoding.Crops(reading)
        self.filter = crops.filter
        self.workers, self.prefetch = reading.workers, reading.prefetch
        loader = data.DataLoader(
            Samples(crops), batch_sampler=Batches(reading), num_workers=reading.workers
        )
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
    """Crops as tensors."""

    def __init__(self, crops):
        """`crops` is what `decoding.Crops` lists."""
        self._crops = crops

    def __getitem__(self, place):
        """A crop, (side, side, 3), uint8, and its label."""
        crop, label = self._crops.at(place)
        return torch.from_numpy(np.ascontiguousarray(crop)), label


class Batches(data.Sampler):
    """The places of this rank's batches, without end."""

    def __init__(self, reading):
        """`reading` says which of them are this rank's."""
        self._reading = reading

    def __iter__(self):
        """Yield lists."""
        return decoding.turns(self._reading)
