"""Prototxt in the style of BVLC's model zoo, written by hand, in Caffe's own solver."""

import os
import sys
import tempfile

os.environ.setdefault("GLOG_minloglevel", "1")

import caffe

from backends import zoo
from backends.caffe.step import Backend
from backends.zoo import weights
from tests.bench.twins.pairing import ROUNDS, compare, our_job

BATCH = 4

INPUT = """
name: "twin"
layer { name: "data" type: "Input" top: "data"
        input_param { shape { dim: %d dim: 3 dim: %d dim: %d } } }
layer { name: "label" type: "Input" top: "label" input_param { shape { dim: %d } } }
"""
CONVOLUTION = """
layer { name: "%(name)s" type: "Convolution" bottom: "%(bottom)s" top: "%(name)s"
        convolution_param { num_output: %(outputs)d kernel_size: %(kernel)d stride: %(stride)d
                            pad: %(pad)d group: %(group)d bias_term: %(bias)s
                            weight_filler { type: "msra" } } }
"""
RELU = 'layer { name: "%(name)s_relu" type: "ReLU" bottom: "%(name)s" top: "%(name)s" }\n'
POOL = """
layer { name: "%(name)s" type: "Pooling" bottom: "%(bottom)s" top: "%(name)s"
        pooling_param { pool: %(pool)s kernel_size: %(kernel)d stride: %(stride)d } }
"""
DENSE = """
layer { name: "%(name)s" type: "InnerProduct" bottom: "%(bottom)s" top: "%(name)s"
        inner_product_param { num_output: %(outputs)d weight_filler { type: "msra" } } }
"""
DROPOUT = """
layer { name: "%(name)s_drop" type: "Dropout" bottom: "%(name)s" top: "%(name)s"
        dropout_param { dropout_ratio: 0.5 } }
"""
NORMALISED = """
layer { name: "%(name)s_bn" type: "BatchNorm" bottom: "%(name)s" top: "%(name)s" }
layer { name: "%(name)s_scale" type: "Scale" bottom: "%(name)s" top: "%(name)s"
        scale_param { bias_term: true } }
"""
SUM = """
layer { name: "%(name)s" type: "Eltwise" bottom: "%(bottom)s" bottom: "%(other)s" top: "%(name)s" }
"""
LOSS = """
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "%(bottom)s" bottom: "label" top: "loss" }
"""


def conv(name, bottom, outputs, kernel, stride=1, pad=0, bias="true"):
    return CONVOLUTION % {
        "name": name, "bottom": bottom, "outputs": outputs, "kernel": kernel, "stride": stride,
        "pad": pad, "group": 1, "bias": bias,
    }  # fmt: skip


def pool(name, bottom, kernel, stride, kind="MAX"):
    return POOL % {
        "name": name, "bottom": bottom, "pool": kind, "kernel": kernel, "stride": stride,
    }  # fmt: skip


def dense(name, bottom, outputs):
    return DENSE % {"name": name, "bottom": bottom, "outputs": outputs}


def vgg16():
    parts, bottom = [], "data"
    for stage, (width, convs) in enumerate(((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))):
        for unit in range(convs):
            name = f"conv{stage + 1}_{unit + 1}"
            parts += [conv(name, bottom, width, 3, pad=1), RELU % {"name": name}]
            bottom = name
        name = f"pool{stage + 1}"
        parts.append(pool(name, bottom, 2, 2))
        bottom = name
    for name in ("fc6", "fc7"):
        values = {"name": name}
        parts += [dense(name, bottom, 4096), RELU % values, DROPOUT % values]
        bottom = name
    return [*parts, dense("fc8", bottom, 1000)], "fc8"


def resnet50():
    """The stride is in the first 1x1, as in He et al.'s own prototxt."""

    def normalised(name, bottom, outputs, kernel, stride=1, pad=0, *, relu=True, bias="false"):
        text = conv(name, bottom, outputs, kernel, stride, pad, bias) + NORMALISED % {"name": name}
        return text + (RELU % {"name": name} if relu else "")

    first = normalised("conv1", "data", 64, 7, 2, 3, bias="true")
    parts = [first, pool("pool1", "conv1", 3, 2)]
    bottom = "pool1"
    for stage, (width, units) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3))):
        for unit in range(units):
            name = f"res{stage + 2}_{unit}"
            stride = 2 if unit == 0 and stage else 1
            short = bottom
            if unit == 0:
                short = name + "_short"
                parts.append(normalised(short, bottom, 4 * width, 1, stride, relu=False))
            parts += [
                normalised(name + "_a", bottom, width, 1, stride),
                normalised(name + "_b", name + "_a", width, 3, 1, 1),
                normalised(name + "_c", name + "_b", 4 * width, 1, relu=False),
                SUM % {"name": name, "bottom": short, "other": name + "_c"},
                RELU % {"name": name},
            ]
            bottom = name
    parts.append(pool("pool5", bottom, 7, 1, "AVE"))
    return [*parts, dense("fc1000", "pool5", 1000)], "fc1000"


TWINS = {"vgg16": vgg16, "resnet50": resnet50}
SOLVER = """
net: "%s"
base_lr: 0.0001 lr_policy: "fixed" momentum: 0.9 type: "SGD" solver_mode: CPU max_iter: 1000000
snapshot_after_train: false
"""


def twin_step(model, phase, folder):
    """Return a function that does one step; Caffe waits for its end itself."""
    graph = zoo.draw(model)
    parts, last = TWINS[model]()
    size = graph.input_shape[1]
    text = INPUT % (BATCH, size, size, BATCH) + "".join(parts)
    if phase == "training":
        text += LOSS % {"bottom": last}
    path = os.path.join(folder, f"{model}-{phase}.prototxt")
    with open(path, "w") as stream:
        stream.write(text)
    if phase == "inference":
        net = caffe.Net(path, caffe.TEST)
        for name, blobs in net.params.items():
            if name.endswith("_bn"):
                # A new network's statistics are zero: its values would not stay finite.
                blobs[1].data[...] = blobs[2].data[...] = 1
        net.blobs["data"].data[...] = weights.inputs(graph, BATCH, 0)
        return net.forward
    with open(path + ".solver", "w") as stream:
        stream.write(SOLVER % path)
    solver = caffe.SGDSolver(path + ".solver")
    solver.net.blobs["data"].data[...] = weights.inputs(graph, BATCH, 0)
    solver.net.blobs["label"].data[...] = weights.labels(graph, BATCH, 0)
    return lambda: solver.step(1)


def run(model, phase):
    """Compare one network in one phase."""
    job = our_job(Backend("bvlc_caffe"), model, phase, BATCH)
    with tempfile.TemporaryDirectory() as folder:
        compare(model, phase, BATCH, job.step, twin_step(model, phase, folder))


if __name__ == "__main__":
    for name in sys.argv[1:] or TWINS:
        for what in ROUNDS:
            run(name, what)
