"""Training and inference steps, and what parity and the self check need.

Fulfils the contract in `backends.harness`. Caffe2 keeps every array in one global
workspace, so a process holds one job at a time.
"""

import logging
from collections import OrderedDict

import numpy as np

# Caffe2 warns on import that a CPU build has no CUDA.
logging.getLogger().setLevel(logging.ERROR)

from caffe2.proto import caffe2_pb2  # noqa: E402
from caffe2.python import core, workspace  # noqa: E402

from backends import knobs, zoo  # noqa: E402
from backends.caffe2 import build as builder  # noqa: E402
from backends.caffe2.build import DATA, LABEL, LOSS  # noqa: E402
from backends.harness import (  # noqa: E402
    arguments,
    blas,
    data,
    job,
    machine,
    parity,
    substitute,
    trial,
)
from backends.harness.errors import Unsupported  # noqa: E402
from backends.zoo import weights  # noqa: E402

FRAMEWORK = "caffe2"
OPTIONS = knobs.KNOBS["caffe2"]

LEARNING_RATE = 1e-4
MOMENTUM = 0.9

_MEMORY_WORDS = ("out of memory", "std::bad_alloc", "defaultcpuallocator")


def version():
    """PyTorch's, whose part Caffe2 became; NGC's image has Caffe2 alone."""
    try:
        from torch.version import __version__ as found
    except ImportError:
        return "unknown"
    return str(found)


def classify(error):
    """Caffe2 says everything with RuntimeError."""
    text = str(error).lower()
    return "out_of_memory" if any(word in text for word in _MEMORY_WORDS) else None


def prepare(settings, graph):
    """A ready job; see the contract."""
    return Step(settings, graph, open_device(settings))


def open_device(settings):
    """The GPU's DeviceOption, None for the CPU; raises `Unsupported` for what is not there."""
    if settings.dtype != "float32":
        raise Unsupported("Caffe2 has no %s here; use float32" % settings.dtype)
    if settings.devices != 1:
        raise Unsupported("this backend runs Caffe2 on one device")
    if settings.device == "cpu":
        return None
    if not workspace.has_gpu_support:
        raise Unsupported("this Caffe2 was built without CUDA")
    return core.DeviceOption(caffe2_pb2.CUDA, 0)


def start(settings):
    """Initialise Caffe2 and clear its workspace; return the algebra library and the threads.

    Its default is one thread, whatever the machine has.
    """
    workspace.ResetWorkspace()
    threads = settings.threads or machine.cpus()
    core.GlobalInit(
        [
            "caffe2",
            "--caffe2_log_level=3",
            "--caffe2_omp_num_threads=%d" % threads,
            "--caffe2_mkl_num_threads=%d" % threads,
        ]
    )
    return blas.set_threads(threads)[0], threads


class Step(job.Job):
    """Forward to logits, or forward, loss, backward and a momentum SGD update."""

    def __init__(self, settings, graph, where):
        super(Step, self).__init__()
        training = settings.phase == "training"
        self.samples = settings.batch
        self.device_names = ["GPU 0" if where else machine.cpu_name()]
        self.options["blas"], self.threads = start(settings)
        self._where, self._training = where, training
        self._source = data.source(settings, graph)
        built = built_for(settings, graph, where, exhaustive=True)
        self.options["net_type"] = built.net.Proto().type
        if training:
            self.options.update(learning_rate=LEARNING_RATE, momentum=MOMENTUM)
        if where:
            self.options["cudnn_exhaustive_search"] = "on"
        fill(graph, weights.for_graph(graph, settings.seed), training, LEARNING_RATE, where)
        self._feed()
        self._net = create(built.net, self.threads)

    def _feed(self):
        x, y = self._source.next()
        workspace.FeedBlob(DATA, x, self._where)
        if self._training:
            workspace.FeedBlob(LABEL, y.astype(np.int32), self._where)

    def step(self):
        """One run of the net, which returns when all its operators are done."""
        if not self._source.fixed:
            self._feed()
        workspace.RunNet(self._net)

    def loss(self):
        """Of the last step."""
        return float(workspace.FetchBlob(LOSS)) if self._training else None

    def peak_memory(self):
        """Of the process; Caffe2 does not tell a GPU's."""
        return None if self._where else super(Step, self).peak_memory()

    def close(self):
        """Stop reading data, free the arrays."""
        self._source.close()
        workspace.ResetWorkspace()


def built_for(settings, graph, where, **choices):
    """The `build.Built` of a benchmark; `choices` are the builder's."""
    net_type = settings.options["net_type"]
    if net_type == "auto":
        # On a CPU the operators share its threads already; on a GPU the other types wait for
        # the device after every operator.
        net_type = "async_scheduling" if where else "simple"
    training = settings.phase == "training"
    built = builder.build(
        graph, training, bool(where), momentum=MOMENTUM, net_type=net_type, **choices
    )
    if where:
        built.net.Proto().device_option.CopyFrom(where)
    return built


def create(net, threads):
    """Make the net runnable; return its name. Nets of other types than "simple" have workers."""
    if net.Proto().type != "simple" and not net.Proto().HasField("device_option"):
        net.Proto().num_workers = threads
    workspace.CreateNet(net, True)
    return net.Name()


def fill(graph, values, training, rate, where=None):
    """Put parameters, statistics and, in training, rate and momentum into the workspace."""
    for name in values:
        workspace.FeedBlob(name, values[name], where)
    if training:
        workspace.FeedBlob(builder.RATE, np.array([rate], dtype=np.float32), where)
        for parameter in graph.parameters:
            zeros = np.zeros(parameter.shape, dtype=np.float32)
            workspace.FeedBlob(builder.momentum_of(parameter.name), zeros, where)


# -- parity and the self check -------------------------------------------------------------


def _infer(settings, graph, values, inputs, plain=False):
    where = open_device(settings)
    _, threads = start(settings)
    built = built_for(settings, graph, where, plain=plain)
    fill(graph, values, False, 0.0, where)
    workspace.FeedBlob(DATA, inputs, where)
    workspace.RunNet(create(built.net, threads))
    return built


def shapes(graph):
    """Every node's shape in the net that a benchmark runs; it is run to know them."""
    zeros = OrderedDict(
        (array.name, np.zeros(array.shape, dtype=np.float32))
        for array in graph.parameters + graph.statistics
    )
    settings = arguments.one_step(graph.name, "inference", 1, arguments.choose(OPTIONS, []))
    built = _infer(settings, graph, zeros, np.zeros((1,) + graph.input_shape, dtype=np.float32))
    for node in graph.nodes:
        yield node.name, workspace.FetchBlob(built.blobs[node.name]).shape[1:]


def forward(settings, graph, values, inputs):
    """Logits as a benchmark computes them."""
    built = _infer(settings, graph, values, inputs)
    return workspace.FetchBlob(built.blobs[graph.output.name])


def activations(settings, graph, values, inputs):
    """Every node's value, nothing overwritten."""
    built = _infer(settings, graph, values, inputs, plain=True)
    for node in graph.nodes:
        yield node.name, workspace.FetchBlob(built.blobs[node.name])


def training_step(settings, graph, values, inputs, labels, precise=False, decisions=None):
    """One step of a benchmark's net; momentum does nothing in the first.

    Caffe2's operators have no float64: PyTorch's takes its place where it is installed.
    """
    if precise:
        return substitute.training_step(graph, values, inputs, labels, decisions)
    where = open_device(settings)
    _, threads = start(settings)
    built = built_for(settings, graph, where, dropout=False)
    fill(graph, values, True, parity.RATE, where)
    workspace.FeedBlob(DATA, inputs, where)
    workspace.FeedBlob(LABEL, labels.astype(np.int32), where)
    workspace.RunNet(create(built.net, threads))
    gradients = OrderedDict(
        (name, workspace.FetchBlob(blob) / np.float32(parity.RATE))
        for name, blob in built.gradients.items()
    )
    updated, statistics = _fetch(graph.parameters), _fetch(graph.statistics)
    # On a CPU, MaxPool's gradient goes in full to every value that equals the largest, where
    # other frameworks choose one. It matters where a pool reads a pool: in GoogLeNet.
    made = substitute.decisions(
        graph, lambda node: workspace.FetchBlob(built.blobs[node.name]), every_largest=not where
    )
    return parity.Step(float(workspace.FetchBlob(LOSS)), gradients, updated, statistics, made)


def _fetch(arrays):
    return OrderedDict((array.name, workspace.FetchBlob(array.name)) for array in arrays)


def self_check():
    """Build every model's nets, and run the smallest through both phases."""
    graphs = [zoo.draw(name) for name in zoo.names()]
    graphs = [g for g in graphs if not any(node.op in builder.GAPS for node in g.nodes)]
    for graph in graphs:
        for training in (False, True):
            builder.build(graph, training)
    ran = trial.run_smallest(prepare, OPTIONS, graphs)
    return "%d models build, %s trains and infers" % (len(graphs), ran)
