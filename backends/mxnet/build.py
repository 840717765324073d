"""Converts a graph to a Symbol, one native call per node.

Variables have the zoo's names, except in recurrent layers, whose arrays MXNet needs in one vector.
Sequences are laid out (steps, batch, features), as MXNet's recurrent layers and CTC loss take them,
up to the logits.
"""

from collections import OrderedDict

import mxnet as mx
import numpy as np

from backends.harness.folding import foldable, folded
from backends.harness.operators import check_operators

INPUT = "input"


class Plan(object):
    """What the operators need to know about the whole graph."""

    def __init__(
        self,
        graph,
        dtype="float32",
        fold=False,
        plain_lrn=False,
        keep_pooled=False,
        cudnn_tune=None,
    ):
        """`fold` folds batch normalisation into convolutions (inference only).

        `plain_lrn` is for training on a CPU: MXNet 1.9.1's gradient of LRN is wrong, by 80 %
        in googlenet, where oneDNN laid out input or gradient in blocks, as convolutions do;
        exchanging height and width, which LRN does not see, undoes that. `keep_pooled` is for
        training on a CPU before MXNet 1.5, where the gradient of max pooling overwrites the input
        that it still compares with the output, unless something else needs that: it is zero then.
        `cudnn_tune` is for GPUs.
        """
        self.dtype = dtype
        self.plain_lrn = plain_lrn
        self.keep_pooled = keep_pooled
        self.cudnn_tune = cudnn_tune
        self.absorbs = foldable(graph) if fold else OrderedDict()


# -- operators: node, plan, input symbols -> symbol ----------------------------------------


def _variables(node, *roles):
    return [mx.sym.Variable(node.name + "." + role) for role in roles]


def _padded(node, x, fill):
    top, left, bottom, right = node.attrs["pad"]
    widths = (0, 0, 0, 0, top, bottom, left, right)
    return mx.sym.Pad(x, mode="constant", pad_width=widths, constant_value=fill)


def _conv(node, plan, x):
    a = node.attrs
    biased = a["bias"] or node in plan.absorbs
    symmetric = a["pad"][:2] == a["pad"][2:]
    keywords = {"cudnn_tune": plan.cudnn_tune} if plan.cudnn_tune else {}
    return mx.sym.Convolution(
        x if symmetric else _padded(node, x, 0.0),
        *_variables(node, "weight", *(["bias"] if biased else [])),
        num_filter=a["filters"],
        kernel=a["kernel"],
        stride=a["stride"],
        pad=a["pad"][:2] if symmetric else (0, 0),
        no_bias=not biased,
        name=node.name,
        **keywords,
    )


def _batch_norm(node, plan, x):
    if node.inputs[0] in plan.absorbs:
        return x
    return mx.sym.BatchNorm(
        x,
        *_variables(node, "gamma", "beta", "mean", "variance"),
        eps=node.attrs["eps"],
        momentum=node.attrs["decay"],  # the weight of the old value here too
        fix_gamma=False,
        use_global_stats=False,
        name=node.name,
    )


def _dense(node, _plan, x):
    a = node.attrs
    return mx.sym.FullyConnected(
        x,
        *_variables(node, "weight", *(["bias"] if a["bias"] else [])),
        num_hidden=a["units"],
        no_bias=not a["bias"],
        flatten=False,
        name=node.name,
    )


def _relu(node, _plan, x):
    return mx.sym.Activation(x, act_type="relu", name=node.name)


def _lrn(node, plan, x):
    a = node.attrs
    half = plan.dtype == "float16"  # whose squares do not fit
    y = mx.sym.Cast(x, dtype="float32") if half else x
    if plan.plain_lrn:
        y = mx.sym.transpose(y, axes=(0, 1, 3, 2))
    y = mx.sym.LRN(y, nsize=a["size"], alpha=a["alpha"], beta=a["beta"], knorm=a["k"])
    if plan.plain_lrn:
        y = mx.sym.transpose(y, axes=(0, 1, 3, 2))
    return mx.sym.Cast(y, dtype="float16") if half else y


def _pooling(x, kind, kernel, stride, pad=(0, 0), convention="valid"):
    # count_include_pad (1.3) is not written, because its default is what 1.2 does: count.
    return mx.sym.Pooling(
        x, kernel=kernel, stride=stride, pad=pad, pool_type=kind, pooling_convention=convention
    )


def _convention(node):
    """How native pooling must round to give the same windows; None if it cannot.

    MXNet pads alike on both sides. Padding only at the end is what rounding up does, if that yields
    the same shape.
    """
    a = node.attrs
    start, end = a["pad"][:2], a["pad"][2:]
    if start == end:
        return "valid"
    sizes = node.inputs[0].shape[1:]
    rounded = tuple(
        -(-(size + 2 * pad - kernel) // stride) + 1
        for size, pad, kernel, stride in zip(sizes, start, a["kernel"], a["stride"])
    )
    return "full" if rounded == node.shape[1:] else None


# Their gradients need their output.
KEEPERS = ("relu", "max_pool")


def _max_pool(node, plan, x):
    a, convention = node.attrs, _convention(node)
    if convention is None:
        x = _padded(node, x, -np.inf)
    if plan.keep_pooled and (convention is None or node.inputs[0].op not in KEEPERS):
        # The same values, and its gradient needs its output.
        x = mx.sym.LeakyReLU(x, act_type="leaky", slope=1.0)
    pad = (0, 0) if convention is None else a["pad"][:2]
    return _pooling(x, "max", a["kernel"], a["stride"], pad, convention or "valid")


def _avg_pool(node, _plan, x):
    a = node.attrs
    if node.shape[1:] == (1, 1) and not any(a["pad"]) and a["kernel"] == node.inputs[0].shape[1:]:
        return mx.sym.Pooling(x, kernel=a["kernel"], pool_type="avg", global_pool=True)
    if a["pad"][:2] == a["pad"][2:]:
        return _pooling(x, "avg", a["kernel"], a["stride"], a["pad"][:2])
    # Rounding up would divide by only the part of a window that is inside.
    return _pooling(_padded(node, x, 0.0), "avg", a["kernel"], a["stride"])


def _dropout(node, _plan, x):
    return mx.sym.Dropout(x, p=node.attrs["rate"])


def _flatten(_node, _plan, x):
    return mx.sym.Flatten(x)


def _add(_node, _plan, x, y):
    return mx.sym.elemwise_add(x, y)


def _concat(_node, _plan, *values):
    return mx.sym.Concat(*values, dim=1)


def _scale(node, _plan, x):
    return x * node.attrs["factor"]


def _sequence(_node, _plan, x):
    return mx.sym.reshape(mx.sym.transpose(x, axes=(2, 0, 1, 3)), shape=(0, 0, -1))


def _rnn(node, _plan, x):
    """One call per layer: MXNet 1.9.1's CPU gradient of three layers in one is wrong."""
    a = node.attrs
    for layer in range(a["layers"]):
        x = mx.sym.RNN(
            x,
            *_variables(node, "l%d_packed" % layer, "l%d_zero_state" % layer),
            state_size=a["hidden"],
            num_layers=1,
            bidirectional=a["bidirectional"],
            mode="rnn_" + a["activation"],
            name="%s_l%d" % (node.name, layer),
        )
    return x


OPERATORS = {  # type: dict
    "conv": _conv,
    "batch_norm": _batch_norm,
    "dense": _dense,
    "per_step": _dense,
    "relu": _relu,
    "lrn": _lrn,
    "max_pool": _max_pool,
    "avg_pool": _avg_pool,
    "dropout": _dropout,
    "flatten": _flatten,
    "add": _add,
    "concat": _concat,
    "scale": _scale,
    "sequence": _sequence,
    "rnn": _rnn,
}

# -- the network ---------------------------------------------------------------------------


class Network(object):
    """A built graph: a symbol per node, and the contents of the bound arrays."""

    def __init__(self, graph, plan, symbols):
        """See `build`."""
        self.graph = graph
        self.plan = plan
        self.symbols = symbols
        self.packed = OrderedDict()
        for node in graph.nodes:
            for layer in range(node.attrs["layers"] if node.op == "rnn" else 0):
                self.packed["%s.l%d_packed" % (node.name, layer)] = packing(node, layer)

    @property
    def logits(self):
        """The output's symbol; time-major for speech."""
        return self.symbols[self.graph.output]

    def load(self, values, arrays):
        """Fill bound arrays (name -> NDArray) with weights and statistics."""
        values = folded(values, self.plan.absorbs)
        for name in arrays:
            if name in self.packed:
                parts = [values[p.name].reshape(-1) for p in self.packed[name]]
                arrays[name][:] = np.concatenate(parts)
            elif name in values:
                arrays[name][:] = values[name]

    def unpack(self, arrays, wanted):
        """Float32 copies of the wanted parameters, from bound arrays by MXNet's names."""
        found = OrderedDict(
            (name, array.asnumpy().astype(np.float32, copy=False)) for name, array in arrays.items()
        )
        for name in self.packed:
            vector, start = found.get(name), 0
            if vector is None:
                continue
            for part in self.packed[name]:
                found[part.name] = vector[start : start + part.size].reshape(part.shape)
                start += part.size
        return OrderedDict((p.name, found[p.name]) for p in wanted)


def packing(node, layer):
    """A recurrent layer's parameters in the order of MXNet's vector: weights, then biases."""
    mine = [p for p in node.parameters if p.role.startswith("l%d_" % layer)]
    weights = [p for p in mine if "_weight_" in p.role]
    return weights + [p for p in mine if "_bias_" in p.role]


def build(graph, **choices):
    """A `Network`; `choices` are `Plan`'s. Raises `Unsupported` for an operator we do not have."""
    check_operators(graph, OPERATORS)
    plan = Plan(graph, **choices)
    symbols = OrderedDict([(graph.input, mx.sym.Variable(INPUT))])
    for node in graph.nodes:
        if node is not graph.input:
            inputs = [symbols[source] for source in node.inputs]
            symbols[node] = OPERATORS[node.op](node, plan, *inputs)
    return Network(graph, plan, symbols)


def batch_first(node, array):
    """A node's NumPy value as the zoo lays it out."""
    return array.swapaxes(0, 1) if len(node.shape) == 2 else array
