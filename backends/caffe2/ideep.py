"""Intel's operators of Caffe2, which compute with oneDNN.

To Caffe2 they are a type of device, IDEEP. Its arrays are in the host's memory in layouts of
oneDNN, so they are copied for operators that only Caffe2's own code has.
"""

from caffe2.proto import caffe2_pb2
from caffe2.python import core, workspace

# Their argument `training_mode`: without it they keep the weights of the first step.
TRAINING_MODE = ("Conv", "FC", "MaxPool", "AveragePool")

TO_NATIVE, FROM_NATIVE = "CopyIDEEPToCPU", "CopyCPUToIDEEP"


def available():
    """Whether this Caffe2 was built with them."""
    return bool(getattr(workspace.C, "use_mkldnn", False))


def device():
    """Where they run."""
    return core.DeviceOption(caffe2_pb2.IDEEP)


def native():
    """Where Caffe2's own operators run."""
    return core.DeviceOption(caffe2_pb2.CPU)


def lacks(kind, arguments):
    """Whether there is no such operator that computes what ours means."""
    pads = arguments.get("pads", ())
    if kind == "Conv":
        return pads[:2] != pads[2:]
    # Their dropout needs MKL: without, it multiplies by memory that nothing wrote. Their average of
    # padded images leaves out the padding.
    return kind == "Dropout" or (kind == "AveragePool" and any(pads))


def add(net, kind, inputs, outputs, **arguments):
    """Add an operator that only Intel's have; Caffe2's usual call does not know those."""
    arguments.setdefault("device_option", device())
    net._CreateAndAddToSelf(kind, inputs, outputs, **arguments)


def in_plain_order(net, name):
    """Add copies of a gradient; the name of the one whose values are in the order of an array.

    Their update reads all memory as if it were in that order.
    """
    read, plain = name + "_read", name + "_plain"
    add(net, TO_NATIVE, [name], [read])
    add(net, FROM_NATIVE, [read], [plain])
    return plain


def _copied_back(back):
    """The gradient of a copy, which Caffe2 does not know: a copy in the other direction."""

    def gradient(operator, gradients):
        name = operator.input[0] + "_grad"
        copy = core.CreateOperator(back, [gradients[0]], [name], device_option=device())
        return [copy], [name]

    return gradient


_COPIED_BACK = {TO_NATIVE: _copied_back(FROM_NATIVE), FROM_NATIVE: _copied_back(TO_NATIVE)}
_of_others = core.GradientRegistry.GetGradientForOp


def _gradient(operator, gradients):
    """Caffe2 would ask its compiled table first, whose refusal ends the process in some builds."""
    if operator.type in _COPIED_BACK:
        return _COPIED_BACK[operator.type](operator, gradients)
    return _of_others(operator, gradients)


core.GradientRegistry.GetGradientForOp = _gradient
