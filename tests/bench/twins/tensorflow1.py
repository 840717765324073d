"""Networks of tf.layers in a session, as programs for TensorFlow 1 are written. Python 3.7."""

import sys

import numpy as np
import tensorflow as tf

from backends import zoo
from backends.harness.sgd import LEARNING_RATE, MOMENTUM
from backends.tensorflow import step
from tests.bench.twins.pairing import ROUNDS, compare, our_job

BATCH = 4
v1 = tf.compat.v1


def conv(x, filters, kernel, stride, training, activation=tf.nn.relu):
    """A convolution with batch norm; padded as the network is defined, whatever the stride."""
    if stride > 1 and kernel > 1:
        sides = [kernel // 2, kernel // 2]
        x = tf.pad(x, [[0, 0], sides, sides, [0, 0]])
    padding = "valid" if stride > 1 else "same"
    x = v1.layers.conv2d(x, filters, kernel, stride, padding, use_bias=False)
    x = v1.layers.batch_normalization(x, training=training, fused=True, epsilon=1e-5)
    return activation(x) if activation else x


def bottleneck(x, width, stride, project, training):
    """v1.5: the stride is in the 3x3."""
    short = conv(x, 4 * width, 1, stride, training, None) if project else x
    x = conv(x, width, 1, 1, training)
    x = conv(x, width, 3, stride, training)
    return tf.nn.relu(conv(x, 4 * width, 1, 1, training, None) + short)


def resnet50(x, training):
    x = conv(x, 64, 7, 2, training)
    x = tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]])
    x = v1.layers.max_pooling2d(x, 3, 2, "valid")
    for width, units, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for unit in range(units):
            x = bottleneck(x, width, stride if unit == 0 else 1, unit == 0, training)
    return v1.layers.dense(tf.reduce_mean(x, [1, 2]), 1000)


def vgg16(x, training):
    for width, convs in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(convs):
            x = v1.layers.conv2d(x, width, 3, padding="same", activation=tf.nn.relu)
        x = v1.layers.max_pooling2d(x, 2, 2)
    x = v1.layers.flatten(x)
    for _ in range(2):
        x = v1.layers.dense(x, 4096, activation=tf.nn.relu)
        x = v1.layers.dropout(x, 0.5, training=training)
    return v1.layers.dense(x, 1000)


TWINS = {"resnet50_v1.5": resnet50, "vgg16": vgg16}


def outputs(model, phase, images, labels):
    """Draw what one step computes."""
    logits = TWINS[model](images, training=phase == "training")
    if phase == "inference":
        return logits
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
    loss = tf.reduce_mean(losses)
    optimizer = v1.train.MomentumOptimizer(LEARNING_RATE, MOMENTUM)
    update = v1.get_collection(v1.GraphKeys.UPDATE_OPS)
    with tf.control_dependencies([optimizer.minimize(loss), *update]):
        return tf.identity(loss)


def twin_step(model, phase, batch, shape, learnable):
    """Return a function that does one step and waits for its end."""
    with tf.Graph().as_default():
        images = tf.constant(np.random.rand(batch, *shape).astype(np.float32))
        images = v1.Variable(images, trainable=False)  # a constant network would be computed once
        labels = tf.constant(np.arange(batch) % 1000)
        fetched = outputs(model, phase, images, labels)
        count = sum(np.prod(one.shape.as_list()) for one in v1.trainable_variables())
        if count != learnable:
            raise SystemExit(f"the twin of {model} has {count} parameters")
        session = v1.Session()
        session.run(v1.global_variables_initializer())
        return session.make_callable(fetched)


def run(model, phase):
    """Compare one network in one phase."""
    graph = zoo.draw(model)
    job = our_job(step, model, phase, BATCH)

    def ours():
        job.step()
        job.synchronize()

    shape = graph.input_shape[1:] + graph.input_shape[:1]
    compare(model, phase, BATCH, ours, twin_step(model, phase, BATCH, shape, graph.learnable))


if __name__ == "__main__":
    for name in sys.argv[1:] or TWINS:
        for what in ROUNDS:
            run(name, what)
