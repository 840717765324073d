"""Training and inference steps, and what parity and the self check need.

Fulfils the contract in `backends.harness`.
"""

from collections import OrderedDict

from backends.tensorflow import device  # isort: skip - sets variables that TensorFlow reads

import numpy as np
import tensorflow as tf

from backends import zoo
from backends.harness import data, parity, trial
from backends.tensorflow import choices, kinks
from backends.tensorflow.build import Drawing, Network, v1
from backends.tensorflow.execution import KINDS
from backends.tensorflow.training import Trainer
from backends.zoo import weights

FRAMEWORK = "tensorflow"
OPTIONS = choices.OPTIONS

# As small as the other backends': random weights of every model stay finite.
LEARNING_RATE = 1e-4
MOMENTUM = 0.9

DTYPES = {"float16": tf.float16, "bfloat16": tf.bfloat16}


def version():
    """As TensorFlow tells it."""
    return str(tf.__version__)


def classify(error):
    """The errors module has a class for each."""
    if isinstance(error, tf.errors.ResourceExhaustedError) or "bad_alloc" in str(error):
        return "out_of_memory"
    if isinstance(error, (tf.errors.UnimplementedError, tf.errors.NotFoundError)):
        return "unsupported"  # NotFound is what a missing kernel is called
    return None


# -- benchmarks ----------------------------------------------------------------------------


def prepare(settings, graph):
    """A ready job; see the contract."""
    where = device.world(settings)
    place, used = _settle(settings, graph, where)
    kind = Training if settings.phase == "training" else Inference
    return kind(settings, graph, used, where, place)


def _settle(settings, graph, where):
    """(place, options used), the device set to this precision."""
    choices.check_dtype(settings)
    place = device.open_place(settings, where)
    return place, choices.resolve(settings, graph.kind, device.facts(place))


class Step(device.DeviceJob):
    """What training and inference share: data in variables on the device, options recorded."""

    def __init__(self, settings, graph, used, where, place):
        """Fill in `_run`, a compiled callable."""
        execution = KINDS[used["execution"]](place.config, used["xla"] == "on")
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
        self._source = data.source(settings, graph, where.rank, where.size)
        self._network = network_of(graph, used)
        x, y = self._source.next()
        self._x = execution.variable("x", self._network.native_inputs(x))
        self._y = execution.variable("y", y)

    def step(self):
        """One step; real data is fetched and copied to the device within it."""
        if not self._source.fixed:
            x, y = self._source.next()
            self.execution.assign(self._x, self._network.native_inputs(x))
            self.execution.assign(self._y, y)
        self._last = self.execution.array(self._run()[0])

    def close(self):
        """Stop reading data, free the device."""
        self._source.close()
        super(Step, self).close()


class Inference(Step):
    """Forward to logits with running statistics."""

    def __init__(self, settings, graph, used, where, place):
        """See `Step`."""
        super(Inference, self).__init__(settings, graph, used, where, place)
        values = weights.for_graph(graph, settings.seed)
        work = inference(self._network, values, self.execution, self._x, self.dtype, used)
        self._run = self.execution.compile(work)


class Training(Step):
    """Forward, loss, backward and a momentum SGD update."""

    def __init__(self, settings, graph, used, where, place):
        """See `Step`."""
        super(Training, self).__init__(settings, graph, used, where, place)
        self.options.update(learning_rate=LEARNING_RATE, momentum=MOMENTUM)
        if settings.dtype in DTYPES:
            self.options["mixed_precision"] = "float32 weights and normalisation"
        if where.size > 1:
            self.options["parallel"] = "Horovod"
        trainer = Trainer(
            self._network,
            weights.for_graph(graph, settings.seed),
            self.execution,
            self.dtype,
            LEARNING_RATE,
            MOMENTUM,
            average=where.horovod and where.horovod.allreduce,
        )
        self._run = self.execution.compile(lambda: trainer.step(self._x, self._y))

    def loss(self):
        """Of the last step, on this device's batch."""
        return float(self._last)


def network_of(graph, used):
    """The network that these options describe; what is no image has one layout only."""
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
        return [Drawing(network, weight, dtype).logits(tf.cast(x, dtype))], []

    return work


# -- parity and the self check -------------------------------------------------------------


def _given(settings, graph):
    """(options used, execution, number type) of a benchmark."""
    place, used = _settle(settings, graph, device.world(settings))
    execution = KINDS[used["execution"]](place.config, used["xla"] == "on")
    return used, execution, DTYPES.get(settings.dtype, tf.float32)


def shapes(graph):
    """Every node's shape as TensorFlow infers it, without numbers."""
    network = Network(graph)
    arrays = OrderedDict((p.name, network.arrays.shape(p)) for p in _all(graph))
    with tf.Graph().as_default():
        drawing = Drawing(
            network, lambda name: v1.placeholder(tf.float32, arrays[name]), tf.float32
        )
        shape = graph.input_shape
        if len(shape) == 3:
            shape = shape[1:] + shape[:1]
        for node, tensor in drawing.walk(v1.placeholder(tf.float32, (1,) + shape)):
            found = tuple(tensor.shape.as_list()[1:])
            yield node.name, found[-1:] + found[:-1] if len(found) == 3 else found


def _all(graph):
    return graph.parameters + graph.statistics


def forward(settings, graph, values, inputs):
    """Logits as a benchmark computes them."""
    used, execution, dtype = _given(settings, graph)
    network = network_of(graph, used)
    x = execution.variable("x", network.native_inputs(inputs))
    work = inference(network, values, execution, x, dtype, used)
    logits = execution.array(execution.compile(work)()[0])
    execution.close()
    return logits.astype(np.float32)


def activations(settings, graph, values, inputs):
    """Every node's value, nothing folded."""
    used, execution, dtype = _given(settings, graph)
    network = network_of(graph, dict(used, fold_batch_norm="off"))
    x = execution.variable("x", network.native_inputs(inputs))
    weight = weights_of(network, values, dtype)

    def work():
        drawing = Drawing(network, lambda name: tf.constant(weight[name]), dtype)
        return [value for _, value in drawing.walk(tf.cast(x, dtype))], []

    found = execution.compile(work)()
    for node, value in zip(graph.nodes, found):
        array = execution.array(value).astype(np.float32)
        last = network.channels_last
        yield node.name, network.arrays.value_to_canonical(node, array, last)
    execution.close()


def training_step(settings, graph, values, inputs, labels, precise=False, decisions=None):
    """One step with a benchmark's own pieces; without momentum, which starts at zero."""
    used, execution, dtype = _given(settings, graph)
    network = network_of(graph, used)
    x = network.native_inputs(inputs)
    if precise:
        x, dtype = x.astype(np.float64), tf.float64
    x, y = execution.variable("x", x), execution.variable("y", labels)
    scale = parity.LOSS_SCALE if dtype == tf.float16 else 1.0
    trainer = Trainer(network, values, execution, dtype, parity.RATE, 0.0, scale=scale)
    deciding = kinks.Recorder() if decisions is None else kinks.Player(decisions)

    def work():
        loss, gradients, operations = trainer.draw(x, y, dropout=False, kinks=deciding)
        return [loss] + gradients + deciding.decisions, operations

    results = [execution.array(value) for value in execution.compile(work)()]
    loss, results = results[0], results[1:]
    canonical = network.arrays.to_canonical
    names = [parameter.name for parameter in graph.parameters]
    gradients, made = results[: len(names)], results[len(names) :]
    found = parity.Step(
        float(loss),
        OrderedDict((name, canonical(name, g / scale)) for name, g in zip(names, gradients)),
        OrderedDict((n, canonical(n, execution.value(trainer.variables[n]))) for n in names),
        OrderedDict((s.name, execution.value(trainer.variables[s.name])) for s in graph.statistics),
        made or decisions,
    )
    execution.close()
    return found


def self_check():
    """Draw every model, and run the smallest one through a training step and inference."""
    graphs = [zoo.draw(name) for name in zoo.names()]
    for graph in graphs:
        for node, (name, shape) in zip(graph.nodes, shapes(graph)):
            if (name, shape) != (node.name, node.shape):
                raise ValueError("%s of %s is misshapen: %s" % (node.name, graph.name, shape))
    ran = trial.run_smallest(prepare, OPTIONS, graphs)
    return "%d models are drawn, %s trains and infers" % (len(graphs), ran)
