"""Converts a graph to prototxt: networks for inference and training, and the solver."""

from collections import namedtuple

from backends.caffe import dialects
from backends.caffe.dialects import Word
from backends.caffe.inputs import INPUT
from backends.caffe.layers import GAPS, OPERATORS
from backends.caffe.text import render
from backends.caffe.writer import Writer
from backends.harness.errors import Unsupported
from backends.harness.sgd import LEARNING_RATE, MOMENTUM

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
    network without Flatten), `engine` ("auto"; see `dialects.head`), `absorbs` ({}: convolutions
    with the normalization folded into their values, which has no layers then).
    """
    writer = Writer(graph, dialect, batch, training, _Choices(**choices))
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
        self.absorbs = given.pop("absorbs", {})
        # It ignores a sum's coefficients, and before release 5 it had no Flatten.
        self.tensorrt = given.pop("tensorrt", False)
        self.plain = self.plain or self.tensorrt
        if given:
            raise TypeError("unknown: %s" % ", ".join(sorted(given)))
