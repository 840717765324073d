"""Training and inference steps, and functions for parity and the self check.

Fulfils the contract in `backends.harness`. One process drives all devices, each with a bound
copy of the symbol: MXNet's fastest way on a CPU, where binding also fuses operators, and on
every version from 1.2 to 1.9.

One definition in MXNet differs from the zoo's: on a CPU running variances use the biased batch
variance, which training leaves as it is and P3 expects. (On a GPU cuDNN feeds them the unbiased
one.)
"""

from collections import OrderedDict
from functools import partial

import mxnet as mx
import numpy as np

from backends.harness import data, errors, release, smoke
from backends.harness.job import Fed, State
from backends.harness.sgd import LEARNING_RATE, MOMENTUM
from backends.mxnet import bound, build, device, option_defaults, reader

TYPE_CHECKING = False  # mypy takes it for true; typing has it since Python 3.5.2 only
if TYPE_CHECKING:
    from backends.harness.contract import Array, Arrays, Graph, Job, Kind, Settings, Shapes, Values

FRAMEWORK = "mxnet"
OPTIONS = option_defaults.OPTIONS
READER = reader
LEAST = (1, 0)

# Keeps small gradients above float16's smallest number.
LOSS_SCALE = 128.0

_UNSUPPORTED_WORDS = errors.GPU_WORDS + ("compile with use_cuda",)


def version() -> str:
    """As MXNet reports it. Raises `Unsupported` if it is too old."""
    found = str(mx.__version__)
    release.check("MXNet", found, LEAST)
    return found


def classify(error: Exception) -> "Kind":
    """MXNet reports every error as MXNetError; only its text differs."""
    return errors.kind_by_words(error, unsupported=_UNSUPPORTED_WORDS)


# -- benchmarks ----------------------------------------------------------------------------


def prepare(settings: "Settings", graph: "Graph", values: "Arrays") -> "Job":
    """A ready job; see the contract."""
    used = option_defaults.resolve(settings, device.facts())
    places = device.contexts(settings)
    kind = Training if settings.phase == "training" else Inference
    return kind(settings, graph, values, used, places)


class Step(Fed, device.DeviceJob):
    """Common to training and inference: networks in place, data fed."""

    def __init__(self, settings, graph, values, used, places):
        """Bind, fill and feed every device."""
        super(Step, self).__init__(settings, places)
        self.options = OrderedDict(used)
        self.biased_variance = settings.device == "cpu"
        world = len(places)
        sources = [data.source(settings, graph, rank, world, READER) for rank in range(world)]
        self._network = network_of(settings, graph, used)
        batches = [source.next() for source in sources]
        self._executors = [self._bind(place, *batch) for place, batch in zip(places, batches)]
        self.feeds = [
            (source, partial(_feed, executor)) for source, executor in zip(sources, self._executors)
        ]
        for executor, batch in zip(self._executors, batches):
            bound.fill(self._network, executor, values)
            _feed(executor, *batch)
        mx.nd.waitall()

    def _bind(self, place, x, y):
        raise NotImplementedError

    def feed(self, inputs, labels):
        """Copy a batch to where the steps read theirs; several devices share it evenly."""
        count = len(self._executors)
        parts = zip(np.split(inputs, count), np.split(labels, count))
        for executor, (x, y) in zip(self._executors, parts):
            _feed(executor, x, y)

    def markers(self):
        """A number of the last result per device."""
        return [device.first_value(last) for last in self._last()]

    def _last(self):
        raise NotImplementedError


def network_of(settings, graph, used, **changed):
    """The network of a benchmark, with changes; see `build.build`."""
    on_cpu = settings.device == "cpu"
    trains_on_cpu = on_cpu and settings.phase == "training"
    choices = {
        "dtype": "float16" if settings.dtype == "float16" else "float32",
        "fold": used["fold_batch_norm"] == "on",
        "plain_lrn": trains_on_cpu,
        "keep_pooled": trains_on_cpu and device.facts().version < (1, 5),
        "cudnn_tune": None if on_cpu else used["cudnn_tune"],
    }
    return build.build(graph, **dict(choices, **changed))


def _feed(executor, x, y):
    _copy(x, executor.arg_dict[build.INPUT])
    if bound.LABELS in executor.arg_dict:
        _copy(y, executor.arg_dict[bound.LABELS])


def _copy(array, target):
    """Queue the copy; assigning NumPy arrays would wait for the step that reads the target."""
    mx.nd.array(array, ctx=mx.cpu(), dtype=target.dtype).copyto(target)


class Inference(Step):
    """Forward to logits in inference mode, no gradients."""

    def _bind(self, place, x, _y):
        fuse = self.options["subgraph"] == "on"
        return bound.bind(self._network.logits, self._network, place, x.shape, fuse=fuse)

    def work(self):
        """Queue it on every device."""
        for executor in self._executors:
            executor.forward(is_train=False)

    def _last(self):
        return [executor.outputs[0] for executor in self._executors]

    def logits(self):
        """Of the last step, of all devices."""
        node = self._network.graph.output
        return np.concatenate([_read(node, array) for array in self._last()])


class Training(Step):
    """Forward, loss, backward and a momentum SGD update."""

    def __init__(self, settings, graph, values, used, places):
        """See `Step`."""
        self._half = settings.dtype == "float16"
        self._scale = LOSS_SCALE if self._half else 1.0
        super(Training, self).__init__(settings, graph, values, used, places)
        rescale = 1.0 / (self._scale * len(places))  # gradients are summed over devices
        how = used["optimizer"]
        self._updaters = [
            bound.Updater(how, LEARNING_RATE, MOMENTUM, rescale, self._half) for _ in places
        ]
        self._gradients = [bound.trained(self._network, one) for one in self._executors]
        self.options.update(learning_rate=LEARNING_RATE, momentum=MOMENTUM)
        if self._half:
            self.options.update(mixed_precision="multi_precision SGD", loss_scale=LOSS_SCALE)
        self._store = self._make_store() if len(places) > 1 else None

    def _make_store(self):
        """Sums gradients over devices, on the devices."""
        store = mx.kv.create("device")
        self.options["parallel"] = "kvstore device"
        for name, gradient in self._gradients[0].items():
            store.init(name, mx.nd.zeros_like(gradient))
        return store

    def _bind(self, place, x, y):
        symbol = bound.loss_symbol(self._network, self._scale)
        return bound.bind(symbol, self._network, place, x.shape, y.shape)

    def work(self):
        """Queue it on every device."""
        for executor in self._executors:
            executor.forward(is_train=True)
            executor.backward()
        if self._store is not None:
            # The gradient of the first layer is the last one.
            first = next(iter(self._gradients[0]))
            self.ready([device.first_value(slopes[first]) for slopes in self._gradients])
            self._exchange()
        for executor, gradients, updater in zip(self._executors, self._gradients, self._updaters):
            updater(gradients, executor.arg_dict)

    def _exchange(self):
        # Layers near the input are needed first in the next step.
        for index, name in enumerate(self._gradients[0]):
            copies = [gradients[name] for gradients in self._gradients]
            self._store.push(name, copies, priority=-index)
            self._store.pull(name, copies, priority=-index)

    def _last(self):
        name = list(self._gradients[0])[-1]
        return [executor.arg_dict[name] for executor in self._executors]

    def loss(self):
        """Of the last step, the mean of all devices."""
        losses = [executor.outputs[0].asnumpy().reshape(-1)[0] for executor in self._executors]
        return float(np.mean(losses, dtype=np.float64))

    def state(self):
        """What the first device keeps; all keep the same weights and velocities."""
        executor, updater, network = self._executors[0], self._updaters[0], self._network
        arrays = OrderedDict((name, executor.arg_dict[name]) for name in self._gradients[0])
        return State(
            network.unpack(updater.weights(arrays), network.graph.parameters),
            network.unpack(updater.velocities(arrays), network.graph.parameters),
            network.unpack(executor.aux_dict, network.graph.statistics),
        )


# -- parity and the self check -------------------------------------------------------------


def shapes(graph: "Graph") -> "Shapes":
    """Every node's shape as MXNet infers it, nothing computed."""
    network = build.build(graph)
    everything = mx.sym.Group(list(network.symbols.values()))
    found = everything.infer_shape(**{build.INPUT: (1,) + graph.input_shape})[1]
    for node, shape in zip(network.symbols, found):
        yield node.name, build.batch_first(node, np.empty(shape)).shape[1:]


def activations(
    settings: "Settings", graph: "Graph", values: "Arrays", inputs: "Array"
) -> "Values":
    """Every node's value, nothing folded and nothing fused."""
    used = option_defaults.resolve(settings, device.facts())
    (place,) = device.contexts(settings)
    network = network_of(settings, graph, used, fold=False)
    everything = mx.sym.Group(list(network.symbols.values()))
    executor = bound.bind(everything, network, place, inputs.shape)
    bound.fill(network, executor, values)
    _copy(inputs, executor.arg_dict[build.INPUT])
    outputs = executor.forward(is_train=False)
    for node, array in zip(network.symbols, outputs):
        yield node.name, _read(node, array)


def _read(node, array):
    """A node's value as float32, as the zoo lays it out."""
    return build.batch_first(node, array.asnumpy().astype(np.float32))


def self_check() -> str:
    """Build every model, and run the smallest one through a training step and inference."""
    return smoke.check(prepare, OPTIONS, smoke.as_drawn(shapes), "build")
