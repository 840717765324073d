"""Nets written with brew, as in Caffe2's own convnet_benchmarks.py and resnet50_trainer.py."""

import sys

import numpy as np
from caffe2.python import brew, model_helper, optimizer, workspace

from backends import zoo
from backends.caffe2 import step
from backends.zoo import weights
from tests.bench.twins.pairing import ROUNDS, compare, our_job

BATCH = 4
FILL: tuple = ("XavierFill", {})
ZERO: tuple = ("ConstantFill", {})


def vgg16(model):
    x, channels, n = "twin_data", 3, 0
    for width, convs in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(convs):
            n += 1
            x = brew.conv(model, x, f"conv{n}", channels, width, 3, FILL, ZERO, pad=1)
            x = brew.relu(model, x, x)
            channels = width
        x = brew.max_pool(model, x, f"pool{n}", kernel=2, stride=2)
    for name, inputs in (("fc6", 25088), ("fc7", 4096)):
        x = brew.fc(model, x, name, inputs, 4096, FILL, ZERO)
        x = brew.relu(model, x, x)
        if not model.is_test:
            x = brew.dropout(model, x, name + "_dropout", ratio=0.5, is_test=0)
    return brew.fc(model, x, "fc8", 4096, 1000, FILL, ZERO)


def resnet50(model):
    """The stride is in the first 1x1, as in He et al."""
    count = [0]

    def conv(x, inputs, outputs, kernel, stride=1, pad=0, relu=True):
        count[0] += 1
        name = f"r{count[0]}"
        x = brew.conv(model, x, name, inputs, outputs, kernel, FILL, ZERO,
                      stride=stride, pad=pad, no_bias=1)  # fmt: skip
        x = brew.spatial_bn(model, x, name + "_bn", outputs, epsilon=1e-5, momentum=0.9,
                            is_test=model.is_test)  # fmt: skip
        return brew.relu(model, x, x) if relu else x

    x = conv("twin_data", 3, 64, 7, 2, 3)
    x = brew.max_pool(model, x, "pool1", kernel=3, stride=2, pad=1)
    channels = 64
    for width, units, first in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for unit in range(units):
            stride = first if unit == 0 else 1
            short = x
            if unit == 0:
                short = conv(x, channels, 4 * width, 1, stride, relu=False)
            y = conv(x, channels, width, 1, stride)
            y = conv(y, width, width, 3, 1, 1)
            y = conv(y, width, 4 * width, 1, relu=False)
            channels = 4 * width
            x = brew.sum(model, [y, short], y)
            x = brew.relu(model, x, x)
    x = brew.average_pool(model, x, "pool5", kernel=7, stride=1)
    return brew.fc(model, x, "last", channels, 1000, FILL, ZERO)


TWINS = {"vgg16": vgg16, "resnet50": resnet50}


def twin_step(name, phase):
    """Return a function that runs the net once; Caffe2 waits for its end itself."""
    graph = zoo.draw(name)
    model = model_helper.ModelHelper(name="twin", arg_scope={"order": "NCHW"})
    model.is_test = phase == "inference"
    logits = TWINS[name](model)
    if phase == "training":
        _, loss = model.net.SoftmaxWithLoss([logits, "twin_label"], ["softmax", "loss"])
        model.AddGradientOperators([loss])
        optimizer.build_sgd(model, base_learning_rate=1e-4, policy="fixed", momentum=0.9)
    workspace.RunNetOnce(model.param_init_net)
    workspace.FeedBlob("twin_data", weights.inputs(graph, BATCH, 0))
    workspace.FeedBlob("twin_label", weights.labels(graph, BATCH, 0).astype(np.int32))
    workspace.CreateNet(model.net, True)
    return lambda: workspace.RunNet(model.net.Proto().name)


def run(model, phase):
    """Compare one network in one phase."""
    job = our_job(step, model, phase, BATCH)
    compare(model, phase, BATCH, job.step, twin_step(model, phase))
    job.close()


if __name__ == "__main__":
    for name in sys.argv[1:] or TWINS:
        for what in ROUNDS:
            run(name, what)
