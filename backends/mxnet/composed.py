"""What MXNet has in single precision only, from elementary operators, for the parity step.

LRN refuses float64; the recurrent layer rounds its ReLU to float32 on the way.
"""

import mxnet as mx


def lrn(node, _plan, x):
    """The window's mean is a pooling across channels."""
    a = node.attrs
    squares = mx.sym.expand_dims(mx.sym.reshape(mx.sym.square(x), shape=(0, 0, -1)), axis=1)
    mean = mx.sym.Pooling(
        squares, kernel=(a["size"], 1), pad=(a["size"] // 2, 0), stride=(1, 1), pool_type="avg"
    )
    mean = mx.sym.reshape(mean, shape=(-1,) + node.shape)
    return x * (a["k"] + a["alpha"] * mean) ** -a["beta"]


def recurrent_layer(packed, x, sizes, relu):
    """One bidirectional layer step by step.

    `packed` is MXNet's vector, `sizes` are (steps, inputs, hidden), and ``relu(symbol,
    direction, step)`` is what it says.
    """
    steps, inputs, hidden = sizes
    weights = 2 * hidden * (inputs + hidden)
    directions = []
    for direction in (0, 1):
        start = direction * hidden * (inputs + hidden)
        into = _matrix(packed, start, inputs, hidden)
        around = _matrix(packed, start + hidden * inputs, hidden, hidden)
        start = weights + direction * 2 * hidden
        biases = [_slice(packed, start + i * hidden, hidden) for i in (0, 1)]
        pushed = mx.sym.FullyConnected(
            x, into, biases[0] + biases[1], num_hidden=hidden, flatten=False
        )
        order = range(steps)[::-1] if direction else range(steps)
        directions.append(_unrolled(pushed, around, order, lambda y, t, d=direction: relu(y, d, t)))
    return mx.sym.Concat(*directions, dim=2)


def _slice(packed, start, size):
    return mx.sym.slice_axis(packed, axis=0, begin=start, end=start + size)


def _matrix(packed, start, inputs, hidden):
    return mx.sym.reshape(_slice(packed, start, inputs * hidden), shape=(hidden, inputs))


def _unrolled(pushed, around, order, relu):
    """(steps, batch, hidden), the steps taken in the order given."""
    state, states = None, {}
    for step in order:
        total = mx.sym.slice_axis(pushed, axis=0, begin=step, end=step + 1)
        total = mx.sym.reshape(total, shape=(-3, 0))
        if state is not None:
            total = total + mx.sym.dot(state, around, transpose_b=True)
        state = relu(total, step)
        states[step] = mx.sym.expand_dims(state, axis=0)
    return mx.sym.Concat(*[states[step] for step in sorted(states)], dim=0)
