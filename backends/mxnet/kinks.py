"""Which way ReLU and max pooling decided, so that two precisions can be compared.

A value within rounding of zero may fall on either side, and one such decision moves a
gradient norm by far more than rounding does. So the double-precision step that judges a
single-precision one takes the same decisions.
"""

from collections import OrderedDict

import mxnet as mx
import numpy as np

from backends.mxnet import composed

SUFFIX = ".decision"


def watched(network):
    """Names of decisions, with the node and the symbol they can be read from."""
    found = OrderedDict()
    for node in network.graph.nodes:
        if node.op in ("relu", "max_pool"):
            source = node if node.op == "relu" else node.inputs[0]
            found[node.name + SUFFIX] = node, network.symbols[source]
        for layer in range(node.attrs["layers"] if node.op == "rnn" else 0):
            inner = network.symbols[node].get_internals()
            symbol = inner["%s_l%d_output" % (node.name, layer)]
            found["%s.l%d%s" % (node.name, layer, SUFFIX)] = node, symbol
    return found


def decided(node, array):
    """The decision as an array that `playing` understands."""
    if node.op == "max_pool":
        return winners(node, array)
    return (array > 0).astype(np.float64)


def winners(node, x):
    """Of every window the position of its largest value: (2, N * C * H * W) row and column.

    Rows are planes of the input, columns its pixels; of equals the first wins.
    """
    (kh, kw), (sh, sw), (top, left) = (node.attrs[k][:2] for k in ("kernel", "stride", "pad"))
    height, width = node.shape[1:]
    low, high = np.arange(height) * sh - top, np.arange(width) * sw - left
    planes = x.reshape((-1,) + x.shape[2:])
    best = np.full((len(planes), height, width), -np.inf, x.dtype)
    column = np.zeros(best.shape, np.int64)
    for i in range(kh):
        for j in range(kw):
            rows, columns = low + i, high + j
            inside = ((rows >= 0) & (rows < x.shape[2]))[:, None] & (
                (columns >= 0) & (columns < x.shape[3])
            )
            rows, columns = rows.clip(0, x.shape[2] - 1), columns.clip(0, x.shape[3] - 1)
            value = planes[:, rows[:, None], columns]
            better = inside & (value > best)
            best = np.where(better, value, best)
            column = np.where(better, rows[:, None] * x.shape[3] + columns, column)
    plane = np.broadcast_to(np.arange(len(planes))[:, None, None], best.shape)
    return np.stack([plane.reshape(-1), column.reshape(-1)])


def double(decisions):
    """Operators for float64, which take the decisions where there are any."""
    free = {"lrn": composed.lrn, "rnn": _rnn(not decisions)}
    return dict(free, relu=_relu, max_pool=_max_pool) if decisions else free


def _decision(node):
    return mx.sym.Variable(node.name + SUFFIX)


def _relu(node, _plan, x):
    return x * _decision(node)


def _max_pool(node, _plan, x):
    values = mx.sym.gather_nd(mx.sym.reshape(x, shape=(-3, -3)), _decision(node))
    return mx.sym.reshape(values, shape=(-1,) + node.shape)


def _rnn(free):
    def build(node, _plan, x):
        hidden, inputs = node.attrs["hidden"], node.inputs[0].shape[1]
        for layer in range(node.attrs["layers"]):
            prefix = "%s.l%d" % (node.name, layer)
            made = None if free else mx.sym.Variable(prefix + SUFFIX)
            length = 2 * hidden * (inputs + hidden + 2)
            packed = mx.sym.Variable(prefix + "_packed", shape=(length,))
            sizes = (node.shape[0], inputs, hidden)
            x = composed.recurrent_layer(packed, x, sizes, _step_relu(made, hidden))
            inputs = 2 * hidden
        return x

    return build


def _step_relu(made, hidden):
    """ReLU of one direction's step; `made` holds decisions as (steps, batch, 2 * hidden)."""

    def relu(y, direction, step):
        if made is None:
            return mx.sym.Activation(y, act_type="relu")
        mine = mx.sym.slice_axis(made, axis=0, begin=step, end=step + 1)
        mine = mx.sym.slice_axis(
            mine, axis=2, begin=direction * hidden, end=(direction + 1) * hidden
        )
        return y * mx.sym.reshape(mine, shape=(-3, 0))

    return relu
