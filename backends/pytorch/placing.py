"""Where a batch lies before the step that computes it."""

import torch

from backends import options


def place_of(settings):
    """The option's value, as used."""
    asked = settings.options.get(options.DATA_PLACE, "auto")
    if asked != "auto":
        return asked
    held = settings.data is None or settings.measure == "compute"
    return options.DEVICE if held else options.PAGEABLE


class Pinned(object):
    """Page-locked memory, which a GPU reads while the CPU goes on."""

    def __init__(self, held):
        """`held` says that all batches are the same one: then it is there before the first step."""
        self._held = held
        self._staged = None
        self._copied = None

    def copy(self, arrays, targets):
        """Queue the copy of a batch to tensors on the device."""
        first = self._staged is None
        if first:
            self._staged = [torch.empty_like(one, device="cpu").pin_memory() for one in targets]
            self._copied = torch.cuda.Event()
        if first or not self._held:
            # The device may still read the last batch; before the first record this returns.
            self._copied.synchronize()
            for staged, array in zip(self._staged, arrays):
                staged.copy_(torch.from_numpy(array))
        for staged, target in zip(self._staged, targets):
            target.copy_(staged, non_blocking=True)
        self._copied.record()
