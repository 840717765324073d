"""Draws the graph of operations that defines a network of the zoo.

Drawing methods return nodes, so branches are ordinary Python values: ``x = g.relu(g.conv(x, 64, 3,
pad=1))``. Shapes are inferred at once and never contain the batch; a layer that does not fit raises
`GraphError` on the line that adds it. Frameworks have no choice: every attribute in `node.OPS` is
on every node.
"""

from backends.zoo.checks import is_number, is_positive, require, units_attributes
from backends.zoo.network import Network
from backends.zoo.node import GraphError, Node, product
from backends.zoo.windows import padded_to_edge, slide, window_attributes

# A model's kind decides its data and its loss.
KINDS = ("image", "vector", "speech")

NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_")


class Graph(Network):
    """A network that is being drawn."""

    def __init__(self, name, input_shape, classes, kind="image"):
        """`input_shape` is (C, H, W), (C, T, F) for speech or (F,); without the batch."""
        if kind not in KINDS:
            raise GraphError("%s: kind is one of %s, not %r" % (name, ", ".join(KINDS), kind))
        super(Graph, self).__init__(name, input_shape, classes, kind)
        self._names = set()
        self._counters = {}
        self._scope = ""
        if not self.input_shape or not all(is_positive(n) for n in self.input_shape):
            raise GraphError("%s: bad input shape %s" % (name, self.input_shape))
        attrs = {"shape": self.input_shape}
        self.input = self._add("input", (), attrs, self.input_shape, "input")

    def scope(self, prefix):
        """Prefix names inside ``with g.scope("unit1"):`` unit1_conv1, unit1_relu1..."""
        return _Scope(self, prefix)

    def conv(self, x, filters, kernel, stride=1, *, pad=0, bias=True, name=None):
        """Sizes are a number or (height, width), pad also (top, left, bottom, right)."""
        name = self._name("conv", name)
        self._check(name, x, 3)
        require(is_positive(filters), name, "filters must be a positive integer", filters)
        require(isinstance(bias, bool), name, "bias must be True or False", bias)
        window = window_attributes(name, kernel, stride, pad)
        shape = (filters,) + slide(name, x.shape, window)
        attrs = dict(window, filters=filters, bias=bias)
        return self._add("conv", (x,), attrs, shape, name)

    def batch_norm(self, x, eps, decay=0.9, name=None):
        """Normalise per channel; `decay` is the share of the old statistic that is kept."""
        name = self._name("batch_norm", name)
        self._check(name, x, 3)
        require(is_number(eps) and eps > 0, name, "eps must be positive", eps)
        require(is_number(decay) and 0 <= decay < 1, name, "decay must be in [0, 1)", decay)
        attrs = {"eps": float(eps), "decay": float(decay)}
        return self._add("batch_norm", (x,), attrs, x.shape, name)

    def dense(self, x, units, bias=True, name=None):
        """Fully connected layer on a flat value."""
        name = self._name("dense", name)
        self._check(name, x, 1)
        return self._add("dense", (x,), units_attributes(name, units, bias), (units,), name)

    def relu(self, x, name=None):
        """max(x, 0)."""
        name = self._name("relu", name)
        self._check(name, x)
        return self._add("relu", (x,), {}, x.shape, name)

    def lrn(self, x, *, size, alpha, beta, k, name=None):
        """Local response normalisation across channels; alpha is divided by `size`."""
        name = self._name("lrn", name)
        self._check(name, x, 3)
        require(is_positive(size) and size % 2 == 1, name, "size must be an odd integer", size)
        require(all(map(is_number, (alpha, beta, k))), name, "not numbers", (alpha, beta, k))
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
        require(is_number(rate) and 0 < rate < 1, name, "rate must be between 0 and 1", rate)
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
        require(len(values) > 1, name, "needs two values or more, got", len(values))
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
        require(is_number(factor), name, "factor must be a number", factor)
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
        require(is_positive(hidden), name, "hidden must be a positive integer", hidden)
        require(is_positive(layers), name, "layers must be a positive integer", layers)
        attrs = {"hidden": hidden, "layers": layers, "bidirectional": True, "activation": "relu"}
        return self._add("rnn", (x,), attrs, (x.shape[0], 2 * hidden), name)

    def per_step(self, x, units, bias=True, name=None):
        """One fully connected layer applied to each step."""
        name = self._name("per_step", name)
        self._check(name, x, 2)
        return self._add(
            "per_step", (x,), units_attributes(name, units, bias), (x.shape[0], units), name
        )

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
        attrs = window_attributes(name, *window)
        if round_up:
            attrs["pad"] = padded_to_edge(x.shape, attrs)
        top, left, bottom, right = attrs["pad"]
        # A window entirely in the padding would yield minus infinity.
        fits = max(top, bottom) < attrs["kernel"][0] and max(left, right) < attrs["kernel"][1]
        require(fits, name, "padding must be smaller than the window", attrs["pad"])
        shape = x.shape[:1] + slide(name, x.shape, attrs)
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
