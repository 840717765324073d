"""Training and inference jobs with pycaffe, and functions for parity and the self check.

Fulfils the contract in `backends.harness` for one fork. The networks are generated as prototxt and
given to Caffe's own parser; then pycaffe makes the calls that the ``caffe`` binary makes: Forward
for inference, a solver's step (forward, backward, update) for training. ``caffe time`` with a
training network would leave the update out. The binary requests all steps from its solver at once;
here each step is requested separately, for which NVIDIA's solver starts a new thread for the
updates.
"""

from collections import OrderedDict

import numpy as np

from backends import zoo
from backends.caffe import arrays, dialects, own_network, prototxt
from backends.caffe.history import Snapshots
from backends.caffe.inputs import DATA, LABEL
from backends.caffe.layers import GAPS
from backends.caffe.pycaffe import (
    Forward,
    Placed,
    Solving,
    choose_device,
    chosen,
    load,
    parse,
    rewritten,
)
from backends.caffe.reader import DataLayer
from backends.caffe.text import as_file
from backends.caffe.writer import LOSS
from backends.harness import blas_kernel, data, job, smoke
from backends.harness.errors import Unsupported
from backends.harness.folding import foldable, folded
from backends.harness.sgd import LEARNING_RATE
from backends.options import BY_FRAMEWORK

TYPE_CHECKING = False  # mypy takes it for true; typing has it since Python 3.5.2 only
if TYPE_CHECKING:
    from backends.harness.contract import (
        Array,
        Arrays,
        Graph,
        Job,
        Kind,
        OwnNetwork,
        Settings,
        Shapes,
        Values,
    )


FOLD = "fold_batch_norm"


class Backend(object):
    """One fork of Caffe."""

    FILES = (".prototxt",)

    def __init__(self, name, kernel=blas_kernel.UNSETTLED):
        """`name` is the framework's id; `kernel` what was settled before OpenBLAS was loaded."""
        self.FRAMEWORK = name
        self.kernel = kernel
        self.OPTIONS = BY_FRAMEWORK[name]
        self.dialect = dialects.DIALECTS[name]
        self.READER = DataLayer(self.dialect)
        self.REPLACES_STATISTICS = self.dialect.averages

    def version(self) -> str:
        """Caffe's version, which is 1.0.0 for years of commits; raises for another fork."""
        caffe = load()
        found = fork(caffe.proto.caffe_pb2)
        if found is not self.dialect:
            raise Unsupported("the Caffe here is %s's, not %s" % (found.title, self.dialect.title))
        return str(getattr(caffe, "__version__", "unknown"))

    def classify(self, error: Exception) -> "Kind":
        """Caffe's own failures end the process; Python sees only MemoryError."""
        del error
        return None

    def prepare(self, settings: "Settings", graph: "Graph", values: "Arrays") -> "Job":
        """A ready job; see the contract."""
        self._check(settings)
        kind = Training if settings.phase == "training" else Inference
        return kind(self, settings, graph, values)

    def read_file(self, path: str, settings: "Settings") -> "OwnNetwork":
        """The user's network; see `backends.harness.own_network`."""
        return own_network.CaffeNetwork(path, self.dialect, settings)

    def prepare_file(self, settings: "Settings", network: "OwnNetwork") -> "Job":
        """A ready job of the user's network, which was run once."""
        self._check(settings)
        if settings.options.get(FOLD) == "on":
            raise Unsupported("option %s=on: your network runs as its file says" % FOLD)
        return own_network.prepare(self, settings, network)

    def _check(self, settings):
        """Choose the device; raise `Unsupported` for what this backend does not support."""
        if settings.dtype not in self.dialect.dtypes.get(settings.device, ()):
            raise Unsupported(
                "%s on the %s does not support %s"
                % (self.dialect.title, settings.device, settings.dtype)
            )
        if self.kernel.refusal:
            raise Unsupported(self.kernel.refusal)
        if settings.devices != 1:
            raise Unsupported("pycaffe runs one device; `caffe train` runs several")
        if settings.phase == "training" and settings.options.get(FOLD) == "on":
            raise Unsupported("option %s=on: only for inference" % FOLD)
        choose_device(settings.device)

    def choices(self, **choices):
        """Arguments of `prototxt.network` that depend on this Caffe's age."""
        pooling = load().proto.caffe_pb2.PoolingParameter.DESCRIPTOR.fields_by_name
        return dict(choices, round_mode="round_mode" in pooling)

    def open_network(self, graph, batch, **choices):
        """Caffe's network for inference, and ours."""
        caffe = load()
        ours = prototxt.network(graph, self.dialect, batch, False, **self.choices(**choices))
        with as_file(ours.text) as path:
            return caffe.Net(path, caffe.TEST), ours

    def open_solver(self, settings, graph, snapshots):
        """Caffe's solver with its network, and our network."""
        choices = self.choices(**chosen(settings))
        ours = prototxt.network(graph, self.dialect, settings.batch, True, **choices)
        text = prototxt.solver(
            self.dialect,
            ours.text,
            settings.device,
            dtype=settings.dtype,
            seed=settings.seed,
            prefix=snapshots.prefix,
        )
        with as_file(text) as path:
            return load().SGDSolver(path), ours

    # -- parity and the self check ---------------------------------------------------------

    def shapes(self, graph: "Graph") -> "Shapes":
        """Every node's shape in the network that a benchmark runs.

        A node that is computed as part of another for inference has its shape in training.
        """
        load().set_mode_cpu()
        folds = any(option.name == FOLD for option in self.OPTIONS)
        networks = [self.open_network(graph, 1, absorbs=foldable(graph) if folds else {})]
        if self.dialect.rewrites:
            networks.append(self._open_training(graph))
        for node in graph.nodes:
            for net, ours in networks:
                if ours.blobs[node.name] in net.blobs:
                    yield node.name, tuple(net.blobs[ours.blobs[node.name]].data.shape[1:])
                    break

    def _open_training(self, graph):
        ours = prototxt.network(graph, self.dialect, 1, True, **self.choices())
        with as_file(ours.text) as path:
            return load().Net(path, load().TRAIN), ours

    def activations(
        self, settings: "Settings", graph: "Graph", values: "Arrays", inputs: "Array"
    ) -> "Values":
        """Every node's value, nothing overwritten; not for a node that is part of another."""
        self._check(settings)
        net, ours = self.open_network(graph, len(inputs), plain=True, **chosen(settings))
        fill(net, ours, values, self.dialect, graph)
        net.blobs[DATA].data[...] = inputs
        found = arrays.as_computed(net)
        for node in graph.nodes:
            if ours.blobs[node.name] in found:
                yield node.name, found[ours.blobs[node.name]]

    def self_check(self) -> str:
        """Parse every model's network, and run the smallest through both phases."""
        load().set_mode_cpu()
        graphs = [graph for graph in map(zoo.draw, zoo.names()) if not gap(graph)]
        return smoke.check(self.prepare, self.OPTIONS, self._parse, "parse", graphs)

    def _parse(self, graph: "Graph") -> None:
        for training in (False, True):
            ours = prototxt.network(graph, self.dialect, 2, training, **self.choices())
            parse(ours.text)


def fork(schema):
    """The dialect of a parser's schema (caffe_pb2)."""
    for dialect in dialects.DIALECTS.values():
        if dialect.marks and all(
            name in getattr(schema, message).DESCRIPTOR.fields_by_name
            for message, name in dialect.marks
        ):
            return dialect
    return dialects.BVLC


def folds(settings):
    """Whether normalization is computed inside convolutions: by default if it can be."""
    return settings.phase == "inference" and settings.options.get(FOLD, "off") != "off"


def absorbed(settings, graph):
    """Convolutions that also normalize, and the normalization."""
    return foldable(graph) if folds(settings) else {}


def gap(graph):
    """Why Caffe does not support a graph, or None."""
    return next((GAPS[n.op] for n in graph.nodes if n.op in GAPS), None)


def fill(net, ours, values, dialect, graph):
    """Put parameters and statistics in their places."""
    arrays.fill(net, ours, values, dialect, graph, parse)


class _Step(Placed):
    """Common to training and inference."""

    def __init__(self, backend, settings, graph, values):
        super(_Step, self).__init__(settings, backend.kernel)
        self.backend = backend
        self.graph = graph
        self.options["pooling_round_mode"] = backend.choices()["round_mode"]
        source = data.source(settings, graph, reader=backend.READER)
        self.feeds = [(source, self.feed)]
        self.net, self.ours = self.open(settings, graph)
        self.options.update(rewritten(backend.dialect, self.net, self.ours.text))
        if FOLD in settings.options:
            self.options[FOLD] = "on" if folds(settings) else "off"
        values = folded(values, absorbed(settings, graph))
        fill(self.net, self.ours, values, backend.dialect, graph)
        self.feed(*source.next())

    def open(self, settings, graph):
        """Caffe's network and ours."""
        raise NotImplementedError

    def feed(self, inputs, labels):
        """Copy a batch into the blobs that the network reads; inference has no labels."""
        blobs = self.net.blobs
        blobs[DATA].data[...] = inputs
        if LABEL in blobs:
            blobs[LABEL].data[...] = labels


class Inference(_Step, Forward):
    """Forward to logits in the TEST phase, with the running statistics."""

    def open(self, settings, graph):
        """See `_Step`."""
        net, ours = self.backend.open_network(
            graph, settings.batch, absorbs=absorbed(settings, graph), **chosen(settings)
        )
        self._logits = net.blobs[ours.output]
        self.read_out(net, self._logits)
        return net, ours

    def logits(self):
        """Of the last step."""
        return np.array(self._logits.data, dtype=np.float32)


class Training(_Step, Solving):
    """A solver's step: forward, loss, backward and a momentum SGD update."""

    # SoftmaxWithLoss takes the logarithm of no less than FLT_MIN (softmax_loss_layer.cpp): its loss
    # of a sample is at most 87.34.
    least_probability = float(np.finfo(np.float32).tiny)

    def open(self, settings, graph):
        """See `_Step`."""
        self._snapshots = Snapshots()
        solver, ours = self.backend.open_solver(settings, graph, self._snapshots)
        self.solve(solver)
        return solver.net, ours

    def loss(self):
        """Of the last step."""
        return float(self.net.blobs[LOSS].data)

    def held(self, node):
        """What the last step left as a node's value."""
        return self.net.blobs[self.ours.blobs[node.name]].data

    def state(self):
        """Copies of the network's arrays and of the solver's history."""
        names = [parameter.name for parameter in self.graph.parameters]
        kept = arrays.read(self.net, self.ours, names)
        return job.State(kept, self._velocities(), self._statistics())

    def _velocities(self):
        """By name; the solver keeps them multiplied by the rate."""
        kept = self._history()
        velocities = OrderedDict()
        for parameter in self.graph.parameters:
            scaled = kept[parameter.name].reshape(parameter.shape)
            velocities[parameter.name] = scaled / np.float32(LEARNING_RATE)
        return velocities

    def _history(self):
        """What the solver keeps, by name."""
        if self.backend.dialect.rewrites:
            return arrays.updates(self.net, self.ours)
        history = self._snapshots.history(self._solver, load().proto.caffe_pb2)
        return {name: history[place] for name, place in self.ours.arrays.items()}

    def _statistics(self):
        """By name: the averages, which most dialects store as sums with their weight."""
        names = [statistic.name for statistic in self.graph.statistics]
        found = arrays.read(self.net, self.ours, names)
        if not self.backend.dialect.averages:
            for name in names:
                layer, _ = self.ours.arrays[name]
                found[name] /= self.net.params[layer][2].data[0]
        return found

    def close(self):
        """Stop reading data, remove the folder of snapshots."""
        self._snapshots.close()
        super(Training, self).close()
