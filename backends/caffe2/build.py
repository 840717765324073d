"""Converts a graph to a Caffe2 net, one native operator per node.

Blobs are named after nodes, parameters after themselves. As in handwritten nets, ReLU overwrites
its input if nothing else needs it; a `plain` net overwrites nothing.
"""

from collections import OrderedDict, namedtuple

import numpy as np
from caffe2.proto import caffe2_pb2
from caffe2.python import core, workspace

from backends.caffe2 import fusion, ideep
from backends.harness.errors import Unsupported
from backends.harness.folding import foldable
from backends.harness.sgd import MOMENTUM

DATA = "data"
LABEL = "label"
LOSS = "loss"
RATE = "learning_rate"

# Operators whose gradients do not need their unchanged output.
OVERWRITABLE = ("conv", "dense", "batch_norm", "add")

# Implemented by cuDNN, which is requested on a GPU.
CUDNN = ("Conv", "MaxPool", "AveragePool", "SpatialBN", "Relu", "LRN", "Dropout")

RECURRENT = "Caffe2's packages have no CTC loss"
GAPS = {"sequence": RECURRENT, "rnn": RECURRENT, "per_step": RECURRENT}

Built = namedtuple("Built", "net blobs")
Built.__doc__ = """A core.Net, and the names of its blobs by node."""


def build(graph, training, gpu=False, **choices):
    """The `Built` net of a graph; see `write` for the choices, to which `net_type` ("simple") adds
    how the net runs.
    """
    net_type = choices.pop("net_type", "simple")
    writer = write(core.Net(graph.name), graph, training, gpu, **choices)
    if training:
        found = writer.net.AddGradientOperators([add_loss(writer)])
        for parameter in graph.parameters:
            add_update(writer, parameter, found[parameter.name])
    writer.net.Proto().type = net_type
    return Built(writer.net, writer.blobs)


def write(net, graph, training, gpu=False, **choices):
    """Add a graph's operators to a net, in the current scope; return the `Writer`.

    `choices`: `plain` (False), `exhaustive` (False: cuDNN tries every algorithm in the first
    run), `ideep` (False: with Intel's operators), `fold` (False: with normalization inside
    convolutions, whose values must be folded).
    """
    for node in graph.nodes:
        if node.op in GAPS:
            raise Unsupported("Caffe2 does not support %s: %s" % (graph.name, GAPS[node.op]))
    writer = Writer(net, graph, training, gpu, choices)
    for node in graph.nodes:
        writer.write(node)
        writer.settle(node)
    return writer


class Writer(object):
    """The operators added so far; `blobs` are their results by node, without the scope."""

    def __init__(self, net, graph, training, gpu, choices):
        """See `write`."""
        self.graph = graph
        self.net = net
        self.training = training
        self.gpu = gpu
        self.plain = choices.get("plain", False)
        self.exhaustive = choices.get("exhaustive", False)
        self.ideep = choices.get("ideep", False)
        self.absorbs = foldable(graph) if choices.get("fold", False) else {}
        fuses = self.ideep and not self.plain and not training
        self._fusions = fusion.fusions(graph, self.absorbs) if fuses else {}
        self.blobs = OrderedDict()
        self._shared = set()
        self._readers = graph.readers

    def write(self, node):
        """Add what the node's value needs."""
        if node not in self._fusions:
            OPERATORS[node.op](self, node)
        elif self._fusions[node] is not None:
            self._fuse(self._fusions[node])

    def _fuse(self, fused):
        """Add a convolution that also does what follows it."""
        conv, top = fused.conv, fused.last.name
        inputs = [self.blobs[conv.inputs[0].name]] + parameters_of(conv, self.absorbs)
        if fused.addend is not None:
            top = self.blobs[fused.addend.name]
            inputs.append(top)
        arguments = dict(_window(conv), fusion_type=fused.kind, training_mode=0)
        ideep.add(self.net, "ConvFusion", inputs, [top], **arguments)
        parts = (conv, self.absorbs.get(conv), fused.last) + fused.last.inputs[:1]
        for part in parts:
            if part is not None:
                self.blobs[part.name] = top

    def add(self, kind, node, roles=(), more=(), **arguments):
        """Add an operator that reads the node's inputs and its arrays of these roles."""
        inputs = [self.blobs[source.name] for source in node.inputs]
        inputs += ["%s.%s" % (node.name, role) for role in roles]
        top = inputs[0] if self._overwrites(node) else node.name
        self.blobs[node.name] = top
        if self.gpu and kind in CUDNN:
            arguments.setdefault("engine", "CUDNN")
        if self.ideep and kind in ideep.TRAINING_MODE:
            arguments["training_mode"] = int(self.training)
        outputs = [top] + list(more)
        if self.ideep and ideep.lacks(kind, arguments):
            self._add_native(kind, inputs, outputs, arguments)
        else:
            getattr(self.net, kind)(inputs, outputs, **arguments)

    def _add_native(self, kind, inputs, outputs, arguments):
        """Add an operator of Caffe2's own among Intel's."""
        read, written = outputs[0] + "_read", outputs[0] + "_written"
        ideep.add(self.net, ideep.TO_NATIVE, inputs[:1], [read])
        getattr(self.net, kind)(
            [read] + inputs[1:], [written] + outputs[1:], device_option=ideep.native(), **arguments
        )
        ideep.add(self.net, ideep.FROM_NATIVE, [written], outputs[:1])

    def skip(self, node):
        """Give the node the value of its input."""
        self.blobs[node.name] = self.blobs[node.inputs[0].name]

    def settle(self, node):
        """Call after a node was written; a part of a fusion may not have a blob yet."""
        if len(self._readers[node]) > 1 and node.name in self.blobs:
            self._shared.add(self.blobs[node.name])

    def _overwrites(self, node):
        if self.plain or node.op != "relu" or node.inputs[0].op not in OVERWRITABLE:
            return False
        return self.blobs[node.inputs[0].name] not in self._shared


def add_loss(writer, scale=1.0):
    """Add the mean loss of the batch, multiplied by a number; return its blob."""
    logits = writer.blobs[writer.graph.output.name]
    return writer.net.SoftmaxWithLoss([logits, LABEL], ["softmax", LOSS], scale=scale)[1]


def add_update(writer, parameter, gradient):
    """Add the update of a parameter by the blob of its gradient."""
    net, name = writer.net, parameter.name
    if writer.ideep and len(parameter.shape) > 1:
        gradient = ideep.in_plain_order(net, gradient)
    # Turns the gradient into what is subtracted: rate * gradient + momentum * before.
    net.MomentumSGDUpdate(
        [gradient, momentum_of(name), RATE, name],
        [gradient, momentum_of(name), name],
        momentum=MOMENTUM,
        nesterov=0,
    )


def momentum_of(parameter):
    """Name of the blob with a parameter's momentum."""
    return parameter + "_momentum"


def _window(node):
    a = node.attrs
    return {
        "kernels": list(a["kernel"]),
        "strides": list(a["stride"]),
        "pads": list(a["pad"]),
        "order": "NCHW",
    }


def _input(writer, node):
    writer.blobs[node.name] = DATA


def _conv(writer, node):
    arguments = _window(node)
    if writer.gpu and writer.exhaustive:
        arguments["exhaustive_search"] = 1
    writer.add("Conv", node, _roles(node, writer.absorbs), **arguments)


def _roles(conv, absorbs):
    """Without a bias the operator takes two inputs."""
    return ("weight", "bias")[: 1 + (conv.attrs["bias"] or conv in absorbs)]


def parameters_of(conv, absorbs):
    """Names of the blobs with a convolution's parameters."""
    return ["%s.%s" % (conv.name, role) for role in _roles(conv, absorbs)]


def _dense(writer, node):
    if not node.attrs["bias"]:
        raise Unsupported("Caffe2's FC always adds a bias, %s has none" % node.name)
    writer.add("FC", node, ("weight", "bias"))


def _batch_norm(writer, node):
    if node.inputs[0] in writer.absorbs:
        writer.skip(node)
        return
    a = node.attrs
    arguments = {"epsilon": a["eps"], "momentum": a["decay"], "order": "NCHW"}
    roles = ("gamma", "beta", "mean", "variance")
    if not writer.training:
        writer.add("SpatialBN", node, roles, is_test=1, **arguments)
        return
    name = node.name
    more = [name + ".mean", name + ".variance", name + "_batch_mean", name + "_batch_scale"]
    writer.add("SpatialBN", node, roles, more, is_test=0, **arguments)


def _relu(writer, node):
    writer.add("Relu", node)


def _lrn(writer, node):
    a = node.attrs
    more = [node.name + "_scale"]
    writer.add(
        "LRN",
        node,
        (),
        more,
        size=a["size"],
        alpha=a["alpha"],
        beta=a["beta"],
        bias=a["k"],
        order="NCHW",
    )


def _max_pool(writer, node):
    arguments, pad = _window(node), node.attrs["pad"]
    if writer.gpu and pad[:2] != pad[2:]:
        # cuDNN's operator refuses uneven padding, and would be preferred if none were named.
        arguments["engine"] = "DEFAULT"
    writer.add("MaxPool", node, **arguments)


def _avg_pool(writer, node):
    arguments = _window(node)
    if not any(node.attrs["pad"]) or counts_padding():
        writer.add("AveragePool", node, count_include_pad=1, **arguments)
        return
    top, left, bottom, right = arguments.pop("pads")
    padded = node.name + "_padded"
    writer.net.PadImage(
        [writer.blobs[node.inputs[0].name]],
        [padded],
        pad_t=top,
        pad_l=left,
        pad_b=bottom,
        pad_r=right,
        mode="constant",
        value=0.0,
        order="NCHW",
    )
    writer.net.AveragePool([padded], [node.name], **arguments)
    writer.blobs[node.name] = node.name


def counts_padding():
    """Whether this Caffe2's AveragePool supports count_include_pad, added in late 2018."""
    x, y = "count_padding_x", "count_padding_y"
    # Not where and under which name a net is being written.
    with core.DeviceScope(core.DeviceOption(caffe2_pb2.CPU)), core.NameScope("", reset=True):
        workspace.FeedBlob(x, np.ones((1, 1, 2, 2), dtype=np.float32))
        operator = core.CreateOperator(
            "AveragePool",
            [x],
            [y],
            kernels=[2, 2],
            strides=[2, 2],
            pads=[1, 1, 1, 1],
            count_include_pad=1,
            order="NCHW",
        )
        workspace.RunOperatorOnce(operator)
    return float(workspace.FetchBlob(y)[0, 0, 0, 0]) == 0.25


def _dropout(writer, node):
    if writer.training:
        mask = [node.name + "_mask"]
        writer.add("Dropout", node, (), mask, ratio=float(node.attrs["rate"]), is_test=0)
    else:
        writer.skip(node)


def _flatten(writer, node):
    writer.add("Flatten", node)


def _scale(writer, node):
    writer.add("Scale", node, scale=node.attrs["factor"])


def _add(writer, node):
    writer.add("Sum", node)


def _concat(writer, node):
    writer.add("Concat", node, (), [node.name + "_sizes"], axis=1)


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
