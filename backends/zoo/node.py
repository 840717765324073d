"""Nodes of a graph: the closed vocabulary of operators, their arrays and their work.

What each operator computes (channels first):

* conv: cross-correlation, weight (out, in, kh, kw), one group.
* batch_norm: gamma * (x - mean) / sqrt(variance + eps) + beta, per channel. Inference
  uses the running statistics; training normalises with the batch mean and the biased
  batch variance, and keeps ``decay`` of the old running statistics, whose variance is
  fed the unbiased batch variance.
* dense: weight (out, in). per_step is the same at each step of a (steps, features) value.
* lrn: x / (k + alpha / size * sum of x^2 over ``size`` neighbouring channels) ** beta.
* max_pool: padding is minus infinity. avg_pool: padding is zeros, and they are counted,
  so the divisor is always kh * kw. Both use only whole windows.
* dropout: ``rate`` is the share dropped; the identity in inference.
* flatten: row-major. sequence: (C, T, F) to (T, C * F), feature c * F + f.
* rnn: bidirectional layers, h = relu(W_i x + b_i + W_h h' + b_h) from h' = 0; the output
  of a step is forward | backward, and feeds the next layer.
* add, concat (along channels), scale (times a constant ``factor``), relu, input.
"""

from collections import OrderedDict

# Operator -> its attributes. The vocabulary is closed: a builder that has an entry for
# each of these can build every network.
OPS = OrderedDict(
    [
        ("input", ("shape",)),
        ("conv", ("filters", "kernel", "stride", "pad", "bias")),
        ("batch_norm", ("eps", "decay")),
        ("dense", ("units", "bias")),
        ("relu", ()),
        ("lrn", ("size", "alpha", "beta", "k")),
        ("max_pool", ("kernel", "stride", "pad")),
        ("avg_pool", ("kernel", "stride", "pad")),
        ("dropout", ("rate",)),
        ("flatten", ()),
        ("add", ()),
        ("concat", ()),
        ("scale", ("factor",)),
        ("sequence", ()),
        ("rnn", ("hidden", "layers", "bidirectional", "activation")),
        ("per_step", ("units", "bias")),
    ]
)


class GraphError(ValueError):
    """A layer does not fit; the message names the node and shapes."""


class Parameter(object):
    """One array a node owns; `name` is ``<node>.<role>``."""

    __slots__ = ("name", "node", "role", "shape")

    def __init__(self, node, role, shape):
        """`node` is the node's name."""
        self.name = node + "." + role
        self.node = node
        self.role = role
        self.shape = shape

    @property
    def size(self):
        """How many numbers it holds."""
        return product(self.shape)

    def __repr__(self):
        """Name and shape."""
        return "<Parameter %s %s>" % (self.name, self.shape)


class Node(object):
    """One operation and the value it yields; `shape` is that value's, without the batch."""

    __slots__ = ("_parameters", "_statistics", "attrs", "inputs", "name", "op", "shape")

    def __init__(self, name, op, inputs, attrs, shape):
        """Called by `Graph`, whose drawing methods check the arguments."""
        self.name = name
        self.op = op
        self.inputs = inputs
        self.attrs = attrs
        self.shape = shape
        self._parameters = None
        self._statistics = None

    @property
    def parameters(self):
        """The trainable arrays, in canonical order."""
        if self._parameters is None:
            self._parameters = [Parameter(self.name, r, s) for r, s in _parameter_shapes(self)]
        return self._parameters

    @property
    def statistics(self):
        """The arrays updated by training without a gradient: running mean and variance."""
        if self._statistics is None:
            shape = (self.shape[0],)
            roles = ("mean", "variance") if self.op == "batch_norm" else ()
            self._statistics = [Parameter(self.name, role, shape) for role in roles]
        return self._statistics

    @property
    def learnable(self):
        """How many trainable numbers the node has."""
        if self.op not in _PARAMETER_SHAPES:
            return 0
        return sum(product(shape) for _, shape in _parameter_shapes(self))

    @property
    def macs(self):
        """Multiply-adds per sample in matrix products and convolutions; nothing else counts."""
        count = _MACS.get(self.op)
        return count(self) if count else 0

    def __repr__(self):
        """Name, operator and output shape."""
        return "<Node %s: %s %s>" % (self.name, self.op, self.shape)


def product(numbers):
    """Multiply integers; 1 for none."""
    result = 1
    for number in numbers:
        result *= number
    return result


def _conv_parameters(node):
    a = node.attrs
    yield "weight", (a["filters"], node.inputs[0].shape[0]) + a["kernel"]
    if a["bias"]:
        yield "bias", (a["filters"],)


def _batch_norm_parameters(node):
    yield "gamma", (node.shape[0],)
    yield "beta", (node.shape[0],)


def _dense_parameters(node):
    units = node.attrs["units"]
    yield "weight", (units, node.inputs[0].shape[-1])
    if node.attrs["bias"]:
        yield "bias", (units,)


def _rnn_parameters(node):
    hidden = node.attrs["hidden"]
    features = node.inputs[0].shape[1]
    for layer in range(node.attrs["layers"]):
        for direction in ("forward", "backward"):
            prefix = "l%d_%s_" % (layer, direction)
            yield prefix + "weight_input", (hidden, features)
            yield prefix + "weight_hidden", (hidden, hidden)
            yield prefix + "bias_input", (hidden,)
            yield prefix + "bias_hidden", (hidden,)
        features = 2 * hidden


_PARAMETER_SHAPES = {
    "conv": _conv_parameters,
    "batch_norm": _batch_norm_parameters,
    "dense": _dense_parameters,
    "per_step": _dense_parameters,
    "rnn": _rnn_parameters,
}


def _parameter_shapes(node):
    shapes = _PARAMETER_SHAPES.get(node.op)
    return shapes(node) if shapes else ()


def _conv_macs(node):
    kernel = node.attrs["kernel"]
    return node.inputs[0].shape[0] * kernel[0] * kernel[1] * product(node.shape)


def _dense_macs(node):
    return node.inputs[0].shape[-1] * product(node.shape)


def _rnn_macs(node):
    matrices = (product(shape) for _, shape in _rnn_parameters(node) if len(shape) == 2)
    return node.shape[0] * sum(matrices)


_MACS = {"conv": _conv_macs, "dense": _dense_macs, "per_step": _dense_macs, "rnn": _rnn_macs}
