"""The judge of every builder: inference of a graph in NumPy, double precision.

It is written to be right and readable, and fast enough for a batch of two: matrix products use
BLAS, and a value is freed once nothing needs it.
"""

import numpy as np

# Numbers per block of unfolded windows or converted weights: 128 MiB in double precision.
BLOCK = 1 << 24


def forward(graph, values, x, each=None):
    """Logits of a batch, float64; ``each(node, array)`` sees every value, batch first.

    `values` maps the names of all parameters and statistics to arrays.
    """
    array = None
    for node, array in walk(graph, values, x):
        if each is not None:
            each(node, array)
    return array


def walk(graph, values, x):
    """Yield (node, float64 array) in drawing order, which ends with the logits."""
    uses = {node: len(readers) for node, readers in graph.readers.items()}
    alive = {}  # type: dict
    for node in graph.nodes:
        if node is graph.input:
            array = np.asarray(x, dtype=np.float64)
        else:
            array = apply(node, values, [alive[source] for source in node.inputs])
        if array.shape[1:] != node.shape:
            raise ValueError("%s: expected %s, got %s" % (node.name, node.shape, array.shape[1:]))
        yield node, array
        alive[node] = array
        for source in node.inputs:
            uses[source] -= 1
            if not uses[source]:
                del alive[source]


def apply(node, values, arrays):
    """One node's value from its inputs' (batch first, float64)."""
    return _OPERATORS[node.op](node, values, *arrays)


def loss(graph, logits, labels, least_probability=0.0):
    """Mean loss of a batch: softmax cross entropy, or CTC with blank 0 for speech.

    Cross entropy takes a smaller probability of the right class for `least_probability`.
    """
    scores = _log_softmax(np.asarray(logits, dtype=np.float64))
    if graph.kind == "speech":
        losses = [_ctc(steps, target) for steps, target in zip(scores, labels)]
    else:
        least = np.log(least_probability) if least_probability else -np.inf
        losses = -np.maximum(scores[np.arange(len(labels)), labels], least)
    return float(np.mean(losses))


def _value(node, values, role):
    return np.asarray(values[node.name + "." + role], dtype=np.float64)


def channels(vector):
    """A value per channel, to be broadcast over (N, C, H, W)."""
    return vector.reshape(-1, 1, 1)


def padded(x, pad, fill):
    """An image batch with (top, left, bottom, right) of `fill` around it."""
    top, left, bottom, right = pad
    widths = ((0, 0), (0, 0), (top, bottom), (left, right))
    return np.pad(x, widths, mode="constant", constant_values=fill) if any(pad) else x


def _conv(node, values, x):
    a = node.attrs
    weight = _value(node, values, "weight").reshape(a["filters"], -1)
    x = padded(x, a["pad"], 0.0)
    result = np.empty((len(x),) + node.shape)
    rows = max(1, BLOCK // (weight.shape[1] * node.shape[2]))
    for sample, target in zip(x, result):
        windows = _windows(sample, a["kernel"], a["stride"])
        for start in range(0, node.shape[1], rows):
            block = windows[..., start : start + rows, :]
            columns = block.reshape(weight.shape[1], -1)
            part = target[:, start : start + rows]
            part[...] = np.dot(weight, columns).reshape(part.shape)
    if a["bias"]:
        result += channels(_value(node, values, "bias"))
    return result


def _windows(x, kernel, stride):
    """View of a (C, H, W) array as (C, kh, kw, output height, output width)."""
    channels, height, width = x.shape
    shape = (channels,) + kernel
    shape += ((height - kernel[0]) // stride[0] + 1, (width - kernel[1]) // stride[1] + 1)
    c, h, w = x.strides
    strides = (c, h, w, h * stride[0], w * stride[1])
    return np.lib.stride_tricks.as_strided(x, shape, strides)


def _batch_norm(node, values, x):
    gamma, beta, mean, variance = (
        _value(node, values, role) for role in ("gamma", "beta", "mean", "variance")
    )
    factor = gamma / np.sqrt(variance + node.attrs["eps"])
    return x * channels(factor) + channels(beta - mean * factor)


def _dense(node, values, x):
    """Also per_step: the last axis is the features."""
    weight = values[node.name + ".weight"]
    result = np.empty(x.shape[:-1] + (len(weight),))
    rows = max(1, BLOCK // weight.shape[1])
    for start in range(0, len(weight), rows):
        block = np.asarray(weight[start : start + rows], dtype=np.float64)
        result[..., start : start + rows] = np.dot(x, block.T)
    if node.attrs["bias"]:
        result += _value(node, values, "bias")
    return result


def _relu(_node, _values, x):
    return np.maximum(x, 0.0)


def _lrn(node, _values, x):
    a = node.attrs
    return x / (a["k"] + a["alpha"] / a["size"] * near(x * x, a["size"])) ** a["beta"]


def near(x, size):
    """The sum over the `size` channels around each channel."""
    half = size // 2
    total = np.zeros_like(x)
    for channel in range(x.shape[1]):
        total[:, channel] = x[:, max(0, channel - half) : channel + half + 1].sum(axis=1)
    return total


def positions(node):
    """Yield (row, column, slices of a (C, H, W) image) for each position inside the window.

    The slices select what that position sees as the window moves over the padded image.
    """
    (kh, kw), (sh, sw) = node.attrs["kernel"], node.attrs["stride"]
    height, width = node.shape[1:]
    for i in range(kh):
        for j in range(kw):
            rows = slice(i, i + sh * (height - 1) + 1, sh)
            columns = slice(j, j + sw * (width - 1) + 1, sw)
            yield i, j, (slice(None), rows, columns)


def _shifted(node, x):
    """Yield, for each position inside the window, its values under all windows."""
    for _, _, window in positions(node):
        yield x[(slice(None),) + window]


def _max_pool(node, _values, x):
    x = padded(x, node.attrs["pad"], -np.inf)
    result = np.full((len(x),) + node.shape, -np.inf)
    for part in _shifted(node, x):
        np.maximum(result, part, out=result)
    return result


def _avg_pool(node, _values, x):
    kernel = node.attrs["kernel"]
    total = sum(_shifted(node, padded(x, node.attrs["pad"], 0.0)))
    return total / (kernel[0] * kernel[1])


def _identity(_node, _values, x):
    return x


def _flatten(_node, _values, x):
    return x.reshape(len(x), -1)


def _add(_node, _values, x, y):
    return x + y


def _concat(_node, _values, *arrays):
    return np.concatenate(arrays, axis=1)


def _scale(node, _values, x):
    return x * node.attrs["factor"]


def _sequence(_node, _values, x):
    moved = x.transpose(0, 2, 1, 3)
    return moved.reshape(moved.shape[:2] + (-1,))


def _rnn(node, values, x):
    for layer in range(node.attrs["layers"]):
        x = rnn_layer(node, lambda role: _value(node, values, role), layer, x)
    return x


def rnn_layer(node, value, layer, x):
    """Both directions of one recurrent layer, side by side; `value(role)` is a weight."""
    prefix = "l%d_" % layer
    ahead = _direction(node, value, prefix + "forward_", x)
    back = _direction(node, value, prefix + "backward_", x[:, ::-1])
    return np.concatenate([ahead, back[:, ::-1]], axis=2)


def _direction(node, value, prefix, x):
    hidden_weight = value(prefix + "weight_hidden").T
    biases = [value(prefix + which) for which in ("bias_input", "bias_hidden")]
    pushed = np.dot(x, value(prefix + "weight_input").T) + sum(biases)
    hidden = np.zeros((len(x), node.attrs["hidden"]))
    result = np.empty(pushed.shape)
    for step in range(x.shape[1]):
        hidden = np.maximum(pushed[:, step] + np.dot(hidden, hidden_weight), 0.0)
        result[:, step] = hidden
    return result


_OPERATORS = {  # type: dict
    "conv": _conv,
    "batch_norm": _batch_norm,
    "dense": _dense,
    "per_step": _dense,
    "relu": _relu,
    "lrn": _lrn,
    "max_pool": _max_pool,
    "avg_pool": _avg_pool,
    "dropout": _identity,
    "flatten": _flatten,
    "add": _add,
    "concat": _concat,
    "scale": _scale,
    "sequence": _sequence,
    "rnn": _rnn,
}


def _log_softmax(logits):
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def _ctc(steps, target):
    """Minus log of the summed probability of all paths that spell `target`."""
    states = ctc_states(target)
    return -np.logaddexp.reduce(ctc_paths(steps[:, states], states)[-1, -2:])


def ctc_states(target):
    """Blank, label, blank, ..., blank: the labels that a path goes through."""
    states = np.zeros(2 * len(target) + 1, dtype=np.int64)
    states[1::2] = target
    return states


def ctc_paths(scores, states):
    """Log of the probability of all paths that are in a state at a step, (steps, states).

    Graves et al. 2006: a path begins in one of the first two states, and stays, advances by
    one, or skips a blank between two different labels. `scores` are the logs of the states'
    probabilities, (steps, states).
    """
    skips = np.zeros(len(states), dtype=bool)
    skips[2:] = (states[2:] != 0) & (states[2:] != states[:-2])
    result = np.full(scores.shape, -np.inf)
    result[0, :2] = scores[0, :2]
    for step in range(1, len(scores)):
        paths = result[step - 1]
        moved = paths.copy()
        moved[1:] = np.logaddexp(moved[1:], paths[:-1])
        moved[2:] = np.where(skips[2:], np.logaddexp(moved[2:], paths[:-2]), moved[2:])
        result[step] = moved + scores[step]
    return result
