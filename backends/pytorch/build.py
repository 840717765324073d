"""Converts a graph to an nn.Module, one native call per node.

The network's ``forward`` is generated as straight-line Python, as if written by hand: no dispatch
per node, every value dropped after its last use, and torch.compile and TorchScript see an ordinary
function. Layers with parameters are submodules.
"""

import linecache
from collections import OrderedDict

import torch
from torch import nn
from torch.nn import functional

from backends.harness.folding import foldable, folded
from backends.harness.operators import check_operators

# Operations whose result autograd lets another one overwrite: they keep their inputs, not their
# output.
OVERWRITABLE = ("conv", "batch_norm", "dense", "per_step", "add", "scale")


class Conv(nn.Conv2d):
    """Without random initialization: the zoo provides the weights."""

    def reset_parameters(self):
        """Leave the memory untouched, so that building is free."""


class Dense(nn.Linear):
    """Without random initialization."""

    def reset_parameters(self):
        """Leave the memory untouched."""


class Recurrent(nn.RNN):
    """Without random initialization."""

    def reset_parameters(self):
        """Leave the memory untouched."""


def response_norm(x, size, alpha, beta, k):
    """LRN; squares do not fit into float16, and CPUs have no kernel for bfloat16."""
    y = x if x.dtype == torch.float32 else x.float()
    return functional.local_response_norm(y, size, alpha, beta, k).to(x.dtype)


def to_sequence(x):
    """(N, C, T, F) to (N, T, C * F)."""
    return x.permute(0, 2, 1, 3).flatten(2)


# -- operators: node, plan -> (module or None, expression); {0} and {1} are the inputs -----


def _padded(pad, fill, text="{0}"):
    top, left, bottom, right = pad
    return "F.pad(%s, %r, value=%s)" % (text, (left, right, top, bottom), fill)


def _conv(node, plan):
    a = node.attrs
    symmetric = a["pad"][:2] == a["pad"][2:]
    module = Conv(
        node.inputs[0].shape[0],
        a["filters"],
        a["kernel"],
        stride=a["stride"],
        padding=a["pad"][:2] if symmetric else 0,
        bias=a["bias"] or node in plan.absorbs,
    )
    return module, "{self}({0})" if symmetric else "{self}(%s)" % _padded(a["pad"], "0.0")


def _batch_norm(node, plan):
    if node.inputs[0] in plan.absorbs:
        return None, "{0}"
    # PyTorch's momentum is the weight of the new value.
    a = node.attrs
    return nn.BatchNorm2d(node.shape[0], eps=a["eps"], momentum=1 - a["decay"]), "{self}({0})"


def _dense(node, _plan):
    module = Dense(node.inputs[0].shape[-1], node.attrs["units"], bias=node.attrs["bias"])
    return module, "{self}({0})"


def _relu(node, plan):
    return None, "relu_({0})" if plan.may_overwrite(node.inputs[0]) else "relu({0})"


def _lrn(node, _plan):
    a = node.attrs
    return None, "response_norm({0}, %r, %r, %r, %r)" % (a["size"], a["alpha"], a["beta"], a["k"])


def _window(node):
    """Arguments kernel, stride, padding, ceil_mode of native pooling; None if it cannot do it.

    Padding only at the end is what ceil_mode does, if that yields the same shape.
    """
    a = node.attrs
    start, end = a["pad"][:2], a["pad"][2:]
    if start == end:
        return a["kernel"], a["stride"], start, False
    sizes = node.inputs[0].shape[1:]
    rounded = tuple(
        -(-(size + 2 * pad - kernel) // stride) + 1
        for size, pad, kernel, stride in zip(sizes, start, a["kernel"], a["stride"])
    )
    if rounded == node.shape[1:]:
        return a["kernel"], a["stride"], start, True
    return None


def _max_pool(node, _plan):
    a, window = node.attrs, _window(node)
    if window and all(2 * pad <= kernel for pad, kernel in zip(a["pad"], a["kernel"])):
        return None, "max_pool({0}, %r, %r, %r, 1, %r)" % window
    inner = _padded(a["pad"], "float('-inf')")
    return None, "max_pool(%s, %r, %r)" % (inner, a["kernel"], a["stride"])


def _avg_pool(node, _plan):
    a, window = node.attrs, _window(node)
    if node.shape[1:] == (1, 1) and not any(a["pad"]) and a["kernel"] == node.inputs[0].shape[1:]:
        return None, "F.adaptive_avg_pool2d({0}, 1)"
    if window and not window[3]:
        return None, "F.avg_pool2d({0}, %r, %r, %r)" % window[:3]
    inner = _padded(a["pad"], "0.0")
    return None, "F.avg_pool2d(%s, %r, %r)" % (inner, a["kernel"], a["stride"])


def _dropout(node, _plan):
    return None, "F.dropout({0}, %r, self.training)" % node.attrs["rate"]


def _flatten(_node, _plan):
    return None, "torch.flatten({0}, 1)"


def _add(node, plan):
    for this, other in ((1, 0), (0, 1)):
        if plan.may_overwrite(node.inputs[this]):
            return None, "{%d}.add_({%d})" % (this, other)
    return None, "{0} + {1}"


def _concat(node, _plan):
    return None, "torch.cat((%s), 1)" % ", ".join("{%d}" % i for i in range(len(node.inputs)))


def _scale(node, plan):
    operation = "mul_" if plan.may_overwrite(node.inputs[0]) else "mul"
    return None, "{0}.%s(%r)" % (operation, node.attrs["factor"])


def _sequence(_node, _plan):
    return None, "to_sequence({0})"


def _rnn(node, _plan):
    a = node.attrs
    module = Recurrent(
        node.inputs[0].shape[1],
        a["hidden"],
        num_layers=a["layers"],
        nonlinearity=a["activation"],
        bidirectional=a["bidirectional"],
        batch_first=True,
    )
    return module, "{self}({0})[0]"


OPERATORS = {
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

# -- names ---------------------------------------------------------------------------------

BATCH_NORM_ROLES = {
    "gamma": "weight",
    "beta": "bias",
    "mean": "running_mean",
    "variance": "running_var",
}
RNN_ROLES = {
    "weight_input": "weight_ih",
    "weight_hidden": "weight_hh",
    "bias_input": "bias_ih",
    "bias_hidden": "bias_hh",
}


def native_role(op, role):
    """PyTorch's name for a role of the zoo."""
    if op == "batch_norm":
        return BATCH_NORM_ROLES[role]
    if op == "rnn":
        layer, direction, what = role.split("_", 2)
        return RNN_ROLES[what] + "_" + layer + ("_reverse" if direction == "backward" else "")
    return role


# -- the network ---------------------------------------------------------------------------


class Plan(object):
    """What the operators need to know about the whole graph."""

    def __init__(self, graph, fold, overwrite):
        """Count uses, and find the convolutions that can absorb their normalization."""
        self.overwrite = overwrite
        self._readers = graph.readers
        self.last_use = {node: read[-1] for node, read in self._readers.items() if read}
        self.absorbs = foldable(graph) if fold else OrderedDict()

    def may_overwrite(self, source):
        """Whether this node's value is used once, by an operation that may work in place."""
        return self.overwrite and source.op in OVERWRITABLE and len(self._readers[source]) == 1


class Network(nn.Module):
    """A built graph; `build` sets `graph`, `plan` and `source`, the generated code."""

    def tensors(self):
        """Canonical name -> parameter or buffer, for those the network has."""
        found = OrderedDict()
        for node in self.graph.nodes:
            layer = getattr(self, "layer_" + node.name, None)
            for parameter in (node.parameters + node.statistics) if layer is not None else ():
                found[parameter.name] = getattr(layer, native_role(node.op, parameter.role))
            if node in self.plan.absorbs:
                found[node.name + ".bias"] = layer.bias
        return found

    def load(self, values):
        """Copy in all parameters and statistics, folded where the network is."""
        values = folded(values, self.plan.absorbs)
        with torch.no_grad():
            for name, tensor in self.tensors().items():
                tensor.copy_(torch.from_numpy(values[name]))
        return self


def build(graph, fold=False, overwrite=True):
    """A `Network` with uninitialised weights; raises `Unsupported` for an operator we do not have.

    `fold` folds batch normalization into convolutions (inference only); `overwrite` lets cheap
    operations work in place, as handwritten networks do.
    """
    check_operators(graph, OPERATORS)
    plan = Plan(graph, fold, overwrite)
    layers, lines, walk = _translate(graph, plan)
    source = "def forward(self, %s):\n    %s\n" % (_variable(graph.input), "\n    ".join(lines))
    source += "\n\ndef walk(self, %s):\n    %s\n" % (_variable(graph.input), "\n    ".join(walk))
    network = type("Network", (Network,), _compiled(graph.name, source))()
    network.source, network.plan, network.graph = source, plan, graph
    for name, layer in layers:
        network.add_module(name, layer)
    return network


def _variable(node):
    return "v_" + node.name


def _translate(graph, plan):
    """Submodules, and the lines of ``forward`` and of ``walk``, which yields every node."""
    layers, lines, walk = [], [], ["yield %r, %s" % (graph.input.name, _variable(graph.input))]
    for node in graph.nodes:
        if node is graph.input:
            continue
        layer, expression = OPERATORS[node.op](node, plan)
        inputs = [_variable(source) for source in node.inputs]
        if layer is not None:
            layers.append(("layer_" + node.name, layer))
        text = expression.format(*inputs, self="self.layer_" + node.name)
        line = "%s = %s" % (_variable(node), text)
        done = [_variable(s) for s in node.inputs if plan.last_use[s] is node]
        if done:
            line += "; " + " = ".join(sorted(set(done))) + " = None"
        lines.append(line)
        walk += [line, "yield %r, %s" % (node.name, _variable(node))]
    return layers, lines + ["return " + _variable(graph.output)], walk


def _compiled(name, source):
    """Functions of the generated source, which tracebacks and torch.compile can read."""
    file = "<benchdock %s %x>" % (name, hash(source) & 0xFFFFFFFF)
    linecache.cache[file] = (len(source), None, source.splitlines(True), file)
    scope = {
        "torch": torch,
        "F": functional,
        "relu": torch.relu,
        "relu_": torch.relu_,
        "max_pool": functional.max_pool2d,
        "response_norm": response_norm,
        "to_sequence": to_sequence,
    }
    exec(compile(source, file, "exec"), scope)  # our own text, generated a few lines above
    return {"forward": scope["forward"], "walk": scope["walk"]}
