"""The referee's training step: loss, gradients and running statistics, in double precision.

It is independent of all frameworks. Every operator's derivative is written from its definition in
`backends.zoo.node`; the unit tests compare each with finite differences of the referee's loss.
"""

from collections import OrderedDict, namedtuple

import numpy as np

from backends.zoo import referee

# The relative distance from its window's largest value at which a value still counts as the
# largest.
HELD = 1e-5

Step = namedtuple("Step", "loss gradients statistics")
Step.__doc__ = """What one training step computes before the weights move.

`loss` is the batch's mean; `gradients` maps the names of all parameters, `statistics` those of
all running statistics after the step, to float64 arrays.
"""


class Rules(object):
    """A framework's differences from the zoo's definition, and the features that dropout drops.

    `biased`: running variances use the biased batch variance. `replaces`: the step's statistics
    replace the running ones. `mask(node, array)` is called for every dropout node with its input
    and returns what that is multiplied by; nothing is dropped without it. `held(node)` is the
    node's value as the framework computed it, or None: of values that are equal except for
    rounding, max pooling uses the one that is largest there. `every_largest`: it sends its whole
    gradient to each of several that are equal there, not only to the first. `least_probability`:
    the loss takes a smaller probability of the right class for this one.
    """

    def __init__(
        self,
        biased=False,
        replaces=False,
        mask=None,
        held=None,
        every_largest=False,
        least_probability=0.0,
    ):
        """The zoo's own definition if nothing is given."""
        self.biased = biased
        self.replaces = replaces
        self.mask = mask
        self.held = held
        self.every_largest = every_largest
        self.least_probability = least_probability


def step(graph, values, inputs, labels, rules=None):
    """The `Step` of one batch; `values` maps the names of all parameters and statistics."""
    rules = rules or Rules()
    arrays, saved, statistics = forward(graph, values, inputs, rules)
    logits = arrays[graph.output]
    gradients = OrderedDict()
    flowing = {graph.output: _LOSSES.get(graph.kind, _cross_entropy)(logits, labels)}
    for node in reversed(graph.nodes):
        if node is graph.input:
            continue
        towards = flowing.pop(node)
        sources = [arrays[source] for source in node.inputs]
        needed = node.inputs[0] is not graph.input
        context = _Context(node, values, sources, arrays[node], saved.get(node), needed, rules)
        pushed, own = _BACKWARD[node.op](context, towards)
        for role, gradient in own.items():
            gradients[node.name + "." + role] = gradient
        for source, gradient in zip(node.inputs, pushed):
            if source is not graph.input:
                flowing[source] = flowing[source] + gradient if source in flowing else gradient
    ordered = OrderedDict((p.name, gradients[p.name]) for p in graph.parameters)
    loss = referee.loss(graph, logits, labels, rules.least_probability)
    return Step(loss, ordered, statistics)


def forward(graph, values, inputs, rules):
    """Every node's value in training mode, what its derivative needs, the new statistics."""
    arrays, saved, statistics = {}, {}, OrderedDict()
    for node in graph.nodes:
        if node is graph.input:
            arrays[node] = np.asarray(inputs, dtype=np.float64)
            continue
        sources = [arrays[source] for source in node.inputs]
        if node.op == "batch_norm":
            arrays[node], saved[node], new = normalised(node, values, sources[0], rules)
            statistics.update(new)
        elif node.op == "dropout" and rules.mask:
            saved[node] = rules.mask(node, sources[0])
            arrays[node] = sources[0] * saved[node]
        else:
            arrays[node] = referee.apply(node, values, sources)
    return arrays, saved, statistics


def normalised(node, values, x, rules):
    """(output, (normalised x, 1 / deviation), running statistics) with the batch's statistics."""
    axes = (0, 2, 3)
    mean, variance = x.mean(axis=axes), x.var(axis=axes)
    inverse = 1.0 / np.sqrt(variance + node.attrs["eps"])
    scaled = (x - referee.channels(mean)) * referee.channels(inverse)
    count = x.size // x.shape[1]
    fed = variance if rules.biased else variance * count / (count - 1)
    statistics = OrderedDict()
    decay = 0.0 if rules.replaces else node.attrs["decay"]
    for role, new in (("mean", mean), ("variance", fed)):
        name = node.name + "." + role
        statistics[name] = decay * np.asarray(values[name], np.float64) + (1 - decay) * new
    gamma, beta = (values[node.name + "." + role] for role in ("gamma", "beta"))
    return scaled * referee.channels(gamma) + referee.channels(beta), (scaled, inverse), statistics


class _Context(object):
    """What a node's derivative needs: its inputs, output, weights and saved values."""

    def __init__(self, node, values, sources, output, saved, needed, rules):
        self.node = node
        self.sources = sources
        self.output = output
        self.saved = saved
        self.needed = needed  # whether anything needs the gradient of the input
        self.rules = rules
        self._values = values

    def value(self, role):
        return np.asarray(self._values[self.node.name + "." + role], dtype=np.float64)


# -- losses: gradient of the mean loss by the logits ---------------------------------------


def _softmax(logits):
    raised = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return raised / raised.sum(axis=-1, keepdims=True)


def _cross_entropy(logits, labels):
    result = _softmax(logits)
    result[np.arange(len(labels)), labels] -= 1.0
    return result / len(labels)


def _ctc(logits, labels):
    """Graves et al. 2006, equation 16, for every sample of the batch."""
    probabilities = _softmax(logits)
    result = probabilities.copy()
    for sample, target in enumerate(labels):
        states = referee.ctc_states(target)
        scores = np.log(probabilities[sample])[:, states]
        ahead = referee.ctc_paths(scores, states)
        # The last state to be reached first: the same recursion from the other end.
        behind = referee.ctc_paths(scores[::-1, ::-1], states[::-1])[::-1, ::-1]
        joint = ahead + behind - scores  # both count the step's own score
        total = np.logaddexp(ahead[-1, -1], ahead[-1, -2])
        np.subtract.at(result[sample].T, states, np.exp(joint - total).T)
    return result / len(labels)


_LOSSES = {"speech": _ctc}


# -- operators: context, gradient of the output -> gradients of the inputs, of the weights --


def _conv(context, towards):
    node, x = context.node, context.sources[0]
    attrs, weight = node.attrs, context.value("weight")
    padded = referee.padded(x, attrs["pad"], 0.0)
    back = np.zeros_like(padded) if context.needed else None
    grown = np.zeros_like(weight)
    for i, j, window in referee.positions(node):
        kernel = weight[:, :, i, j]
        for sample in range(len(x)):
            out = towards[sample].reshape(len(weight), -1)
            seen = padded[sample][window]
            grown[:, :, i, j] += np.dot(out, seen.reshape(len(seen), -1).T)
            if back is not None:
                back[sample][window] += np.dot(kernel.T, out).reshape(seen.shape)
    own = {"weight": grown}
    if attrs["bias"]:
        own["bias"] = towards.sum(axis=(0, 2, 3))
    return [None if back is None else _cropped(back, attrs["pad"])], own


def _cropped(array, pad):
    top, left, bottom, right = pad
    height, width = array.shape[2:]
    return array[:, :, top : height - bottom, left : width - right]


def _batch_norm(context, towards):
    scaled, inverse = context.saved
    axes = (0, 2, 3)
    beta, gamma = towards.sum(axis=axes), (towards * scaled).sum(axis=axes)
    count = scaled.size // scaled.shape[1]
    centred = towards - referee.channels(beta / count) - scaled * referee.channels(gamma / count)
    factor = referee.channels(context.value("gamma") * inverse)
    return [centred * factor], {"gamma": gamma, "beta": beta}


def _dense(context, towards):
    x = context.sources[0]
    flat, pushed = x.reshape(-1, x.shape[-1]), towards.reshape(-1, towards.shape[-1])
    own = {"weight": np.dot(pushed.T, flat)}
    if context.node.attrs["bias"]:
        own["bias"] = pushed.sum(axis=0)
    back = np.dot(pushed, context.value("weight")).reshape(x.shape) if context.needed else None
    return [back], own


def _relu(context, towards):
    return [towards * (context.output > 0)], {}


def _lrn(context, towards):
    attrs, x, y = context.node.attrs, context.sources[0], context.output
    share = attrs["alpha"] / attrs["size"]
    sums = attrs["k"] + share * referee.near(x * x, attrs["size"])
    spread = referee.near(towards * y / sums, attrs["size"])
    back = towards * sums ** -attrs["beta"] - 2 * share * attrs["beta"] * x * spread
    return [back], {}


def _max_pool(context, towards):
    node, x, rules = context.node, context.sources[0], context.rules
    held = rules.held(node.inputs[0]) if rules.held else None
    if held is None:
        held, largest = x, context.output
    else:
        held = np.asarray(held, dtype=np.float64)
        largest = referee.apply(node, {}, [held])
    x, held = (referee.padded(array, node.attrs["pad"], -np.inf) for array in (x, held))
    least = context.output - HELD * np.max(np.abs(context.output))
    back, left = np.zeros_like(x), np.ones(largest.shape, dtype=bool)
    for _, _, place in referee.positions(node):
        window = (slice(None),) + place
        chosen = left & (held[window] == largest) & (x[window] >= least)
        back[window] += towards * chosen
        if not rules.every_largest:
            left &= ~chosen  # the first of equals, in the order of frameworks
    return [_cropped(back, node.attrs["pad"])], {}


def _avg_pool(context, towards):
    node = context.node
    x = referee.padded(context.sources[0], node.attrs["pad"], 0.0)
    back = np.zeros_like(x)
    height, width = node.attrs["kernel"]
    for _, _, window in referee.positions(node):
        back[(slice(None),) + window] += towards / (height * width)
    return [_cropped(back, node.attrs["pad"])], {}


def _dropout(context, towards):
    return [towards if context.saved is None else towards * context.saved], {}


def _flatten(context, towards):
    return [towards.reshape(context.sources[0].shape)], {}


def _add(_context, towards):
    return [towards, towards], {}


def _concat(context, towards):
    ends = np.cumsum([source.shape[1] for source in context.sources])
    return np.split(towards, ends[:-1], axis=1), {}


def _scale(context, towards):
    return [towards * context.node.attrs["factor"]], {}


def _sequence(context, towards):
    samples, channels, steps, features = context.sources[0].shape
    return [towards.reshape(samples, steps, channels, features).transpose(0, 2, 1, 3)], {}


def _rnn(context, towards):
    node, hidden = context.node, context.node.attrs["hidden"]
    layers = [context.sources[0]]
    for layer in range(node.attrs["layers"]):
        layers.append(referee.rnn_layer(node, context.value, layer, layers[-1]))
    own = {}  # type: dict
    for layer in reversed(range(node.attrs["layers"])):
        x, y = layers[layer], layers[layer + 1]
        pushed = 0.0
        for direction, order, part in (
            ("forward", slice(None), slice(0, hidden)),
            ("backward", slice(None, None, -1), slice(hidden, None)),
        ):
            prefix = "l%d_%s_" % (layer, direction)
            given = x[:, order], y[:, order, part], towards[:, order, part]
            back, grown = _through_time(context.value, prefix, *given)
            own.update((prefix + role, gradient) for role, gradient in grown.items())
            pushed = pushed + back[:, order]
        towards = pushed
    return [towards], own


def _through_time(value, prefix, x, hidden, towards):
    """Gradients of one direction of a layer; all arrays run the way the direction does."""
    across = value(prefix + "weight_hidden")
    inner, later = np.empty_like(hidden), np.zeros_like(hidden[:, 0])
    for step_ in reversed(range(x.shape[1])):
        current = (towards[:, step_] + later) * (hidden[:, step_] > 0)
        inner[:, step_] = current  # NumPy multiplies a strided row six times as slowly
        later = np.dot(current, across)
    earlier = np.concatenate([np.zeros_like(hidden[:, :1]), hidden[:, :-1]], axis=1)
    flat = inner.reshape(-1, inner.shape[-1])
    bias = flat.sum(axis=0)
    grown = {
        "weight_input": np.dot(flat.T, x.reshape(-1, x.shape[-1])),
        "weight_hidden": np.dot(flat.T, earlier.reshape(-1, earlier.shape[-1])),
        "bias_input": bias,
        "bias_hidden": bias,
    }
    return np.dot(inner, value(prefix + "weight_input")), grown


_BACKWARD = {
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
