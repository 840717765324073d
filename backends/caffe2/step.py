"""Training and inference jobs, and functions for parity and the self check.

Fulfils the contract in `backends.harness`. Caffe2 keeps every array in one global
workspace, so a process holds one job at a time.
"""

import logging
from collections import OrderedDict

import numpy as np

# Caffe2 warns on import that a CPU build has no CUDA.
logging.getLogger().setLevel(logging.ERROR)

from caffe2.proto import caffe2_pb2  # noqa: E402
from caffe2.python import workspace  # noqa: E402

from backends import zoo  # noqa: E402
from backends.caffe2 import build as builder  # noqa: E402
from backends.caffe2 import option_defaults, reader  # noqa: E402
from backends.caffe2.build import DATA, LABEL, LOSS  # noqa: E402
from backends.caffe2.device import open_place, start  # noqa: E402
from backends.harness import arguments, data, errors, job, machine, smoke  # noqa: E402
from backends.harness.folding import foldable, folded  # noqa: E402
from backends.harness.sgd import LEARNING_RATE, MOMENTUM  # noqa: E402

TYPE_CHECKING = False  # mypy takes it for true; typing has it since Python 3.5.2 only
if TYPE_CHECKING:
    from backends.harness.contract import Array, Arrays, Graph, Job, Kind, Settings, Shapes, Values

FRAMEWORK = "caffe2"
OPTIONS = option_defaults.OPTIONS
READER = reader

_MEMORY_WORDS = ("defaultcpuallocator",)


def version() -> str:
    """PyTorch's version, since Caffe2 became part of it; NGC's image only has Caffe2."""
    try:
        from torch.version import __version__ as found
    except ImportError:
        return "unknown"
    return str(found)


def classify(error: Exception) -> "Kind":
    """Caffe2 reports every error as RuntimeError."""
    return errors.kind_by_words(error, _MEMORY_WORDS)


def prepare(settings: "Settings", graph: "Graph", values: "Arrays") -> "Job":
    """A ready job; see the contract."""
    kind = Training if settings.phase == "training" else Inference
    return kind(settings, graph, values)


class Step(job.Fed):
    """Common to training and inference: one net, and its batches in the workspace."""

    def __init__(self, settings, graph, values):
        """Feed the arrays, create the net."""
        super(Step, self).__init__()
        self._place, used = open_place(settings)
        copies = self._place.copies
        self.samples = settings.batch * len(copies)
        self.device_names = [
            "GPU %d" % index if self._place.gpu else machine.cpu_name()
            for index in range(len(copies))
        ]
        self.options.update(used)
        self.options["blas"], self.threads = start(settings)
        self._graph = graph
        self._training = settings.phase == "training"
        # oneDNN and cuDNN choose one.
        self.every_largest = copies[0].device is None
        self.biased_variance = used["engine"] == option_defaults.IDEEP
        # A process has one reader, so one source has the batches of all copies.
        source = data.source(settings._replace(batch=self.samples), graph, reader=READER)
        self.feeds = [(source, self.feed)]
        self._net = None  # the net that a step runs
        self._built = built_for(settings, graph, self._place, used, exhaustive=True)
        if self._place.gpu:
            self.options["cudnn_exhaustive_search"] = "on"
        if len(copies) > 1:
            self.options["parallel"] = "data_parallel_model"
        feed(values_for(graph, values, used), copies)
        self.feed(*source.next())

    def feed(self, inputs, labels):
        """Copy a batch into the blobs that the net reads; inference has no labels."""
        copies = self._place.copies
        parts = zip(np.split(inputs, len(copies)), np.split(labels, len(copies)))
        for (prefix, device), (x, y) in zip(copies, parts):
            workspace.FeedBlob(prefix + DATA, x, device)
            if self._training:
                workspace.FeedBlob(prefix + LABEL, y.astype(np.int32), device)

    def work(self):
        """One run of the net, which returns when all its operators are done."""
        workspace.RunNet(self._net)

    def _fetched(self, name):
        """The values of a blob, of all copies one after the other."""
        return np.concatenate(
            [workspace.FetchBlob(copy.prefix + name) for copy in self._place.copies]
        )

    def peak_memory(self):
        """Of the process; Caffe2 does not report a GPU's."""
        return None if self._place.gpu else super(Step, self).peak_memory()

    def close(self):
        """Stop reading data, free the arrays."""
        super(Step, self).close()
        workspace.ResetWorkspace()


class Inference(Step):
    """Forward to logits with the running statistics."""

    def __init__(self, settings, graph, values):
        """See `Step`."""
        super(Inference, self).__init__(settings, graph, values)
        self._net = create(self._built.net, self.threads)

    def logits(self):
        """Of the last step, of all copies."""
        return self._fetched(self._built.blobs[self._graph.output.name])


class Training(Step):
    """Forward, loss, backward and a momentum SGD update."""

    def __init__(self, settings, graph, values):
        """See `Step`."""
        super(Training, self).__init__(settings, graph, values)
        self.options.update(learning_rate=LEARNING_RATE, momentum=MOMENTUM)
        rate = np.array([LEARNING_RATE], dtype=np.float32)
        for prefix, device in self._place.copies:
            # Intel's operators read it from an array of Caffe2's own.
            workspace.FeedBlob(prefix + builder.RATE, rate, device if self._place.gpu else None)
        zeros = OrderedDict(
            (builder.momentum_of(parameter.name), np.zeros(parameter.shape, dtype=np.float32))
            for parameter in graph.parameters
        )
        feed(zeros, self._place.copies)
        self._net = create(self._built.net, self.threads)

    def loss(self):
        """Of the last step, the mean of all copies; each has its share of it."""
        return float(sum(workspace.FetchBlob(c.prefix + LOSS) for c in self._place.copies))

    def held(self, node):
        """What the last step left as a node's value."""
        return self._fetched(self._built.blobs[node.name])

    def state(self):
        """Copies of what the net updates on the first device; it stores velocities multiplied by
        the rate.
        """
        prefix = self._place.copies[0].prefix
        names = [parameter.name for parameter in self._graph.parameters]
        rate = workspace.FetchBlob(prefix + builder.RATE)
        kept = fetched(prefix, [builder.momentum_of(name) for name in names])
        velocities = OrderedDict((name, kept[builder.momentum_of(name)] / rate) for name in names)
        statistics = fetched(prefix, [statistic.name for statistic in self._graph.statistics])
        return job.State(fetched(prefix, names), velocities, statistics)


def built_for(settings, graph, place, used, **choices):
    """The `build.Built` of a benchmark with these options; `choices` are the builder's."""
    training = settings.phase == "training"
    choices["ideep"] = used["engine"] == option_defaults.IDEEP
    choices["net_type"] = used["net_type"]
    choices["fold"] = used["fold_batch_norm"] == "on"
    if len(place.copies) > 1:
        from backends.caffe2 import parallel  # imports more packages than one device needs

        return parallel.build(graph, training, place, nccl=used["nccl"] == "on", **choices)
    built = builder.build(graph, training, place.gpu, **choices)
    (copy,) = place.copies
    if copy.device:
        built.net.Proto().device_option.CopyFrom(copy.device)
    return built


def values_for(graph, values, used):
    """The values that the net of a benchmark with these options reads."""
    return folded(values, foldable(graph)) if used["fold_batch_norm"] == "on" else values


def create(net, threads):
    """Make the net runnable; return its name.

    Nets of other types than "simple" have workers: on the CPU as many as there are threads, unless
    it says.
    """
    proto = net.Proto()
    if proto.type != "simple" and proto.device_option.device_type != caffe2_pb2.CUDA:
        proto.num_workers = proto.num_workers or threads
    workspace.CreateNet(net, True)
    return net.Name()


def feed(arrays, copies):
    """Copy arrays into the workspace's blobs of the same names, of every copy."""
    for prefix, device in copies:
        for name, array in arrays.items():
            workspace.FeedBlob(prefix + name, array, device)


def fetched(prefix, names):
    """Name -> a copy of the blob's value, which `FetchBlob` makes on any device."""
    return OrderedDict((name, workspace.FetchBlob(prefix + name)) for name in names)


# -- parity and the self check -------------------------------------------------------------


def walk(settings, graph, values, inputs, plain):
    """Run a net for inference; yield every node's name and the value of its blob."""
    place, used = open_place(settings)
    if plain:
        used["fold_batch_norm"] = "off"
    _, threads = start(settings)
    built = built_for(settings, graph, place, used, plain=plain)
    feed(values_for(graph, values, used), place.copies)
    feed({DATA: inputs}, place.copies)
    workspace.RunNet(create(built.net, threads))
    for node in graph.nodes:
        yield node.name, workspace.FetchBlob(built.blobs[node.name])


def shapes(graph: "Graph") -> "Shapes":
    """Every node's shape in the net that a benchmark runs; the net is run to find them."""
    arrays = graph.parameters + graph.statistics
    zeros = {array.name: np.zeros(array.shape, dtype=np.float32) for array in arrays}
    settings = arguments.one_step(graph.name, "inference", 1, arguments.choose(OPTIONS, []))
    inputs = np.zeros((1,) + graph.input_shape, dtype=np.float32)
    for name, value in walk(settings, graph, zeros, inputs, plain=False):
        yield name, value.shape[1:]


def activations(
    settings: "Settings", graph: "Graph", values: "Arrays", inputs: "Array"
) -> "Values":
    """Every node's value, nothing overwritten."""
    return walk(settings, graph, values, inputs, plain=True)


def self_check() -> str:
    """Build every model's nets, and run the smallest through both phases."""
    graphs = [zoo.draw(name) for name in zoo.names()]
    graphs = [g for g in graphs if not any(node.op in builder.GAPS for node in g.nodes)]
    return smoke.check(prepare, OPTIONS, _build, "build", graphs)


def _build(graph: "Graph") -> None:
    for training in (False, True):
        builder.build(graph, training)
