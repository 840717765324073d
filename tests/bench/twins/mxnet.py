"""Gluon's model zoo, hybridised, with Gluon's own trainer."""

import sys

import mxnet
from mxnet.gluon.model_zoo import vision

from backends import zoo
from backends.mxnet import step
from backends.zoo import weights
from tests.bench.twins.pairing import ROUNDS, compare, our_job

BATCH = 4
TWINS = {"vgg16": "vgg16", "resnet50": "resnet50_v1", "resnet18": "resnet18_v1",
         "inception3": "inceptionv3"}  # fmt: skip


def twin_step(model, phase):
    """Return a function that does one step and waits for its end."""
    graph = zoo.draw(model)
    x = mxnet.nd.array(weights.inputs(graph, BATCH, 0))
    y = mxnet.nd.array(weights.labels(graph, BATCH, 0))
    network = vision.get_model(TWINS[model])
    network.initialize(mxnet.init.Xavier())
    network.hybridize(static_alloc=True, static_shape=True)
    if phase == "inference":
        return lambda: network(x).wait_to_read()
    loss_of = mxnet.gluon.loss.SoftmaxCrossEntropyLoss()
    loss_of.hybridize(static_alloc=True, static_shape=True)
    trainer = mxnet.gluon.Trainer(
        network.collect_params(), "sgd", {"learning_rate": 1e-4, "momentum": 0.9}
    )

    def train():
        with mxnet.autograd.record():
            loss = loss_of(network(x), y)
        loss.backward()
        trainer.step(BATCH)
        mxnet.nd.waitall()

    return train


def run(model, phase):
    """Compare one network in one phase."""
    job = our_job(step, model, phase, BATCH)

    def ours():
        job.step()
        job.synchronize()

    compare(model, phase, BATCH, ours, twin_step(model, phase))


if __name__ == "__main__":
    for name in sys.argv[1:] or TWINS:
        for what in ROUNDS:
            run(name, what)
