"""Training and inference steps, and functions for parity and the self check.

Fulfils the contract in `backends.harness`.
"""

import time
from collections import OrderedDict

from backends.tensorflow import device  # isort: skip - sets variables that TensorFlow reads

import numpy as np
import tensorflow as tf

from backends.harness import data, errors, release, smoke
from backends.harness.job import Fed
from backends.harness.sgd import LEARNING_RATE, MOMENTUM
from backends.tensorflow import option_defaults, processes, reader
from backends.tensorflow.build import Drawing, Network, v1
from backends.tensorflow.execution import KINDS
from backends.tensorflow.training import Trainer

TYPE_CHECKING = False  # mypy takes it for true; typing has it since Python 3.5.2 only
if TYPE_CHECKING:
    from backends.harness.contract import Array, Arrays, Graph, Job, Kind, Settings, Shapes, Values

FRAMEWORK = "tensorflow"
OPTIONS = option_defaults.OPTIONS
READER = reader
LEAST = (1, 4)

DTYPES = {"float16": tf.float16, "bfloat16": tf.bfloat16}


def version() -> str:
    """As TensorFlow reports it. Raises `Unsupported` if it is too old."""
    found = str(tf.__version__)
    release.check("TensorFlow", found, LEAST)
    return found


def classify(error: Exception) -> "Kind":
    """The errors module has a class for each."""
    if isinstance(error, tf.errors.ResourceExhaustedError):
        return "out_of_memory"
    if isinstance(error, (tf.errors.UnimplementedError, tf.errors.NotFoundError)):
        return "unsupported"  # NotFound is what a missing kernel is called
    return errors.kind_by_words(error)


# -- benchmarks ----------------------------------------------------------------------------


def prepare(settings: "Settings", graph: "Graph", values: "Arrays") -> "Job":
    """A ready job; see the contract."""
    where = processes.world(settings)
    place, used = _settle(settings, graph, where)
    kind = Training if settings.phase == "training" else Inference
    return kind(settings, graph, values, used, where, place)


def _settle(settings, graph, where):
    """(place, options used), the device set to this precision."""
    option_defaults.check_dtype(settings)
    place = device.open_place(settings, where)
    used = option_defaults.resolve(settings, graph.kind, device.facts(place))
    if where.exchange is not None:
        where.exchange.start(used)
    return place, used


def _execution(used, place, where):
    around = where.exchange and where.exchange.around
    return KINDS[used["execution"]](place.config, used["xla"] == "on", around)


class Step(Fed, device.DeviceJob):
    """Common to training and inference: data in variables on the device, options recorded."""

    def __init__(self, settings, graph, used, where, place):
        """Fill in `_run`, a compiled callable."""
        execution = _execution(used, place, where)
        super(Step, self).__init__(settings, where, place, execution)
        self.options = OrderedDict(used)
        self.options["intra_op_threads"] = place.threads
        self.options["inter_op_threads"] = place.inter_op
        self.options["onednn"] = device.onednn()
        if settings.dtype == "bfloat16" and settings.device == "cpu":
            # Without them training is an order of magnitude slower than in float32.
            self.options["bfloat16_kernels"] = "onednn" if device.has_bfloat16() else "generic"
        self.dtype = DTYPES.get(settings.dtype, tf.float32)
        self._last = None
        self._run = None
        source = data.source(settings, graph, where.rank, where.size, READER)
        self.feeds = [(source, self.feed)]
        self._network = network_of(graph, used)
        x, y = source.next()
        self._x = execution.variable("x", self._network.native_inputs(x))
        self._y = execution.variable("y", y)

    def work(self):
        """One step; its result is copied to the host."""
        self._last = self.execution.array(self._run()[0])

    def feed(self, inputs, labels):
        """Copy a batch to the variables that the steps read."""
        self.execution.assign(self._x, self._network.native_inputs(inputs))
        self.execution.assign(self._y, labels)


class Inference(Step):
    """Forward to logits with running statistics."""

    def __init__(self, settings, graph, values, used, where, place):
        """See `Step`."""
        super(Inference, self).__init__(settings, graph, used, where, place)
        work = inference(self._network, values, self.execution, self._x, self.dtype, used)
        self._run = self.execution.compile(work)

    def logits(self):
        """Of the last step."""
        return np.array(self._last, dtype=np.float32)


class Training(Step):
    """Forward, loss, backward and a momentum SGD update."""

    def __init__(self, settings, graph, values, used, where, place):
        """See `Step`."""
        super(Training, self).__init__(settings, graph, used, where, place)
        self.options.update(learning_rate=LEARNING_RATE, momentum=MOMENTUM)
        if settings.dtype in DTYPES:
            self.options["mixed_precision"] = "float32 weights and normalisation"
        if where.size > 1:
            self.options["parallel"] = where.exchange.name
        average = where.exchange and where.exchange.average
        self._trainer = Trainer(self._network, values, self.execution, self.dtype, average)
        self._run = self.execution.compile(lambda: self._trainer.step(self._x, self._y))
        self._times_gradients = average is not None and settings.device == "cpu"

    def work(self):
        """One step; its loss is copied to the host."""
        if not self._times_gradients:
            super(Training, self).work()
            return
        began = time.time()  # the clock that TensorFlow's operation reads
        loss, ready = self._run()
        self._last = self.execution.array(loss)
        self._ready.append(float(self.execution.array(ready)) - began)

    def loss(self):
        """Of the last step, on this device's batch."""
        return float(self._last)

    def state(self):
        """Copies of the variables that a step changes."""
        return self._trainer.state()


def network_of(graph, used):
    """The network for these options; only images have several layouts."""
    last = used["layout"] != "channels_first"
    return Network(graph, channels_last=last, fold=used["fold_batch_norm"] == "on")


def weights_of(network, values, dtype):
    """Native arrays for inference in this type; those of a normalisation stay float32."""
    norms = {node.name for node in network.graph.nodes if node.op == "batch_norm"}

    def typed(name):
        return tf.float32 if name.rsplit(".", 1)[0] in norms else dtype

    native = network.native(values)
    return OrderedDict((name, a.astype(typed(name).as_numpy_dtype)) for name, a in native.items())


def inference(network, values, execution, x, dtype, used):
    """Work that yields the logits of `x`."""
    kept = weights_of(network, values, dtype)
    if used["freeze"] != "on":
        kept = OrderedDict((name, execution.variable(name, kept[name])) for name in kept)

    def weight(name):
        return tf.convert_to_tensor(kept[name])

    def work():
        return [Drawing(network, weight).logits(tf.cast(x, dtype))], []

    return work


# -- parity and the self check -------------------------------------------------------------


def shapes(graph: "Graph") -> "Shapes":
    """Every node's shape as TensorFlow infers it, without numbers."""
    network = Network(graph)
    arrays = OrderedDict((p.name, network.arrays.shape(p)) for p in _all(graph))
    with tf.Graph().as_default():
        drawing = Drawing(network, lambda name: v1.placeholder(tf.float32, arrays[name]))
        shape = graph.input_shape
        if len(shape) == 3:
            shape = shape[1:] + shape[:1]
        for node, tensor in drawing.walk(v1.placeholder(tf.float32, (1,) + shape)):
            found = tuple(tensor.shape.as_list()[1:])
            yield node.name, found[-1:] + found[:-1] if len(found) == 3 else found


def _all(graph):
    return graph.parameters + graph.statistics


def activations(
    settings: "Settings", graph: "Graph", values: "Arrays", inputs: "Array"
) -> "Values":
    """Every node's value, nothing folded."""
    where = processes.world(settings)
    place, used = _settle(settings, graph, where)
    execution = _execution(used, place, where)
    network = network_of(graph, dict(used, fold_batch_norm="off"))
    dtype = DTYPES.get(settings.dtype, tf.float32)
    x = execution.variable("x", network.native_inputs(inputs))
    weight = weights_of(network, values, dtype)

    def work():
        drawing = Drawing(network, lambda name: tf.constant(weight[name]))
        return [value for _, value in drawing.walk(tf.cast(x, dtype))], []

    found = execution.compile(work)()
    for node, value in zip(graph.nodes, found):
        array = execution.array(value).astype(np.float32)
        yield node.name, network.arrays.value_to_canonical(node, array, network.channels_last)
    execution.close()


def self_check() -> str:
    """Build every model, and run the smallest one through a training step and inference."""
    return smoke.check(prepare, OPTIONS, smoke.as_drawn(shapes), "are drawn")
