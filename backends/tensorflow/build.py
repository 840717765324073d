"""Converts a graph to TensorFlow operations, one native call per node.

This code is both traced into functions of TensorFlow 2 and added to graphs of TensorFlow 1: every
call exists in both, from 1.4 to 2.21. If their names differ, it uses the v1 module that both have.
"""

from collections import OrderedDict

import numpy as np
import tensorflow as tf

from backends.harness import release
from backends.harness.errors import Unsupported
from backends.harness.folding import foldable, folded
from backends.harness.operators import check_operators
from backends.tensorflow.native import Arrays, native_padding

v1 = getattr(getattr(tf, "compat", tf), "v1", tf)


# -- operators: node, drawing, inputs -> value ---------------------------------------------


def _conv(node, t, x):
    strides, padding = t.window(node.attrs["stride"]), native_padding(node)
    if padding is None and EXPLICIT_PADDING:
        padding = t.paddings(node.attrs["pad"])
    elif padding is None:
        x, padding = tf.pad(x, t.paddings(node.attrs["pad"])), "VALID"
    weight = t.weight(node.name + ".weight")
    y = tf.nn.conv2d(x, weight, strides, padding, data_format=t.data_format)
    return _biased(node, t, y, t.data_format)


# Lists of numbers as padding came with 1.14.
EXPLICIT_PADDING = release.numbers(tf.__version__) >= (1, 14)


def _biased(node, t, y, data_format):
    if not node.attrs["bias"] and node not in t.absorbing:
        return y
    return tf.nn.bias_add(y, t.weight(node.name + ".bias"), data_format)


def _batch_norm(node, t, x):
    if node.inputs[0] in t.absorbing:
        return x
    roles = ("gamma", "beta", "mean", "variance")
    gamma, beta, mean, variance = (t.weight(node.name + "." + role) for role in roles)
    y, seen_mean, seen_variance = v1.nn.fused_batch_norm(
        x,
        gamma,
        beta,
        # Without batch statistics these are used; with them they must not be given.
        mean=None if t.training else mean,
        variance=None if t.training else variance,
        epsilon=node.attrs["eps"],
        data_format=t.data_format,
        is_training=t.training,
    )[:3]
    if t.training:  # the variance that comes back is the unbiased one
        decay = node.attrs["decay"]
        for role, old, new in (("mean", mean, seen_mean), ("variance", variance, seen_variance)):
            t.updates.append((node.name + "." + role, old * decay + new * (1 - decay)))
    return y


def _dense(node, t, x):
    return _biased(node, t, tf.matmul(x, t.weight(node.name + ".weight")), None)


def _per_step(node, t, x):
    flat = tf.matmul(tf.reshape(x, [-1, x.shape[-1]]), t.weight(node.name + ".weight"))
    return tf.reshape(_biased(node, t, flat, None), [-1] + list(node.shape))


def _relu(_node, _t, x):
    return tf.nn.relu(x)


def _lrn(node, t, x):
    a, dtype = node.attrs, x.dtype
    x = t.to_channels_last(x)
    # TensorFlow does not divide alpha by the size of the window.
    alpha = a["alpha"] / a["size"]
    # Squares do not fit into float16, and bfloat16 has no kernel.
    y = tf.nn.lrn(tf.cast(x, tf.float32), a["size"] // 2, a["k"], alpha, a["beta"])
    return t.from_channels_last(tf.cast(y, dtype))


def _max_pool(node, t, x):
    a, padding = node.attrs, native_padding(node)
    if padding is None:  # "SAME" ignores what is outside; the lowest number never wins
        x, padding = tf.pad(x, t.paddings(a["pad"]), constant_values=x.dtype.min), "VALID"
    kernel, stride = t.window(a["kernel"]), t.window(a["stride"])
    return tf.nn.max_pool(x, kernel, stride, padding, data_format=t.data_format)


def _avg_pool(node, t, x):
    a = node.attrs
    if not any(a["pad"]) and a["kernel"] == node.inputs[0].shape[1:]:
        axes = [1, 2] if t.channels_last else [2, 3]
        return v1.reduce_mean(x, axes, True)
    if any(a["pad"]):  # "SAME" would not count the zeros
        x = tf.pad(x, t.paddings(a["pad"]))
    kernel, stride = t.window(a["kernel"]), t.window(a["stride"])
    return tf.nn.avg_pool(x, kernel, stride, "VALID", data_format=t.data_format)


def _dropout(node, t, x):
    if not t.training:
        return x
    kept = 1 - node.attrs["rate"]
    mask = tf.floor(v1.random_uniform(tf.shape(x), dtype=tf.float32) + kept)
    return x * tf.cast(mask * (1 / kept), x.dtype)


def _flatten(node, t, x):
    if t.channels_last and node not in t.orders:
        x = tf.transpose(x, [0, 3, 1, 2])
    return tf.reshape(x, [-1] + list(node.shape))


def _sequence(node, t, x):
    """To (N, T, F * C) where that order is absorbed, else (N, T, C * F)."""
    if not t.channels_last:
        x = tf.transpose(x, [0, 2, 1, 3])
    elif node not in t.orders:
        x = tf.transpose(x, [0, 1, 3, 2])
    return tf.reshape(x, [-1] + list(node.shape))


def _add(_node, _t, x, y):
    return x + y


def _concat(_node, t, *values):
    return tf.concat(values, t.channel_axis)


def _scale(node, _t, x):
    return x * tf.constant(node.attrs["factor"], x.dtype)


def _rnn(node, t, x):
    """Steps first inside: one product with the inputs of all steps, then the recurrence."""
    a = node.attrs
    if a["activation"] != "relu" or not a["bidirectional"]:
        raise Unsupported("recurrent layers are bidirectional and relu here")
    steps = node.shape[0]
    x = tf.transpose(x, [1, 0, 2])
    for layer in range(a["layers"]):
        flat = tf.reshape(x, [-1, x.shape[-1]])
        ends = []
        for direction in ("forward", "backward"):
            prefix = "%s.l%d_%s_" % (node.name, layer, direction)
            pushed = tf.matmul(flat, t.weight(prefix + "weight_input"))
            bias = t.weight(prefix + "bias_input") + t.weight(prefix + "bias_hidden")
            pushed = tf.reshape(tf.nn.bias_add(pushed, bias), [steps, -1, a["hidden"]])
            backward = direction == "backward"
            ends.append(_recurrence(steps, backward)(pushed, t.weight(prefix + "weight_hidden")))
        x = tf.concat(ends, 2)
    return tf.transpose(x, [1, 0, 2])


def custom_gradient(function):
    """TensorFlow's; before 1.7, which has none, gradients are derived automatically."""
    if hasattr(tf, "custom_gradient"):
        return tf.custom_gradient(function)
    return lambda *inputs: function(*inputs)[0]


def _recurrence(steps, backward):
    """h = relu(pushed + h' W) over (steps, N, H), from the last step to the first if backward.

    The gradient of W is one product over all steps, as fused kernels do it; automatic
    differentiation would form and add up a matrix per step.
    """
    times = list(range(steps))
    if backward:
        times.reverse()

    @custom_gradient
    def run(pushed, weight):
        each = tf.unstack(pushed, steps)
        hidden = [None] * steps
        last = None
        for time in times:
            value = each[time] if last is None else each[time] + tf.matmul(last, weight)
            last = hidden[time] = tf.nn.relu(value)

        def gradient(upstream):
            slopes, later = [None] * steps, None
            ahead = tf.unstack(upstream, steps)
            for time in reversed(times):
                slope = ahead[time]
                if later is not None:
                    slope = slope + tf.matmul(later, weight, transpose_b=True)
                later = slope * tf.cast(hidden[time] > 0, slope.dtype)
                slopes[time] = later
            before = tf.concat([hidden[time] for time in times[:-1]], 0)
            after = tf.concat([slopes[time] for time in times[1:]], 0)
            return tf.stack(slopes), tf.matmul(before, after, transpose_a=True)

        return tf.stack(hidden), gradient

    return run


OPERATORS = {  # type: dict
    "conv": _conv,
    "batch_norm": _batch_norm,
    "dense": _dense,
    "per_step": _per_step,
    "relu": _relu,
    "lrn": _lrn,
    "max_pool": _max_pool,
    "avg_pool": _avg_pool,
    "dropout": _dropout,
    "flatten": _flatten,
    "add": _add,
    "concat": _concat,
    "scale": _scale,
    "sequence": _sequence,
    "rnn": _rnn,
}


# -- the network ---------------------------------------------------------------------------


class Network(object):
    """A graph with the choices of which operations to use on which arrays."""

    def __init__(self, graph, channels_last=True, fold=False):
        """`fold` puts normalization into convolutions; only for inference."""
        check_operators(graph, OPERATORS)
        self.graph = graph
        self.channels_last = channels_last
        self.arrays = Arrays(graph, channels_last)
        self.absorbing = foldable(graph) if fold else {}

    def native(self, values):
        """Native arrays of all parameters and statistics the network has, by canonical name."""
        if self.absorbing:
            values = folded(values, self.absorbing)
        gone = {norm.name for norm in self.absorbing.values()}
        names = [name for name in values if name.rsplit(".", 1)[0] not in gone]
        return OrderedDict((name, self.arrays.to_native(name, values[name])) for name in names)

    def native_inputs(self, inputs):
        """A batch as the network takes it."""
        if self.channels_last and inputs.ndim == 4:
            return np.ascontiguousarray(inputs.transpose(0, 2, 3, 1))
        return inputs


class Drawing(object):
    """One construction of a network's operations, and what the operators need besides inputs.

    `weight(name)` is a parameter or statistic as a tensor of the type computed in; those of a
    normalization are float32.
    """

    def __init__(self, network, weight, training=False):
        """`updates` collects (statistic's name, new value) during construction."""
        self.network = network
        self.weight = weight
        self.training = training
        self.channels_last = network.channels_last
        self.absorbing = network.absorbing
        self.orders = network.arrays.orders
        self.data_format = "NHWC" if self.channels_last else "NCHW"
        self.channel_axis = 3 if self.channels_last else 1
        self.updates = []

    def window(self, pair):
        """(height, width) as a number for every axis."""
        return [1] + list(pair) + [1] if self.channels_last else [1, 1] + list(pair)

    def paddings(self, pad):
        """(top, left, bottom, right) as a pair for every axis."""
        top, left, bottom, right = pad
        pairs = [[top, bottom], [left, right]]
        return [[0, 0]] + pairs + [[0, 0]] if self.channels_last else [[0, 0], [0, 0]] + pairs

    def to_channels_last(self, x):
        """An image for operations that only have that layout."""
        return x if self.channels_last else tf.transpose(x, [0, 2, 3, 1])

    def from_channels_last(self, y):
        """Back to the network's layout."""
        return y if self.channels_last else tf.transpose(y, [0, 3, 1, 2])

    def walk(self, x):
        """Yield (node, its value) in drawing order."""
        graph = self.network.graph
        alive = {}  # type: dict
        for node in graph.nodes:
            inputs = [alive[source] for source in node.inputs]
            alive[node] = OPERATORS[node.op](node, self, *inputs) if inputs else x
            yield node, alive[node]

    def logits(self, x):
        """The last value."""
        for _, value in self.walk(x):
            x = value
        return x
