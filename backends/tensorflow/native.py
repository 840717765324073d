"""Canonical arrays to TensorFlow's layouts and back, once per array and never per step;
padding as TensorFlow names it.

Framework-free. Kernels of convolutions are (height, width, in, out) in both layouts of
images; matrices are (in, out). Where images are channels last, `flatten` and `sequence`
leave their values in memory order, and the matrix they feed has its rows in that order.
"""

import numpy as np

# Operators that take their features in any order, because they have a weight for each.
ABSORBING = ("dense", "per_step", "rnn")
# Operators that do the same to each number, wherever it is.
PASSING = ("relu", "dropout", "scale")

AXES = {
    ("conv", "weight"): (2, 3, 1, 0),
    ("dense", "weight"): (1, 0),
    ("per_step", "weight"): (1, 0),
}


def orders(graph):
    """Node -> for each native feature the canonical one, of values in channels-last order."""
    users = graph.readers
    found = {}
    for node in graph.nodes:
        if node.op in ("flatten", "sequence"):
            if _absorbed(node, users):
                found[node] = _channels_last(node)
        elif node.op in PASSING and node.inputs[0] in found:
            found[node] = found[node.inputs[0]]
    return found


def _absorbed(node, users):
    def absorbs(user):
        return user.op in ABSORBING or (user.op in PASSING and _absorbed(user, users))

    return bool(users.get(node)) and all(absorbs(user) for user in users[node])


def _channels_last(node):
    channels, height, width = node.inputs[0].shape
    if node.op == "flatten":
        places = np.arange(channels * height * width).reshape(channels, height, width)
        return places.transpose(1, 2, 0).reshape(-1)
    return np.arange(channels * width).reshape(channels, width).T.reshape(-1)


def same_padding(size, kernel, stride):
    """What "SAME" adds before and after."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def native_padding(node):
    """TensorFlow's word for exactly this padding; None if there is none."""
    a = node.attrs
    if not any(a["pad"]):
        return "VALID"
    sides = [
        same_padding(size, kernel, stride)
        for size, kernel, stride in zip(node.inputs[0].shape[1:], a["kernel"], a["stride"])
    ]
    drawn = (a["pad"][0], a["pad"][2]), (a["pad"][1], a["pad"][3])
    return "SAME" if tuple(sides) == drawn else None


class Arrays(object):
    """The conversion of a graph's parameters and statistics in one layout of images."""

    def __init__(self, graph, channels_last):
        """Find what is permuted."""
        self.orders = orders(graph) if channels_last else {}
        self._axes = {}
        self._rows = {}
        for node in graph.nodes:
            for parameter in node.parameters:
                self._note(node, parameter)

    def _note(self, node, parameter):
        axes = AXES.get((node.op, parameter.role))
        if node.op == "rnn" and "_weight_" in parameter.role:
            axes = (1, 0)
        if axes:
            self._axes[parameter.name] = axes
        order = self.orders.get(node.inputs[0])
        takes_input = parameter.role == "weight" or (
            parameter.role.startswith("l0_") and parameter.role.endswith("_weight_input")
        )
        if order is not None and takes_input:
            self._rows[parameter.name] = order

    def shape(self, parameter):
        """Native shape of a parameter or statistic."""
        axes = self._axes.get(parameter.name, range(len(parameter.shape)))
        return tuple(parameter.shape[axis] for axis in axes)

    def to_native(self, name, array):
        """Contiguous, as TensorFlow takes it."""
        array = array.transpose(self._axes.get(name, range(array.ndim)))
        order = self._rows.get(name)
        return np.ascontiguousarray(array if order is None else array[order])

    def to_canonical(self, name, array):
        """The array that was given to `to_native`."""
        order = self._rows.get(name)
        if order is not None:
            array = array[np.argsort(order)]
        axes = self._axes.get(name)
        return array if axes is None else array.transpose(np.argsort(axes))

    def value_to_canonical(self, node, array, channels_last):
        """A node's value, batch first, in the zoo's order."""
        if node in self.orders:
            return array[..., np.argsort(self.orders[node])]
        if channels_last and len(node.shape) == 3:
            return array.transpose(0, 3, 1, 2)
        return array
