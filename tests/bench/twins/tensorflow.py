"""keras.applications, driven by tf.function as TensorFlow's guides do."""

import sys

import numpy as np
import tensorflow as tf

from backends import zoo
from backends.harness.sgd import LEARNING_RATE, MOMENTUM
from backends.tensorflow import step
from tests.bench.twins.pairing import ROUNDS, compare, our_job

BATCH = 4
TWINS = {"vgg16": "VGG16", "resnet50": "ResNet50", "inception3": "InceptionV3"}


def twin_step(model, phase, batch):
    """Return a function that does one step and waits for its end."""
    network = getattr(tf.keras.applications, TWINS[model])(weights=None, classifier_activation=None)
    x = tf.constant(np.random.rand(batch, *network.input_shape[1:]).astype(np.float32))
    y = tf.constant(np.arange(batch) % 1000)
    if phase == "inference":
        infer = tf.function(lambda images: network(images, training=False), autograph=False)
        return lambda: infer(x).numpy()
    loss_of = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer = tf.keras.optimizers.SGD(LEARNING_RATE, momentum=MOMENTUM)

    @tf.function
    def train(images, labels):
        with tf.GradientTape() as tape:
            loss = loss_of(labels, network(images, training=True))
        weights = network.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
        return loss

    return lambda: train(x, y).numpy()


def run(model, phase):
    """Compare one network in one phase."""
    job = our_job(step, model, phase, BATCH)

    def ours():
        job.step()
        job.synchronize()

    compare(model, phase, BATCH, ours, twin_step(model, phase, BATCH))


if __name__ == "__main__":
    for name in sys.argv[1:] or TWINS:
        zoo.draw(name)
        for what in ROUNDS:
            run(name, what)
