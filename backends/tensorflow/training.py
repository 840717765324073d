"""Loss, gradients, momentum SGD and loss scaling, in operations that both versions have."""

from collections import OrderedDict

import numpy as np
import tensorflow as tf
from tensorflow.python.ops import gen_training_ops  # tf.raw_ops came with 1.14

from backends.tensorflow.build import Drawing, v1

# Dynamic loss scaling: halved at an overflow, doubled after so many steps without one.
FIRST_SCALE = 2.0**15
GROWTH_STEPS = 2000


def mean_loss(graph, logits, labels):
    """Mean over the batch: softmax cross entropy, or CTC with blank 0 for speech."""
    if graph.kind != "speech":
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
        return v1.reduce_mean(losses)
    # The native kernel wants the blank last.
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

    def __init__(
        self, network, values, execution, dtype, rate, momentum, *, average=None, scale=FIRST_SCALE
    ):
        """`dtype` is what is computed in; variables stay float32 where it is a half.

        `average` takes gradients over all processes; `scale` is what float16's loss is first
        multiplied by.
        """
        self.network = network
        self._dtype = dtype
        self._rate = rate
        self._momentum = momentum
        self._average = average
        self._kept = np.float64 if dtype == tf.float64 else np.float32
        graph = network.graph
        native = network.native(values)
        self.variables = OrderedDict(
            (name, execution.variable(name, native.pop(name).astype(self._kept)))
            for name in list(native)
        )
        self._names = [parameter.name for parameter in graph.parameters]
        self._momenta = OrderedDict()
        if momentum:
            for name in self._names:
                zeros = np.zeros(self.variables[name].shape.as_list(), self._kept)
                self._momenta[name] = execution.variable(name + ".momentum", zeros)
        self._scale = None
        if dtype == tf.float16:
            self._scale = execution.variable("loss_scale", np.float32(scale))
            # Of this type, as an int32 is kept in the host's memory, where XLA cannot reach it.
            self._good = execution.variable("good_steps", np.int64(0))

    def step(self, x, y):
        """Work for an execution, which yields the loss."""
        loss, _, operations = self.draw(x, y)
        return [loss], operations

    def draw(self, x, y, dropout=True, kinks=None):
        """Loss, gradients in the graph's order, and operations that must have run.

        Float16's gradients are those of the scaled loss.
        """
        reads = OrderedDict(
            (name, tf.convert_to_tensor(variable)) for name, variable in self.variables.items()
        )
        norms = {node.name for node in self.network.graph.nodes if node.op == "batch_norm"}

        def weight(name):
            plain = name.rsplit(".", 1)[0] in norms
            return reads[name] if plain else tf.cast(reads[name], self._dtype)

        drawing = Drawing(self.network, weight, self._dtype, True, dropout, kinks)
        logits = drawing.logits(tf.cast(x, self._dtype))
        loss = mean_loss(self.network.graph, tf.cast(logits, self._kept), y)
        scale = None if self._scale is None else tf.convert_to_tensor(self._scale)
        found = tf.gradients(
            loss if scale is None else loss * scale, [reads[name] for name in self._names]
        )
        if self._average is not None:
            found = [self._average(gradient) for gradient in found]
        operations = [
            self.variables[name].assign(tf.cast(value, self._kept))
            for name, value in drawing.updates
        ]
        if scale is None:
            operations += self._update(found)
        else:
            operations += self._scaled_update(found, scale)
        return loss, found, operations

    def _update(self, gradients):
        if not self._momentum:
            return [
                self.variables[name].assign_sub(gradient * self._rate)
                for name, gradient in zip(self._names, gradients)
            ]
        rate, momentum = self._kept(self._rate), self._kept(self._momentum)
        return [
            gen_training_ops.resource_apply_momentum(
                var=self.variables[name].handle,
                accum=self._momenta[name].handle,
                lr=rate,
                grad=gradient,
                momentum=momentum,
            )
            for name, gradient in zip(self._names, gradients)
        ]

    def _scaled_update(self, scaled, scale):
        """No update after an overflow."""
        finite = v1.reduce_all([v1.reduce_all(tf.math.is_finite(each)) for each in scaled])
        good = tf.convert_to_tensor(self._good)

        def apply():
            with tf.control_dependencies(self._update([each / scale for each in scaled])):
                return tf.constant(True)

        applied = tf.cond(finite, apply, lambda: tf.constant(False))
        grown = good + 1 >= GROWTH_STEPS
        new_scale = tf.where(finite, tf.where(grown, scale * 2, scale), scale / 2)
        new_good = tf.where(tf.logical_and(finite, tf.logical_not(grown)), good + 1, good * 0)
        return [applied.op, self._scale.assign(new_scale), self._good.assign(new_good)]
