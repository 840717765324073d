"""Converts a graph to prototxt: networks for inference and training, and the solver.

Caffe cannot pad only at the end and rounds pooling up, so the geometry of a window is translated,
and refused if Caffe cannot do exactly the same. As in handwritten networks, layers that may
overwrite their input do so (BatchNorm, Scale, ReLU, Dropout), and a constant factor before a sum
becomes the sum's coefficient if the fork's sums have them; a `plain` network does neither, so every
node has a separate blob.
"""

from collections import OrderedDict, namedtuple

from backends.caffe import dialects
from backends.caffe.dialects import Word
from backends.caffe.text import render
from backends.harness.errors import Unsupported
from backends.harness.sgd import LEARNING_RATE, MOMENTUM

DATA = "data"
LABEL = "label"
LOSS = "loss"

# Node operator -> operators it may overwrite: their backward passes need the input, or only the
# sign of the output, which ReLU and Dropout do not change.
OVERWRITES = {
    "batch_norm": ("conv",),
    "relu": ("conv", "dense", "batch_norm", "add"),
    "dropout": ("relu",),
}

RECURRENT = "Caffe has no CTC loss, and its recurrent layer only has tanh"
GAPS = {"sequence": RECURRENT, "rnn": RECURRENT, "per_step": RECURRENT}

Source = namedtuple("Source", "kind path")
Source.__doc__ = """Where a network's batches come from.

`kind` is "input" (the program fills the blobs), "dummy" (a constant, made once by Caffe)
or "lmdb" (a database of Datum at `path`, as uint8 images).
"""

INPUT = Source("input", None)
DUMMY = Source("dummy", None)
# uint8 to -2..2, as `backends.harness.data` does.
CENTRE = 127.5
SPREAD = 63.75

Network = namedtuple("Network", "text blobs arrays output scales")
Network.__doc__ = """A network as text, and where things are in it.

`blobs` maps nodes to blobs' names, `arrays` parameters and statistics to (layer, index), `scales`
Scale layers to the BatchNorm layers before them.
"""


def network(graph, dialect, batch, training, **choices):
    """The `Network` of a graph.

    `choices`: `dtype` ("float32"), `source` (`INPUT`), `devices` (1), `plain` (False), `fillers`
    (False: only a program without weights needs Caffe to generate some), `round_mode` (False:
    pooling's round_mode of August 2018), `tensorrt` (False; for TensorRT's reader, a `plain`
    network without Flatten), `engine` ("auto"; see `dialects.head`).
    """
    writer = _Writer(graph, dialect, batch, training, _Choices(**choices))
    for node in graph.nodes:
        if node.op in GAPS:
            raise Unsupported(
                "%s does not support %s: %s" % (dialect.title, graph.name, GAPS[node.op])
            )
        OPERATORS[node.op](writer, node)
        writer.settle(node)
    if training:
        writer.loss()
    head = dialects.head(dialect, writer.choices.dtype, writer.choices.engine)
    text = render([("name", graph.name)] + head + writer.layers)
    output = writer.blobs[graph.output.name]
    return Network(text, writer.blobs, writer.arrays, output, writer.scales)


def solver(dialect, net, device, **choices):
    """A solver's text; `net` is the network's text or, as ``path=...``, its file's name.

    `choices`: `dtype`, `steps`, `display`, `seed`, `prefix` (of a snapshot's files; the solver
    writes one only on request).
    """
    fields = [
        ("type", "SGD"),
        ("base_lr", LEARNING_RATE),
        ("lr_policy", "fixed"),
        ("momentum", MOMENTUM),
        ("weight_decay", 0.0),
        ("max_iter", choices.get("steps", 2**31 - 1)),
        ("display", choices.get("display", 0)),
        ("snapshot", 0),
        ("snapshot_after_train", False),
        ("random_seed", choices.get("seed", 1)),
        ("solver_mode", Word(device.upper())),
    ]
    fields += dialect.solver_fields[choices.get("dtype", "float32")]
    if choices.get("prefix"):
        fields.append(("snapshot_prefix", choices["prefix"]))
    if choices.get("path"):
        return render([("net", choices["path"])] + fields)
    indented = "".join("  " + line for line in net.splitlines(True))
    return render(fields) + "train_net_param {\n" + indented + "}\n"


class _Choices(object):
    """Keyword arguments of `network` with their defaults."""

    def __init__(self, **given):
        self.dtype = given.pop("dtype", "float32")
        self.source = given.pop("source", INPUT)
        self.devices = given.pop("devices", 1)
        self.plain = given.pop("plain", False)
        self.fillers = given.pop("fillers", False)
        self.round_mode = given.pop("round_mode", False)
        self.engine = given.pop("engine", "auto")
        # It ignores a sum's coefficients, and before release 5 it had no Flatten.
        self.tensorrt = given.pop("tensorrt", False)
        self.plain = self.plain or self.tensorrt
        if given:
            raise TypeError("unknown: %s" % ", ".join(sorted(given)))


class _Writer(object):
    """The layers written so far."""

    def __init__(self, graph, dialect, batch, training, choices):
        self.graph = graph
        self.dialect = dialect
        self.batch = batch
        self.training = training
        self.choices = choices
        self.layers = []
        self.blobs = OrderedDict()
        self.arrays = OrderedDict()
        self.scales = {}
        self.factors = {}  # node -> its coefficient in the sum that reads it
        self._readers = graph.readers
        self._shared = set()  # blobs that more than one layer reads

    def layer(self, kind, name, bottoms, tops, *fields):
        """Append a layer."""
        entry = [("name", name), ("type", kind)]
        entry += [("bottom", bottom) for bottom in bottoms]
        entry += [("top", top) for top in tops]
        self.layers.append(("layer", entry + list(fields)))

    def unary(self, kind, node, *fields):
        """Append a layer with one input, which it overwrites if possible."""
        bottom = self.blobs[node.inputs[0].name]
        self.blobs[node.name] = top = bottom if self.may_overwrite(node) else node.name
        self.layer(kind, node.name, [bottom], [top], *fields)
        return top

    def skip(self, node):
        """Give the node the value of its input."""
        self.blobs[node.name] = self.blobs[node.inputs[0].name]

    def settle(self, node):
        """Call once a node's blob is known."""
        if len(self._readers[node]) > 1:
            self._shared.add(self.blobs[node.name])

    def may_overwrite(self, node):
        """Whether nothing else needs what the node reads."""
        source = node.inputs[0]
        if self.choices.plain or source.op not in OVERWRITES.get(node.op, ()):
            return False
        if self._shares_gradient(node):
            return False
        return self.blobs[source.name] not in self._shared

    def becomes_coefficient(self, node):
        """Whether the only reader of a `scale` node is a sum."""
        if self.choices.plain or self.dialect.plain_sums:
            return False
        return self._only_summed(node)

    def _shares_gradient(self, node):
        """Whether a sum gives the node the same gradient buffer as its other input.

        A node that overwrites its input also overwrites its gradient.
        """
        return self.training and self.dialect.plain_sums and self._only_summed(node)

    def _only_summed(self, node):
        return [reader.op for reader in self._readers[node]] == ["add"]

    def holds(self, node, roles, layer=None):
        """Record which blobs of a layer hold a node's arrays; None for one that is not ours."""
        for index, role in enumerate(roles):
            if role is not None:
                self.arrays["%s.%s" % (node.name, role)] = (layer or node.name, index)

    def filler(self, weights):
        """Fields for random weights and no bias, or none."""
        return [("weight_filler", [("type", "msra")])] if weights and self.choices.fillers else []

    def loss(self):
        """Mean softmax cross entropy."""
        bottoms = [self.blobs[self.graph.output.name], LABEL]
        how = ("loss_param", [("normalization", Word("VALID"))])
        self.layer("SoftmaxWithLoss", LOSS, bottoms, [LOSS], how)


def _input(writer, node):
    writer.blobs[node.name] = DATA
    if writer.choices.tensorrt and len(node.shape) != 3:
        raise Unsupported(
            "TensorRT's Caffe reader only supports images, which %s does not take"
            % writer.graph.name
        )
    shapes = [(DATA, (writer.batch,) + node.shape)]
    if writer.training:
        shapes.append((LABEL, (writer.batch,)))
    tops = [top for top, _ in shapes]
    dims = [("shape", [("dim", size) for size in shape]) for _, shape in shapes]
    kind = writer.choices.source.kind
    if kind == "input":
        for (top, _), dim in zip(shapes, dims):
            writer.layer("Input", top, [], [top], ("input_param", [dim]))
    elif kind == "dummy":
        # Constants are filled in once; random values would be generated again in every step.
        fillers = [("data_filler", [("type", "constant"), ("value", v)]) for v in (0.5, 0.0)]
        fields = dims + fillers[: len(dims)]
        writer.layer("DummyData", DATA, [], tops, ("dummy_data_param", fields))
    else:
        _database(writer, tops)


def _database(writer, tops):
    """A Data layer; its label is not used in inference, but always needed."""
    shape, batch = writer.graph.input_shape, writer.batch
    if len(shape) != 3:
        raise Unsupported(
            "Caffe's databases only hold images, which %s does not take" % writer.graph.name
        )
    if writer.dialect.divides_data_batch:
        batch *= writer.choices.devices
    values = [("scale", 1.0 / SPREAD)] + [("mean_value", CENTRE)] * shape[0]
    source = [
        ("source", writer.choices.source.path),
        ("batch_size", batch),
        ("backend", Word("LMDB")),
    ]
    tops = tops if LABEL in tops else tops + [LABEL]
    writer.layer("Data", DATA, [], tops, ("transform_param", values), ("data_param", source))


def _pair(name, pair):
    """One or two fields of a window: kernel, stride or pad."""
    if name == "kernel":
        return [("kernel_h", pair[0]), ("kernel_w", pair[1])]
    return [(name + "_h", pair[0]), (name + "_w", pair[1])]


def _window(node):
    """The fields of kernel, stride and (beginning) padding."""
    a = node.attrs
    return _pair("kernel", a["kernel"]) + _pair("stride", a["stride"]) + _pair("pad", a["pad"][:2])


def _conv(writer, node):
    a = node.attrs
    for axis in (0, 1):
        # Caffe pads both ends alike; more at the end than requested must not add a window.
        size, pad = node.inputs[0].shape[1 + axis], a["pad"][axis]
        count = (size + 2 * pad - a["kernel"][axis]) // a["stride"][axis] + 1
        if count != node.shape[1 + axis]:
            raise Unsupported("Caffe cannot pad %s only at one end" % node.name)
    fields = [("num_output", a["filters"]), ("bias_term", a["bias"])] + _window(node)
    param = ("convolution_param", fields + writer.filler(True))
    writer.unary("Convolution", node, param)
    writer.holds(node, ("weight", "bias")[: 1 + a["bias"]])


def _dense(writer, node):
    a = node.attrs
    fields = [("num_output", a["units"]), ("bias_term", a["bias"])]
    writer.unary("InnerProduct", node, ("inner_product_param", fields + writer.filler(True)))
    writer.holds(node, ("weight", "bias")[: 1 + a["bias"]])


def _batch_norm(writer, node):
    a = node.attrs
    frozen = [("param", [("lr_mult", 0.0), ("decay_mult", 0.0)])] * 3
    fields = [
        ("use_global_stats", not writer.training),
        ("moving_average_fraction", a["decay"]),
        ("eps", a["eps"]),
    ]
    if writer.dialect.fused_norm:
        fields.append(("scale_bias", True))
        writer.unary("BatchNorm", node, *(frozen + [("batch_norm_param", fields)]))
        writer.holds(node, ("mean", "variance", None, "gamma", "beta"))
        return
    scaled = node.name + "_scale"
    bottom = writer.blobs[node.inputs[0].name]
    plain = writer.choices.plain
    middle = bottom if writer.may_overwrite(node) else node.name + ("_norm" if plain else "")
    top = node.name if plain else middle
    writer.layer(
        "BatchNorm", node.name, [bottom], [middle], *(frozen + [("batch_norm_param", fields)])
    )
    writer.layer("Scale", scaled, [middle], [top], ("scale_param", [("bias_term", True)]))
    writer.blobs[node.name] = top
    writer.scales[scaled] = node.name
    writer.holds(node, ("mean", "variance"))
    writer.holds(node, ("gamma", "beta"), scaled)


def _relu(writer, node):
    writer.unary("ReLU", node)


def _lrn(writer, node):
    a = node.attrs
    fields = [
        ("local_size", a["size"]),
        ("alpha", a["alpha"]),
        ("beta", a["beta"]),
        ("k", a["k"]),
        ("norm_region", Word("ACROSS_CHANNELS")),
    ]
    writer.unary("LRN", node, ("lrn_param", fields))


def _pool(writer, node, method):
    fields = [("pool", Word(method))] + _window(node)
    counts = [_pooled(node, axis) for axis in (0, 1)]
    drawn = node.shape[1:]
    surplus = [count - size for count, size in zip(counts, drawn)]
    if min(surplus) < 0:
        raise Unsupported("Caffe's pooling cannot pad %s like this" % node.name)
    if method == "AVE" and (any(surplus) or not all(_whole(node, axis) for axis in (0, 1))):
        raise Unsupported("Caffe averages the cut windows of %s over fewer values" % node.name)
    if not any(surplus):
        writer.unary("Pooling", node, ("pooling_param", fields))
    elif writer.choices.round_mode:
        fields.append(("round_mode", Word("FLOOR")))
        writer.unary("Pooling", node, ("pooling_param", fields))
    else:
        _cropped(writer, node, fields)


def _cropped(writer, node, fields):
    """A pool that yields too much, and a layer that cuts out the wanted part."""
    if writer.choices.tensorrt:
        raise Unsupported("TensorRT's Caffe reader rounds %s up and cannot cut it" % node.name)
    larger, mould = node.name + "_rounded_up", node.name + "_size"
    shape = ("shape", [("dim", size) for size in (1, 1) + node.shape[1:]])
    filler = ("data_filler", [("type", "constant"), ("value", 0.0)])
    bottom = writer.blobs[node.inputs[0].name]
    writer.layer("Pooling", larger, [bottom], [larger], ("pooling_param", fields))
    writer.layer("DummyData", mould, [], [mould], ("dummy_data_param", [shape, filler]))
    crop = ("crop_param", [("axis", 2), ("offset", 0)])
    writer.layer("Crop", node.name, [larger, mould], [node.name], crop)
    writer.blobs[node.name] = node.name


def _pooled(node, axis):
    """How many windows Caffe makes: rounded up, but none that starts in the end padding."""
    a = node.attrs
    size, pad, stride = node.inputs[0].shape[1 + axis], a["pad"][axis], a["stride"][axis]
    count = -(-(size + 2 * pad - a["kernel"][axis]) // stride) + 1
    if pad and (count - 1) * stride >= size + pad:
        count -= 1
    return count


def _whole(node, axis):
    """Whether the last window ends within the padding, which Caffe counts as zeros."""
    a = node.attrs
    end = (node.shape[1 + axis] - 1) * a["stride"][axis] + a["kernel"][axis]
    return end <= node.inputs[0].shape[1 + axis] + 2 * a["pad"][axis]


def _max_pool(writer, node):
    _pool(writer, node, "MAX")


def _avg_pool(writer, node):
    _pool(writer, node, "AVE")


def _dropout(writer, node):
    if writer.training:
        ratio = ("dropout_param", [("dropout_ratio", node.attrs["rate"])])
        writer.unary("Dropout", node, ratio)
    else:
        writer.skip(node)


def _flatten(writer, node):
    if writer.choices.tensorrt:
        writer.skip(node)  # InnerProduct flattens what it reads
    else:
        writer.unary("Flatten", node)


def _scale(writer, node):
    if writer.becomes_coefficient(node):
        writer.factors[node] = node.attrs["factor"]
        writer.skip(node)
    else:
        writer.unary("Power", node, ("power_param", [("scale", node.attrs["factor"])]))


def _add(writer, node):
    factors = [writer.factors.get(source, 1.0) for source in node.inputs]
    fields = [("operation", Word("SUM"))]
    if any(factor != 1.0 for factor in factors):
        fields += [("coeff", factor) for factor in factors]
    bottoms = [writer.blobs[source.name] for source in node.inputs]
    writer.layer("Eltwise", node.name, bottoms, [node.name], ("eltwise_param", fields))
    writer.blobs[node.name] = node.name


def _concat(writer, node):
    bottoms = [writer.blobs[source.name] for source in node.inputs]
    writer.layer("Concat", node.name, bottoms, [node.name], ("concat_param", [("axis", 1)]))
    writer.blobs[node.name] = node.name


OPERATORS = {
    "input": _input,
    "conv": _conv,
    "batch_norm": _batch_norm,
    "dense": _dense,
    "relu": _relu,
    "lrn": _lrn,
    "max_pool": _max_pool,
    "avg_pool": _avg_pool,
    "dropout": _dropout,
    "flatten": _flatten,
    "scale": _scale,
    "add": _add,
    "concat": _concat,
}
