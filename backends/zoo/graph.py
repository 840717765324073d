"""The graph of operations that defines a network of the zoo.

Drawing methods return nodes, so branches are ordinary Python values: ``x = g.relu(g.conv(x, 64, 3,
pad=1))``. Shapes are inferred at once and never contain the batch; a layer that does not fit raises
`GraphError` on the line that adds it. Frameworks have no choice: every attribute in `OPS` is on
every node.

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

import hashlib
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

# A model's kind decides its data and its loss.
KINDS = ("image", "vector", "speech")

NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_")
FINGERPRINT_DIGITS = 16


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


class Graph(object):
    """A network: nodes in the order they were drawn, which is topological."""

    def __init__(self, name, input_shape, classes, kind="image"):
        """`input_shape` is (C, H, W), (C, T, F) for speech or (F,); without the batch."""
        if kind not in KINDS:
            raise GraphError("%s: kind is one of %s, not %r" % (name, ", ".join(KINDS), kind))
        self.name = name
        self.kind = kind
        self.classes = classes
        self.input_shape = tuple(input_shape)
        self.nodes = []
        self.output = None
        self._positions = {}
        self._names = set()
        self._counters = {}
        self._scope = ""
        if not self.input_shape or not all(_is_positive(n) for n in self.input_shape):
            raise GraphError("%s: bad input shape %s" % (name, self.input_shape))
        attrs = {"shape": self.input_shape}
        self.input = self._add("input", (), attrs, self.input_shape, "input")

    # -- drawing -----------------------------------------------------------------------

    def scope(self, prefix):
        """Prefix names inside ``with g.scope("unit1"):`` unit1_conv1, unit1_relu1..."""
        return _Scope(self, prefix)

    def conv(self, x, filters, kernel, stride=1, *, pad=0, bias=True, name=None):
        """Sizes are a number or (height, width), pad also (top, left, bottom, right)."""
        name = self._name("conv", name)
        self._check(name, x, 3)
        _require(_is_positive(filters), name, "filters must be a positive integer", filters)
        _require(isinstance(bias, bool), name, "bias must be True or False", bias)
        window = _window(name, kernel, stride, pad)
        shape = (filters,) + _slide(name, x.shape, window)
        attrs = dict(window, filters=filters, bias=bias)
        return self._add("conv", (x,), attrs, shape, name)

    def batch_norm(self, x, eps, decay=0.9, name=None):
        """Normalise per channel; `decay` is the share of the old statistic that is kept."""
        name = self._name("batch_norm", name)
        self._check(name, x, 3)
        _require(_is_number(eps) and eps > 0, name, "eps must be positive", eps)
        _require(_is_number(decay) and 0 <= decay < 1, name, "decay must be in [0, 1)", decay)
        attrs = {"eps": float(eps), "decay": float(decay)}
        return self._add("batch_norm", (x,), attrs, x.shape, name)

    def dense(self, x, units, bias=True, name=None):
        """Fully connected layer on a flat value."""
        name = self._name("dense", name)
        self._check(name, x, 1)
        return self._add("dense", (x,), _units(name, units, bias), (units,), name)

    def relu(self, x, name=None):
        """max(x, 0)."""
        name = self._name("relu", name)
        self._check(name, x)
        return self._add("relu", (x,), {}, x.shape, name)

    def lrn(self, x, *, size, alpha, beta, k, name=None):
        """Local response normalisation across channels; alpha is divided by `size`."""
        name = self._name("lrn", name)
        self._check(name, x, 3)
        _require(_is_positive(size) and size % 2 == 1, name, "size must be an odd integer", size)
        _require(all(map(_is_number, (alpha, beta, k))), name, "not numbers", (alpha, beta, k))
        attrs = {"size": size, "alpha": float(alpha), "beta": float(beta), "k": float(k)}
        return self._add("lrn", (x,), attrs, x.shape, name)

    def max_pool(self, x, kernel, stride=1, *, pad=0, round_up=False, name=None):
        """With `round_up`, end padding is added until the last window reaches the edge."""
        return self._pool("max_pool", x, (kernel, stride, pad), round_up, name)

    def avg_pool(self, x, kernel, stride=1, *, pad=0, name=None):
        """Average with padding counted as zeros."""
        return self._pool("avg_pool", x, (kernel, stride, pad), False, name)

    def dropout(self, x, rate, name=None):
        """`rate` is the share dropped in training."""
        name = self._name("dropout", name)
        self._check(name, x)
        _require(_is_number(rate) and 0 < rate < 1, name, "rate must be between 0 and 1", rate)
        return self._add("dropout", (x,), {"rate": rate}, x.shape, name)

    def flatten(self, x, name=None):
        """(C, H, W) to (C * H * W,), row-major."""
        name = self._name("flatten", name)
        self._check(name, x, 3)
        return self._add("flatten", (x,), {}, (product(x.shape),), name)

    def add(self, x, y, name=None):
        """Sum of two values of one shape; nothing is broadcast."""
        name = self._name("add", name)
        self._check(name, x)
        self._check(name, y)
        if x.shape != y.shape:
            raise GraphError(
                "%s: shapes differ: %s is %s, %s is %s" % (name, x.name, x.shape, y.name, y.shape)
            )
        return self._add("add", (x, y), {}, x.shape, name)

    def concat(self, values, name=None):
        """Join images along channels, in the order given."""
        name = self._name("concat", name)
        values = tuple(values)
        _require(len(values) > 1, name, "needs two values or more, got", len(values))
        for value in values:
            self._check(name, value, 3)
        if len({value.shape[1:] for value in values}) > 1:
            shapes = ", ".join("%s is %s" % (value.name, value.shape) for value in values)
            raise GraphError("%s: heights and widths differ: %s" % (name, shapes))
        shape = (sum(value.shape[0] for value in values),) + values[0].shape[1:]
        return self._add("concat", values, {}, shape, name)

    def scale(self, x, factor, name=None):
        """Multiply by a constant."""
        name = self._name("scale", name)
        self._check(name, x)
        _require(_is_number(factor), name, "factor must be a number", factor)
        return self._add("scale", (x,), {"factor": float(factor)}, x.shape, name)

    def sequence(self, x, name=None):
        """(C, T, F) to T steps of C * F features; axes are moved, not reinterpreted."""
        name = self._name("sequence", name)
        self._check(name, x, 3)
        channels, steps, features = x.shape
        return self._add("sequence", (x,), {}, (steps, channels * features), name)

    def rnn(self, x, hidden, layers, name=None):
        """Bidirectional ReLU layers of `hidden` units per direction, outputs side by side."""
        name = self._name("rnn", name)
        self._check(name, x, 2)
        _require(_is_positive(hidden), name, "hidden must be a positive integer", hidden)
        _require(_is_positive(layers), name, "layers must be a positive integer", layers)
        attrs = {"hidden": hidden, "layers": layers, "bidirectional": True, "activation": "relu"}
        return self._add("rnn", (x,), attrs, (x.shape[0], 2 * hidden), name)

    def per_step(self, x, units, bias=True, name=None):
        """One fully connected layer applied to each step."""
        name = self._name("per_step", name)
        self._check(name, x, 2)
        return self._add("per_step", (x,), _units(name, units, bias), (x.shape[0], units), name)

    def finish(self, output):
        """Declare the logits; every drawn value must have been used on the way to them."""
        self._check("output", output)
        if output.shape[-1] != self.classes:
            raise GraphError(
                "%s: %s yields %s, not %d classes"
                % (self.name, output.name, output.shape, self.classes)
            )
        used = {x for node in self.nodes for x in node.inputs}
        loose = [n.name for n in self.nodes if n not in used and n is not output]
        if output in used:
            raise GraphError(
                "%s: %s cannot be the output, it feeds others" % (self.name, output.name)
            )
        if loose:
            raise GraphError("%s: not on the way to the output: %s" % (self.name, ", ".join(loose)))
        self.output = output
        return self

    # -- what the drawing amounts to ---------------------------------------------------

    @property
    def parameters(self):
        """All trainable arrays, in drawing order."""
        return [parameter for node in self.nodes for parameter in node.parameters]

    @property
    def statistics(self):
        """All running means and variances, in drawing order; not trainable."""
        return [statistic for node in self.nodes for statistic in node.statistics]

    @property
    def learnable(self):
        """How many trainable numbers the network has."""
        return sum(node.learnable for node in self.nodes)

    @property
    def bn_statistics(self):
        """How many running means and variances it keeps."""
        return sum(2 * node.shape[0] for node in self.nodes if node.op == "batch_norm")

    @property
    def bn_layers(self):
        """How many batch normalisations it has."""
        return sum(node.op == "batch_norm" for node in self.nodes)

    @property
    def readers(self):
        """Node -> the nodes that read its value, in drawing order, once for each input."""
        found = OrderedDict((node, []) for node in self.nodes)  # type: dict
        for node in self.nodes:
            for source in node.inputs:
                found[source].append(node)
        return found

    @property
    def published(self):
        """The published table's count: Caffe also stores one factor per batch normalisation."""
        return self.learnable + self.bn_statistics + self.bn_layers

    @property
    def size_mib(self):
        """Size of the published count in float32, MiB (the table's "MB")."""
        return self.published * 4 / 2.0**20

    @property
    def macs(self):
        """Multiply-adds of one sample's forward pass."""
        return sum(node.macs for node in self.nodes)

    @property
    def canonical(self):
        """The text the fingerprint is a digest of.

        Names are left out: a renamed node computes the same. Python's repr of a float is the
        shortest exact one, so the text is the same on every version.
        """
        lines = ["graph %s %r %d" % (self.kind, self.input_shape, self.classes)]
        positions = self._positions
        for node in self.nodes:
            attrs = node.attrs
            words = ["%s=%r" % (key, attrs[key]) for key in OPS[node.op]]
            inputs = [positions[x] for x in node.inputs]
            lines.append("%s %s %r" % (node.op, " ".join(words), inputs))
        if self.output is not None:
            lines.append("output %d" % positions[self.output])
        return "\n".join(lines) + "\n"

    @property
    def fingerprint(self):
        """Digest that is equal exactly if the computation is."""
        digest = hashlib.sha256(self.canonical.encode("ascii")).hexdigest()
        return digest[:FINGERPRINT_DIGITS]

    # -- inside ------------------------------------------------------------------------

    def _name(self, op, name):
        if name is None:
            key = self._scope + op
            self._counters[key] = number = self._counters.get(key, 0) + 1
            name = "%s%d" % (op, number)
        name = self._scope + name
        if name in self._names:
            raise GraphError("%s: the name is taken" % name)
        if not name or not NAME_CHARACTERS.issuperset(name):
            raise GraphError("%r: a name has only lower case letters, digits and _" % name)
        return name

    def _check(self, name, x, rank=None):
        if not isinstance(x, Node) or x not in self._positions:
            raise GraphError("%s: its input %r is not a node of this graph" % (name, x))
        if rank is not None and len(x.shape) != rank:
            wanted = {1: "a flat value", 2: "steps of features", 3: "channels, height and width"}
            raise GraphError(
                "%s needs %s, but %s yields %s" % (name, wanted[rank], x.name, x.shape)
            )

    def _add(self, op, inputs, attrs, shape, name):
        node = Node(name, op, inputs, attrs, shape)
        self._positions[node] = len(self.nodes)
        self._names.add(name)
        self.nodes.append(node)
        return node

    def _pool(self, op, x, window, round_up, name):
        name = self._name(op, name)
        self._check(name, x, 3)
        attrs = _window(name, *window)
        if round_up:
            attrs["pad"] = _padded_to_edge(x.shape, attrs)
        top, left, bottom, right = attrs["pad"]
        # A window entirely in the padding would yield minus infinity.
        fits = max(top, bottom) < attrs["kernel"][0] and max(left, right) < attrs["kernel"][1]
        _require(fits, name, "padding must be smaller than the window", attrs["pad"])
        shape = x.shape[:1] + _slide(name, x.shape, attrs)
        return self._add(op, (x,), attrs, shape, name)


def without_dropout(graph):
    """The same network without dropout nodes; all names stay."""
    copy = Graph(graph.name, graph.input_shape, graph.classes, graph.kind)
    copies = {graph.input: copy.input}
    for node in graph.nodes[1:]:
        inputs = tuple(copies[source] for source in node.inputs)
        if node.op == "dropout":
            copies[node] = inputs[0]
        else:
            copies[node] = copy._add(node.op, inputs, node.attrs, node.shape, node.name)
    return copy.finish(copies[graph.output])


class _Scope(object):
    """Prefix of the names drawn inside a with statement."""

    __slots__ = ("graph", "outer", "prefix")

    def __init__(self, graph, prefix):
        self.graph = graph
        self.prefix = prefix
        self.outer = ""

    def __enter__(self):
        self.outer = self.graph._scope
        self.graph._scope = self.outer + self.prefix + "_"

    def __exit__(self, *exception):
        self.graph._scope = self.outer


def _require(condition, name, complaint, value):
    if not condition:
        raise GraphError("%s: %s: %r" % (name, complaint, value))


def _is_positive(number):
    return type(number) is int and number > 0


def _is_number(value):
    return type(value) in (int, float)


def _units(name, units, bias):
    _require(_is_positive(units), name, "units must be a positive integer", units)
    _require(isinstance(bias, bool), name, "bias must be True or False", bias)
    return {"units": units, "bias": bias}


def _numbers(value):
    if type(value) is int:
        return (value, value)
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)


def _window(name, kernel, stride, pad):
    """Attributes kernel (kh, kw), stride (sh, sw) and pad (top, left, bottom, right)."""
    kernel, stride, pad = _numbers(kernel), _numbers(stride), _numbers(pad)
    pad = pad * 2 if len(pad) == 2 else pad
    for what, pair in (("kernel", kernel), ("stride", stride)):
        good = len(pair) == 2 and _is_positive(pair[0]) and _is_positive(pair[1])
        _require(good, name, what + " must be a positive integer or two", pair)
    good = len(pad) == 4 and all(type(n) is int and n >= 0 for n in pad)
    _require(good, name, "pad must be one, two or four integers, none negative", pad)
    return {"kernel": kernel, "stride": stride, "pad": pad}


def _slide(name, shape, window):
    """Output height and width of a sliding window; only whole windows count."""
    top, left, bottom, right = window["pad"]
    sizes = (shape[1] + top + bottom, shape[2] + left + right)
    kernel, stride = window["kernel"], window["stride"]
    if sizes[0] < kernel[0] or sizes[1] < kernel[1]:
        raise GraphError(
            "%s: window %dx%d is larger than the %dx%d it slides over (padding included)"
            % ((name,) + kernel + sizes)
        )
    return (
        (sizes[0] - kernel[0]) // stride[0] + 1,
        (sizes[1] - kernel[1]) // stride[1] + 1,
    )


def _padded_to_edge(shape, window):
    """The padding that turns a size that is rounded up (Caffe's pooling) into one that is rounded
    down.
    """
    top, left, bottom, right = window["pad"]
    kernel, stride = window["kernel"], window["stride"]
    height = shape[1] + top + bottom - kernel[0]
    width = shape[2] + left + right - kernel[1]
    return (top, left, bottom + -height % stride[0], right + -width % stride[1])
