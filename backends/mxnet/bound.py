"""Networks bound to a device: losses, arrays, updates."""

from collections import OrderedDict

import mxnet as mx

from backends.harness import release
from backends.mxnet import build, environment

LABELS = "labels"
LOSS_TYPE = "float32"  # half precision is not accurate enough for the loss

# From 1.6 on MXNet fuses by default; before, the word would be a missing backend.
NO_SUBGRAPH = "NONE" if release.numbers(mx.__version__) >= (1, 6) else None


def loss_symbol(network, scale=1.0):
    """Mean loss of a batch: cross entropy, or CTC with blank 0 for speech.

    `scale` multiplies the gradients, not the loss.
    """
    logits, labels = network.logits, mx.sym.Variable(LABELS)
    if network.plan.dtype != LOSS_TYPE:
        logits = mx.sym.Cast(logits, dtype=LOSS_TYPE)
    if network.graph.kind == "speech":
        loss = mx.sym.mean(mx.sym.contrib.CTCLoss(logits, labels, blank_label="first"))
    else:
        scores = mx.sym.log_softmax(logits, axis=-1)
        loss = -mx.sym.mean(mx.sym.pick(scores, labels, axis=-1))
    return mx.sym.MakeLoss(loss, grad_scale=scale)


def bind(symbol, network, where, inputs, labels=None, fuse=False):
    """An Executor whose arrays are still empty; it trains if there are labels.

    `inputs` and `labels` are shapes; `fuse` lets MXNet rewrite the symbol for oneDNN, for
    inference.
    """
    shapes, types = {build.INPUT: inputs}, {build.INPUT: network.plan.dtype}
    if labels is not None:
        shapes[LABELS], types[LABELS] = labels, LOSS_TYPE
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
    """Whether it is the initial state of a recurrent layer."""
    return name.endswith("_zero_state")


def fill(network, executor, values):
    """Put weights and statistics in."""
    network.load(values, executor.arg_dict)
    network.load(values, executor.aux_dict)


def trained(network, executor):
    """Name -> gradient of everything that is updated, from the network's input on."""
    found = executor.grad_dict
    names = network.logits.list_arguments()  # a dictionary of Python 3.5 has no order
    return OrderedDict((name, found[name]) for name in names if found[name] is not None)


class Updater(object):
    """Momentum SGD, called with dictionaries of gradients and of the arrays they change."""

    def __init__(self, how, rate, momentum, rescale=1.0, half=False):
        """`how` is the option; `half` keeps float32 master copies of float16 weights."""
        self._together = how == "aggregated"
        self._rate = rate
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

    def weights(self, arrays):
        """The arrays that the next update changes: the master copies of float16 arrays."""
        return OrderedDict((name, self._states(name, array)[1]) for name, array in arrays.items())

    def velocities(self, arrays):
        """The velocities of momentum in units of the gradient: MXNet stores -rate times as much."""
        return OrderedDict(
            (name, self._states(name, array)[0] / -self._rate) for name, array in arrays.items()
        )

    def _states(self, name, array):
        """(momentum, float32 weights) of an array, float16 or not, updated yet or not."""
        state = self._updater.states.get(name)
        if isinstance(state, tuple):
            return state
        return (mx.nd.zeros_like(array) if state is None else state), array
