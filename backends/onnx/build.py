"""Converts a graph to an ONNX model, one native operator (or a few) per node.

Opset 13 with IR version 7 (ONNX 1.8): the newest that TensorRT 8.0 reads, and every operator that
the zoo needs has its final meaning for inference in it. Nothing is left to a default that depends
on the reader.

A node's value is the tensor that bears the node's name, except dropout's: inference has no
operator for it, so its value is its input's (see `Model.tensor`).
"""

from collections import OrderedDict

import numpy as np
import onnx
from onnx import TensorProto, helper

from backends.harness import VERSION
from backends.harness.errors import Unsupported
from backends.harness.operators import check_operators
from backends.zoo import weights

OPSET = 13
IR_VERSION = 7

# The limit of a protobuf message; above it weights would need separate files.
LARGEST = 2**31 - 1

BATCH = "batch"  # the name of a batch size that is dynamic

# -- operators: model, node, its inputs' tensors; each leaves a tensor of the node's name -----


def _conv(model, node, x):
    a = node.attrs
    inputs = [x, model.parameter(node, "weight")]
    if node in model.absorbs:
        bias = node.name + ".bias"
        inputs.append(model.constant(bias, (a["filters"],), lambda values: values[bias]))
    elif a["bias"]:
        inputs.append(model.parameter(node, "bias"))
    model.add("Conv", inputs, node.name, **_window(a))


def _window(attrs):
    """All start paddings, then all end paddings: top, left, bottom, right, as in the zoo."""
    return {"kernel_shape": attrs["kernel"], "strides": attrs["stride"], "pads": attrs["pad"]}


def _batch_norm(model, node, x):
    if node.inputs[0] in model.absorbs:
        model.alias(node, x)
        return
    inputs = [x] + [model.parameter(node, r) for r in ("gamma", "beta", "mean", "variance")]
    model.add("BatchNormalization", inputs, node.name, epsilon=node.attrs["eps"])


def _dense(model, node, x):
    inputs = [x, model.parameter(node, "weight")]
    if node.attrs["bias"]:
        inputs.append(model.parameter(node, "bias"))
    model.add("Gemm", inputs, node.name, transB=1)


def _per_step(model, node, x):
    """Gemm takes matrices only, and MatMul has no transposition: the weight is stored so."""
    weight = node.parameters[0]
    matrix = model.constant(
        weight.name, weight.shape[::-1], lambda values: values[weight.name].transpose()
    )
    product = node.name + "_product" if node.attrs["bias"] else node.name
    model.add("MatMul", [x, matrix], product)
    if node.attrs["bias"]:
        model.add("Add", [product, model.parameter(node, "bias")], node.name)


def _relu(model, node, x):
    model.add("Relu", [x], node.name)


def _lrn(model, node, x):
    a = node.attrs
    model.add("LRN", [x], node.name, size=a["size"], alpha=a["alpha"], beta=a["beta"], bias=a["k"])


def _max_pool(model, node, x):
    model.add("MaxPool", [x], node.name, **_window(node.attrs))


def _avg_pool(model, node, x):
    model.add("AveragePool", [x], node.name, count_include_pad=1, **_window(node.attrs))


def _dropout(model, node, x):
    model.alias(node, x)


def _flatten(model, node, x):
    model.add("Flatten", [x], node.name, axis=1)


def _add(model, node, x, y):
    model.add("Add", [x, y], node.name)


def _concat(model, node, *tensors):
    model.add("Concat", tensors, node.name, axis=1)


def _scale(model, node, x):
    model.add("Mul", [x, model.number(node.name + "_factor", node.attrs["factor"])], node.name)


def _sequence(model, node, x):
    steps_first = model.add("Transpose", [x], node.name + "_steps", perm=(0, 2, 1, 3))
    model.add("Reshape", [steps_first, model.keep_two(node)], node.name)


def _rnn(model, node, x):
    """ONNX wants (steps, batch, features) and gives (steps, directions, batch, hidden)."""
    hidden = node.attrs["hidden"]
    features = node.inputs[0].shape[1]
    x = model.add("Transpose", [x], node.name + "_steps", perm=(1, 0, 2))
    for layer in range(node.attrs["layers"]):
        prefix = "%s_l%d_" % (node.name, layer)
        inputs = [x] + _rnn_weights(model, node, layer, features)
        ways = model.add(
            "RNN",
            inputs,
            prefix + "directions",
            direction="bidirectional",
            activations=["Relu", "Relu"],
            hidden_size=hidden,
        )
        beside = model.add("Transpose", [ways], prefix + "beside", perm=(0, 2, 1, 3))
        x = model.add("Reshape", [beside, model.keep_two(node)], prefix + "steps")
        features = 2 * hidden
    model.add("Transpose", [x], node.name, perm=(1, 0, 2))


def _rnn_weights(model, node, layer, features):
    """Tensors W, R and B of a layer, which hold both directions."""
    hidden = node.attrs["hidden"]
    stems = ["%s.l%d_%s_" % (node.name, layer, way) for way in ("forward", "backward")]

    def matrices(role):
        return lambda values: np.stack([values[stem + role] for stem in stems])

    def biases(values):
        both = [(values[s + "bias_input"], values[s + "bias_hidden"]) for s in stems]
        return np.stack([np.concatenate(pair) for pair in both])

    name = "%s.l%d_" % (node.name, layer)
    return [
        model.constant(name + "weight_input", (2, hidden, features), matrices("weight_input")),
        model.constant(name + "weight_hidden", (2, hidden, hidden), matrices("weight_hidden")),
        model.constant(name + "bias", (2, 2 * hidden), biases),
    ]


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

# -- the model -----------------------------------------------------------------------------


class Model(object):
    """A model being built; `proto` is ONNX's ModelProto."""

    def __init__(self, graph, values, batch, absorbs):
        """See `build`."""
        self.graph = graph
        self.absorbs = absorbs
        self.proto = onnx.ModelProto(
            ir_version=IR_VERSION, producer_name="benchdock", producer_version=VERSION
        )
        self.proto.opset_import.add(domain="", version=OPSET)
        self.proto.graph.name = graph.name
        self._values = values
        self._batch = BATCH if batch is None else batch
        self._aliases = {}
        self._stored = set()
        helper.set_model_props(self.proto, {"fingerprint": graph.fingerprint})
        self._declare(self.proto.graph.input, graph.input.name, graph.input_shape)
        for node in graph.nodes[1:]:
            OPERATORS[node.op](self, node, *[self.tensor(source) for source in node.inputs])
        self._declare(self.proto.graph.output, graph.output.name, graph.output.shape)

    def tensor(self, node):
        """Name of the tensor that is a node's value."""
        return self._aliases.get(node, node.name)

    def alias(self, node, tensor):
        """Use a node's value for another node."""
        self._aliases[node] = tensor

    def add(self, op, inputs, output, **attributes):
        """Append an operator; return its output."""
        self.proto.graph.node.extend([helper.make_node(op, inputs, [output], output, **attributes)])
        return output

    def parameter(self, node, role):
        """A parameter or statistic as it is in the zoo."""
        name = node.name + "." + role
        shape = next(p.shape for p in node.parameters + node.statistics if p.name == name)
        return self.constant(name, shape, lambda values: values[name])

    def constant(self, name, shape, make):
        """A float32 array that `make` computes from the values; without values a free input."""
        if self._values is None:
            declared = helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            self.proto.graph.input.extend([declared])
        else:
            array = make(self._values)
            if array.shape != tuple(shape):
                raise ValueError("%s is %s, not %s" % (name, array.shape, shape))
            self._store(name, TensorProto.FLOAT, array.astype("<f4"))
        return name

    def number(self, name, value):
        """A constant number."""
        return self._store(name, TensorProto.FLOAT, np.array(value, "<f4"))

    def keep_two(self, node):
        """The target of a Reshape that keeps two axes and joins the rest."""
        return self._store(node.name + "_keep_two", TensorProto.INT64, np.array([0, 0, -1], "<i8"))

    def _store(self, name, kind, array):
        if name not in self._stored:
            self._stored.add(name)
            tensor = self.proto.graph.initializer.add(name=name, data_type=kind)
            tensor.dims.extend(array.shape)
            tensor.raw_data = array.tobytes()
        return name

    def _declare(self, where, name, shape):
        shape = (self._batch,) + tuple(shape)
        where.extend([helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)])


def build(graph, values, batch=None, absorbs=()):
    """A `Model`; raises `Unsupported` for an operator we do not have or weights too large for a
    file.

    `batch` is the size of every run; None makes it dynamic. `values` maps names to arrays; if it is
    None the weights are inputs of the model, which is enough to infer shapes. `absorbs` are the
    convolutions that do the normalization after them too, with values that are folded.
    """
    check_operators(graph, OPERATORS)
    if graph.published * 4 > LARGEST:
        raise Unsupported("%s has more weights than fit into one ONNX file" % graph.name)
    return Model(graph, values, batch, absorbs)


class Drawn(object):
    """Values of a graph that are computed on demand and not kept."""

    def __init__(self, graph, seed):
        """The same numbers as `weights.for_graph`."""
        self._shapes = {a.name: a.shape for a in graph.parameters + graph.statistics}
        self._seed = seed

    def __getitem__(self, name):
        """Float32 array of a parameter or statistic."""
        return weights.value(name, self._shapes[name], self._seed)


def serialised(graph, seed, batch=None):
    """A model's file, as bytes."""
    return build(graph, Drawn(graph, seed), batch).proto.SerializeToString()


def with_outputs(model):
    """Serialized model that also outputs every node's value, and the nodes' tensors by name.

    The new outputs are declared without a shape: inferring it is the reader's work.
    """
    tensors = OrderedDict((node.name, model.tensor(node)) for node in model.graph.nodes)
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    known = {value.name for value in list(proto.graph.input) + list(proto.graph.output)}
    for tensor in tensors.values():
        if tensor not in known:
            known.add(tensor)
            proto.graph.output.add(name=tensor)
    return proto.SerializeToString(), tensors
