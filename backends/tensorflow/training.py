"""Loss, gradients, momentum SGD and loss scaling, in operations that both versions have."""

from collections import OrderedDict

import numpy as np
import tensorflow as tf

from backends.harness.job import State
from backends.harness.sgd import LEARNING_RATE, MOMENTUM
from backends.tensorflow.build import Drawing, v1

if hasattr(tf, "raw_ops"):  # 1.14
    apply_momentum = tf.raw_ops.ResourceApplyMomentum
else:
    from tensorflow.python.training import gen_training_ops

    apply_momentum = gen_training_ops.resource_apply_momentum

# Dynamic loss scaling: halved at an overflow, doubled after this many steps without one.
FIRST_SCALE = 2.0**15
GROWTH_STEPS = 2000


def mean_loss(graph, logits, labels):
    """Mean over the batch: softmax cross entropy, or CTC with blank 0 for speech."""
    if graph.kind != "speech":
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
        return v1.reduce_mean(losses)
    # The native kernel needs the blank last.
    scores = tf.transpose(logits, [1, 0, 2])
    scores = tf.concat([scores[:, :, 1:], scores[:, :, :1]], 2)
    batch, length = [int(size) for size in labels.shape]
    places = np.array([(b, i) for b in range(batch) for i in range(length)], np.int64)
    flat = tf.cast(tf.reshape(labels, [-1]) - 1, tf.int32)
    sparse = tf.SparseTensor(places, flat, np.array([batch, length], np.int64))
    steps = np.full(batch, graph.nodes[-1].shape[0], np.int32)
    return v1.reduce_mean(v1.nn.ctc_loss(sparse, scores, steps))


class Trainer(object):
    """A network's variables and the work of one training step on them."""

    def __init__(self, network, values, execution, dtype, average=None):
        """Compute in `dtype` on float32 variables; `average` takes all gradients to their means."""
        self._network = network
        self._execution = execution
        self._dtype = dtype
        self._average = average
        self._parameters = [parameter.name for parameter in network.graph.parameters]
        native = network.native(values)
        # Copies: a session's variable may use the memory of the array that it was given.
        self._variables = OrderedDict(
            (name, execution.variable(name, native.pop(name).astype(np.float32)))
            for name in list(native)
        )
        self._velocities = OrderedDict(
            (name, execution.variable(name + ".velocity", np.zeros(self._shape(name), np.float32)))
            for name in self._parameters
        )
        self._scale = None
        if dtype == tf.float16:
            self._scale = execution.variable("loss_scale", np.float32(FIRST_SCALE))
            # Of this type, because an int32 is kept in the host's memory, which XLA cannot reach.
            self._good = execution.variable("good_steps", np.int64(0))

    def _shape(self, name):
        return self._variables[name].shape.as_list()

    def step(self, x, y):
        """Work for an execution, which yields the loss.

        Also when the gradients were there, by the host's clock, if they are averaged after that.
        """
        reads = OrderedDict(
            (name, tf.convert_to_tensor(variable)) for name, variable in self._variables.items()
        )
        loss, statistics = self._forward(reads, x, y)
        scale = None if self._scale is None else tf.convert_to_tensor(self._scale)
        gradients = tf.gradients(
            loss if scale is None else loss * scale, [reads[name] for name in self._parameters]
        )
        results = [loss]
        if self._average is not None:
            with tf.control_dependencies(gradients):
                results.append(tf.timestamp())
            gradients = self._average(gradients)
        operations = [
            self._variables[name].assign(tf.cast(value, tf.float32)) for name, value in statistics
        ]
        if scale is None:
            operations += self._update(gradients)
        else:
            operations += self._scaled_update(gradients, scale)
        return results, operations

    def _forward(self, reads, x, y):
        """(loss, the running statistics' new values by name)."""
        graph = self._network.graph
        norms = {node.name for node in graph.nodes if node.op == "batch_norm"}

        def weight(name):
            plain = name.rsplit(".", 1)[0] in norms
            return reads[name] if plain else tf.cast(reads[name], self._dtype)

        drawing = Drawing(self._network, weight, training=True)
        logits = drawing.logits(tf.cast(x, self._dtype))
        return mean_loss(graph, tf.cast(logits, tf.float32), y), drawing.updates

    def _update(self, gradients):
        # A variable that is still read is copied before it is written: all gradients come first.
        with tf.control_dependencies(gradients):
            return [
                apply_momentum(
                    var=self._variables[name].handle,
                    accum=self._velocities[name].handle,
                    lr=np.float32(LEARNING_RATE),
                    grad=gradient,
                    momentum=np.float32(MOMENTUM),
                )
                for name, gradient in zip(self._parameters, gradients)
            ]

    def _scaled_update(self, scaled, scale):
        """No update after an overflow."""
        finite = v1.reduce_all([v1.reduce_all(v1.is_finite(each)) for each in scaled])
        good = tf.convert_to_tensor(self._good)

        def apply():
            with tf.control_dependencies(self._update([each / scale for each in scaled])):
                return tf.constant(True)

        applied = tf.cond(finite, apply, lambda: tf.constant(False))
        grown = good + 1 >= GROWTH_STEPS
        new_scale = tf.where(finite, tf.where(grown, scale * 2, scale), scale / 2)
        new_good = tf.where(tf.logical_and(finite, tf.logical_not(grown)), good + 1, good * 0)
        return [applied.op, self._scale.assign(new_scale), self._good.assign(new_good)]

    def state(self):
        """Copies of all variables, as `job.State`."""
        statistics = [statistic.name for statistic in self._network.graph.statistics]
        parts = (
            (self._variables, self._parameters),
            (self._velocities, self._parameters),
            (self._variables, statistics),
        )
        wanted = [variables[name] for variables, names in parts for name in names]
        arrays = iter(self._execution.values(wanted))
        return State(*(self._canonical(names, arrays) for _, names in parts))

    def _canonical(self, names, arrays):
        canonical = self._network.arrays.to_canonical
        pairs = ((name, canonical(name, next(arrays))) for name in names)
        return OrderedDict((name, np.array(array, order="C")) for name, array in pairs)
