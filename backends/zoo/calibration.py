"""Weights for comparing a training step in single precision with double precision.

The weights of `backends.zoo.weights` do not allow it, for three reasons, each solved here:

* A ReLU whose input is within rounding of zero may fall on either side, and one such decision in a
  late layer changes a gradient's norm by up to a per cent. Here every channel is entirely on one
  side, three of four above zero and one below, by `MARGIN` of its spread.
* Random networks are chaotic: each layer makes a perturbation about 1.2 times as large (Yang et al.
  2019, "A mean field theory of batch normalization"). A channel that is entirely on one side is
  linear, and rounding does not grow in it.
* The epsilon of a normalisation disappears behind variances of order one. Here a normalisation's
  input has a variance of `EXPOSURE` epsilons, so twice the epsilon makes each of its gradients 1 /
  (2 * EXPOSURE) smaller.

The values depend on the inputs, which decide where a channel is. The referee computes them, so
every image gets the same ones.
"""

from collections import OrderedDict

import numpy as np

from backends.zoo import backward, referee, weights

MARGIN = 0.5
EXPOSURE = 400.0
DEAD_EVERY = 4  # one in this many channels is below zero

# A layer's outputs vary by so much: a step moves a weight by the square of what goes in for what
# comes out, and must not move channels across zero. Where LRN follows, its sum of squares,
# multiplied by 2e-5 in AlexNet and GoogLeNet, must count beside one; from there on each layer
# shrinks what goes in by `SHRINK` at most.
SPREAD = 0.1
LRN_SPREAD = 4.0
SHRINK = 2.0
LOGIT_SPREAD = 0.1


def exposed(graph, values):
    """The same network in inference, its running variances on average `EXPOSURE` epsilons."""
    result = OrderedDict(values)
    for node in graph.nodes:
        if node.op == "batch_norm" and node.inputs[0].op == "conv":
            factor = np.sqrt(EXPOSURE * node.attrs["eps"])
            _scale(result, node.inputs[0], factor)
            result[node.name + ".mean"] = result[node.name + ".mean"] * np.float32(factor)
            result[node.name + ".variance"] = result[node.name + ".variance"] * np.float32(
                factor**2
            )
    return result


def for_training(graph, inputs, seed):
    """Name -> float32 array of all parameters and statistics, for steps on these inputs.

    The batch's order does not matter, so these values also suit the reversed batch.
    """
    values = exposed(graph, weights.for_graph(graph, seed))
    arrays, left = {}, _Uses(graph)
    for depth, node in enumerate(graph.nodes):
        if node is graph.input:
            arrays[node] = np.asarray(inputs, dtype=np.float64)
            continue
        sources = [arrays[source] for source in node.inputs]
        array = _computed(node, values, sources)
        if node.op in ("conv", "dense", "per_step"):
            array = _spread(graph, left, values, node, sources[0], array)
        if any(user.op == "relu" for user in left.users(node)):
            array = _one_sided(values, node, array, depth)
        arrays[node] = array
        for source in left.finished(node):
            del arrays[source]
    return values


class _Uses(object):
    """Tracks the users of a node's value, and when it is no longer needed."""

    def __init__(self, graph):
        self._users = graph.readers

    def users(self, node):
        return self._users[node]

    def finished(self, node):
        return [source for source in set(node.inputs) if self._users[source][-1] is node]


def _computed(node, values, sources):
    if node.op == "batch_norm":
        return backward.normalised(node, values, sources[0], backward.Rules())[0]
    return referee.apply(node, values, sources)


def _scale(values, node, factor):
    for role in ("weight", "bias"):
        name = node.name + "." + role
        if name in values:
            values[name] = values[name] * np.float32(factor)


def _spread(graph, left, values, node, source, array):
    """Scale a layer's weights so that its outputs vary as they should."""
    following = left.users(node)
    if any(user.op == "batch_norm" for user in following):
        norm = following[0]
        target = np.sqrt(EXPOSURE * norm.attrs["eps"])
    elif node is graph.output:
        target = LOGIT_SPREAD
    elif any(user.op in ("scale", "add") for user in following):
        return array  # a residual branch keeps its share
    elif node.inputs[0] is graph.input:
        target = LRN_SPREAD if _feeds_lrn(left, node) else SPREAD
    else:
        target = max(SPREAD, np.sqrt(_variances(source).mean()) / SHRINK)
    found = array.std() if node is graph.output else np.sqrt(_variances(array).mean())
    factor = np.float32(target / found)
    _scale(values, node, factor)
    return array * np.float64(factor)


def _variances(array):
    """Per channel, over the batch and all positions."""
    return array.var(axis=(0,) + tuple(range(2, array.ndim)))


def _feeds_lrn(left, node):
    while node.op != "lrn":
        following = left.users(node)
        if len(following) != 1 or following[0].op not in ("relu", "max_pool", "lrn"):
            return False
        node = following[0]
    return True


def _one_sided(values, node, array, depth):
    """Move every channel to one side of zero, by the bias or beta that shifts it."""
    axes = (0,) + tuple(range(2, array.ndim))
    lowest, highest = array.min(axis=axes), array.max(axis=axes)
    margin = MARGIN * np.sqrt(_variances(array).mean())
    dead = (np.arange(array.shape[1]) + depth) % DEAD_EVERY == 0
    shift = np.where(dead, -highest - margin, -lowest + margin)
    name, factor = _offset(node)
    before = values[name]
    values[name] = (before + shift / factor).astype(np.float32)
    moved = (values[name].astype(np.float64) - before) * factor
    return array + moved.reshape((-1,) + (1,) * (array.ndim - 2))


def _offset(node):
    """(name of the parameter that shifts a node's channels, by how much for each unit)."""
    if node.op == "batch_norm":
        return node.name + ".beta", 1.0
    if node.op in ("conv", "dense") and node.attrs["bias"]:
        return node.name + ".bias", 1.0
    if node.op == "scale":
        name, factor = _offset(node.inputs[0])
        return name, factor * node.attrs["factor"]
    if node.op == "add":
        return _offset(node.inputs[1])
    raise ValueError("no parameter shifts the channels of %s (%s)" % (node.name, node.op))
