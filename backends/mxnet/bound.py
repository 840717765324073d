"""Networks bound to a device: losses, arrays, updates."""

from collections import OrderedDict

import mxnet as mx
import numpy as np

from backends.mxnet import build, environment

LABELS = "labels"

# From 1.6 on MXNet fuses unless told not to; before, the word would be a backend it lacks.
NO_SUBGRAPH = "NONE" if tuple(int(n) for n in mx.__version__.split(".")[:2]) >= (1, 6) else None


def loss_symbol(network, scale=1.0):
    """Mean loss of a batch: cross entropy, or CTC with blank 0 for speech.

    `scale` multiplies the gradients, not the loss.
    """
    logits, labels = network.logits, mx.sym.Variable(LABELS)
    if network.plan.dtype != label_type(network):
        logits = mx.sym.Cast(logits, dtype=label_type(network))
    if network.graph.kind == "speech":
        loss = mx.sym.mean(mx.sym.contrib.CTCLoss(logits, labels, blank_label="first"))
    else:
        scores = mx.sym.log_softmax(logits, axis=-1)
        loss = -mx.sym.mean(mx.sym.pick(scores, labels, axis=-1))
    return mx.sym.MakeLoss(loss, grad_scale=scale)


def label_type(network):
    """In what the loss is computed: half precision does not suit it, MXNet's CTC has no double."""
    double = network.plan.dtype == "float64" and network.graph.kind != "speech"
    return "float64" if double else "float32"


def bind(symbol, network, where, inputs, labels=None, fuse=False, fed=()):
    """An Executor whose arrays are yet to be filled; it trains if there are labels.

    `inputs` and `labels` are shapes, `fed` are pairs of further variables and shapes; `fuse`
    lets MXNet rewrite the symbol for oneDNN, for inference.
    """
    shapes = OrderedDict(fed)
    shapes[build.INPUT] = inputs
    if labels is not None:
        shapes[LABELS] = labels
    types = dict.fromkeys(shapes, network.plan.dtype)
    types[LABELS] = label_type(network)
    requests = {
        name: "null" if labels is None or name in shapes or is_state(name) else "write"
        for name in symbol.list_arguments()
    }
    with environment.subgraph_backend("MKLDNN" if fuse else NO_SUBGRAPH):
        executor = symbol.simple_bind(where, grad_req=requests, type_dict=types, **shapes)
    for name, array in executor.arg_dict.items():
        if is_state(name):
            array[:] = 0
    return executor


def is_state(name):
    """Is it what a recurrent layer starts from?"""
    return name.endswith("_zero_state")


def fill(network, executor, values):
    """Put weights and statistics in."""
    network.load(values, executor.arg_dict)
    network.load(values, executor.aux_dict)


def trained(executor):
    """Name -> gradient of everything that is updated."""
    found = executor.grad_dict
    return OrderedDict((name, found[name]) for name in found if found[name] is not None)


class Updater(object):
    """Momentum SGD, called with dictionaries of gradients and of the arrays they change."""

    def __init__(self, how, rate, momentum, rescale=1.0, half=False):
        """`how` is the option; `half` keeps float32 master copies of float16 weights."""
        self._together = how == "aggregated"
        sgd = mx.optimizer.create(
            "sgd",
            learning_rate=rate,
            momentum=momentum,
            rescale_grad=rescale,
            multi_precision=half,
            wd=0.0,
        )
        if not self._together and hasattr(sgd, "aggregate_num"):
            sgd.aggregate_num = 0
        self._updater = mx.optimizer.get_updater(sgd)

    def __call__(self, gradients, arrays):
        """Queue the update."""
        names = list(gradients)
        if self._together:
            self._updater(names, [gradients[n] for n in names], [arrays[n] for n in names])
            return
        for name in names:
            self._updater(name, gradients[name], arrays[name])

    def kept(self, arrays):
        """What the next update starts from: the master copies of float16 arrays."""
        states = self._updater.states
        return OrderedDict(
            (name, states[name][1] if name in states and array.dtype == np.float16 else array)
            for name, array in arrays.items()
        )
