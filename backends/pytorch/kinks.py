"""Which way ReLU and max pooling decided, so that two precisions can be compared.

A value within rounding of zero may fall on either side; one such decision in a late layer
moves a gradient norm by up to a per cent (measured: ResNet-50 has 9 of them, Inception-3
has 76 in a batch of 2), though nothing is wrong. So the double-precision step that judges
a single-precision one takes the same decisions; replacing ReLU by a smooth function, both
agree to 1e-5 without this.
"""

import torch
from torch.nn import functional


class Recorder(object):
    """Computes as usual and remembers the decisions, in order."""

    def __init__(self):
        """Nothing is decided yet."""
        self._decisions = []

    def made(self):
        """The decisions, in the host's memory."""
        return [decision.cpu() for decision in self._decisions]

    def functions(self):
        """What `build` wants to replace."""
        return {"relu": self._relu, "relu_": self._relu, "max_pool": self._max_pool}

    def _relu(self, x):
        self._decisions.append(x.detach() > 0)
        return functional.relu(x)

    def _max_pool(self, x, *window):
        result, indices = functional.max_pool2d(x, *window, return_indices=True)
        self._decisions.append(indices)
        return result


class Player(object):
    """Takes the decisions of a `Recorder`."""

    def __init__(self, decisions, where):
        """One forward pass on the device `where` uses them up."""
        self._decisions = (decision.to(where) for decision in decisions)

    def functions(self):
        """What `build` wants to replace."""
        return {"relu": self._relu, "relu_": self._relu, "max_pool": self._max_pool}

    def _relu(self, x):
        return x * next(self._decisions)

    def _max_pool(self, x, kernel, stride, pad=(0, 0), *_):
        decision = next(self._decisions)
        if decision.dtype == torch.bool:
            return _every_largest(x, decision, kernel, stride, pad)
        return x.flatten(2).gather(2, decision.flatten(2)).view_as(decision)


def _every_largest(x, largest, kernel, stride, pad):
    """Max pooling whose gradient goes, in full, to every value that is largest.

    `largest` is (N, C, kernel height * kernel width, height, width).
    """
    (height, width), (down, right) = largest.shape[3:], pad
    end_down = (height - 1) * stride[0] + kernel[0] - x.shape[2] - down
    end_right = (width - 1) * stride[1] + kernel[1] - x.shape[3] - right
    x = functional.pad(x, (right, end_right, down, end_down))
    windows = functional.unfold(x.flatten(0, 1).unsqueeze(1), kernel, stride=stride)
    windows = windows.view(largest.shape)
    values = windows.detach().masked_fill(~largest, float("-inf")).max(2)[0]
    return values + ((windows - windows.detach()) * largest).sum(2)
