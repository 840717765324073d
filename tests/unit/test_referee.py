"""The referee against results computed by hand, by loops, and by its own reference values."""

import functools
import itertools
import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from backends import zoo
from backends.zoo import referee, weights
from backends.zoo.graph import Graph


def _image(*rows):
    """A batch of one sample, one channel."""
    return np.array([[rows]], dtype=np.float64)


def _apply(draw, x, **values):
    """What the single layer that `draw` adds to a fresh graph makes of `x`."""
    kind = {1: "vector", 2: "vector", 3: "image"}[x.ndim - 1]
    graph = Graph("one", x.shape[1:], 1, kind)
    node = draw(graph, graph.input)
    named = {f"{node.name}.{role}": np.array(value) for role, value in values.items()}
    return referee.apply(node, named, [x])


THREE = _image((1, 2, 3), (4, 5, 6), (7, 8, 9))


def test_conv_is_a_cross_correlation_with_bias():
    result = _apply(
        lambda g, x: g.conv(x, 1, 2), THREE, weight=[[[[1, 10], [100, 1000]]]], bias=[0.5]
    )
    assert result.tolist() == [[[[5421.5, 6532.5], [8754.5, 9865.5]]]]


def test_conv_pads_top_left_bottom_right():
    def draw(g, x):
        return g.conv(x, 1, (1, 2), stride=(2, 2), pad=(1, 1, 0, 0), bias=False)

    result = _apply(draw, THREE, weight=[[[[1, 10]]]])
    assert result.tolist() == [[[[0, 0], [40, 65]]]]


def test_conv_sums_over_input_channels_and_keeps_samples_apart():
    x = np.arange(8.0).reshape(2, 2, 1, 2)
    result = _apply(lambda g, v: g.conv(v, 1, 1, bias=False), x, weight=[[[[1]], [[10]]]])
    assert result.tolist() == [[[[20, 31]]], [[[64, 75]]]]


def test_batch_norm_uses_the_running_statistics():
    x = np.array([[[[3.0]], [[5.0]]]])
    result = _apply(
        lambda g, v: g.batch_norm(v, 0.25),
        x,
        gamma=[2.0, 1.0],
        beta=[0.5, 0.0],
        mean=[1.0, 5.0],
        variance=[0.75, 1.0],
    )
    assert result.tolist() == [[[[4.5]], [[0.0]]]]


def test_dense_and_per_step():
    weight = [[1, 10], [100, 1000], [0, 1]]
    flat = _apply(
        lambda g, x: g.dense(x, 3), np.array([[1.0, 2.0]]), weight=weight, bias=[0.5, 0, 0]
    )
    assert flat.tolist() == [[21.5, 2100, 2]]
    steps = _apply(
        lambda g, x: g.per_step(x, 3, bias=False), np.array([[[1.0, 2], [0, 1]]]), weight=weight
    )
    assert steps.tolist() == [[[21, 2100, 2], [10, 1000, 1]]]


def test_relu():
    assert _apply(lambda g, x: g.relu(x), np.array([[-1.0, 2.0]])).tolist() == [[0, 2]]


def test_lrn_divides_alpha_by_its_window_and_stops_at_the_edges():
    x = np.array([1.0, 2.0, 3.0, 4.0]).reshape(1, 4, 1, 1)
    result = _apply(lambda g, v: g.lrn(v, size=3, alpha=3.0, beta=2.0, k=2.0), x)
    expected = [1 / 7**2, 2 / 16**2, 3 / 31**2, 4 / 27**2]
    np.testing.assert_allclose(result.reshape(-1), expected, rtol=1e-15)


def test_max_pool_padding_never_wins():
    x = _image((-1, -2), (-3, -4))
    result = _apply(lambda g, v: g.max_pool(v, 2, 2, pad=1), x)
    assert result.tolist() == [[[[-1, -2], [-3, -4]]]]


def test_max_pool_rounded_up_starts_at_the_first_pixel():
    x = _image((1, 9, 2, 3), (1, 1, 1, 1), (1, 1, 1, 1), (5, 1, 1, 7))
    result = _apply(lambda g, v: g.max_pool(v, 3, 2, round_up=True), x)
    assert result.tolist() == [[[[9, 3], [5, 7]]]]


def test_avg_pool_counts_its_padding():
    result = _apply(lambda g, x: g.avg_pool(x, 2, 2, pad=(1, 1, 0, 0)), THREE)
    assert result.tolist() == [[[[1 / 4, 5 / 4], [11 / 4, 28 / 4]]]]


def test_flatten_is_row_major():
    x = np.arange(8.0).reshape(1, 2, 2, 2)
    assert _apply(lambda g, v: g.flatten(v), x).tolist() == [[0, 1, 2, 3, 4, 5, 6, 7]]


def test_sequence_moves_axes():
    x = np.arange(8.0).reshape(1, 2, 2, 2)  # value = 4 c + 2 t + f
    assert _apply(lambda g, v: g.sequence(v), x).tolist() == [[[0, 1, 4, 5], [2, 3, 6, 7]]]


def test_dropout_does_nothing_and_scale_multiplies():
    x = np.array([[1.0, -2.0]])
    assert _apply(lambda g, v: g.dropout(v, 0.5), x).tolist() == [[1, -2]]
    assert _apply(lambda g, v: g.scale(v, 0.25), x).tolist() == [[0.25, -0.5]]


def test_add_and_concat():
    graph = Graph("two", (2, 1, 1), 1)
    x = np.array([[[[1.0]], [[2.0]]]])
    total = graph.add(graph.input, graph.input)
    joined = graph.concat([graph.input, graph.input])
    assert referee.apply(total, {}, [x, 10 * x]).reshape(-1).tolist() == [11, 22]
    assert referee.apply(joined, {}, [x, 10 * x]).reshape(-1).tolist() == [1, 2, 10, 20]


def test_rnn_runs_both_ways_from_zero():
    values: dict[str, list] = {}
    for direction, bias in (("forward", 0.5), ("backward", 0.0)):
        prefix = f"l0_{direction}_"
        values[prefix + "weight_input"] = [[1.0]]
        values[prefix + "weight_hidden"] = [[10.0]]
        values[prefix + "bias_input"] = [bias]
        values[prefix + "bias_hidden"] = [bias]
    x = np.array([[[1.0], [-5.0], [-300.0]]])
    result = _apply(lambda g, v: g.rnn(v, 1, 1), x, **values)
    # Forward: 2, then -5 + 20 + 1, then -300 + 160 + 1 < 0. Backward: 0, 0, 1.
    assert result.tolist() == [[[2, 1], [16, 0], [0, 0]]]


def test_rnn_layers_see_both_directions_of_the_one_below():
    values: dict[str, list] = {}
    for layer, direction in itertools.product((0, 1), ("forward", "backward")):
        prefix = f"l{layer}_{direction}_"
        values[prefix + "weight_input"] = [[1.0]] if layer == 0 else [[1.0, 100.0]]
        values[prefix + "weight_hidden"] = [[1.0 if layer == 0 else 0.0]]
        values[prefix + "bias_input"] = [0.0]
        values[prefix + "bias_hidden"] = [0.0]
    x = np.array([[[1.0], [2.0]]])
    # Layer 0 forward 1, 3; backward 3, 2.
    result = _apply(lambda g, v: g.rnn(v, 1, 2), x, **values)
    assert result.tolist() == [[[301, 301], [203, 203]]]


# -- against loops -------------------------------------------------------------------------


@st.composite
def _windows(draw):
    size = draw(st.tuples(st.integers(1, 7), st.integers(1, 7)))
    kernel = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    stride = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    pad = tuple(draw(st.integers(0, kernel[side % 2] - 1)) for side in range(4))
    assume(size[0] + pad[0] + pad[2] >= kernel[0])
    assume(size[1] + pad[1] + pad[3] >= kernel[1])
    return size, {"stride": stride, "pad": pad}, kernel


def _patches(x, node, fill):
    """(sample, row, column, patch of all channels), by plain indexing."""
    (kh, kw), (sh, sw) = node.attrs["kernel"], node.attrs["stride"]
    top, left = node.attrs["pad"][:2]
    batch, channels, height, width = x.shape
    for n, i, j in itertools.product(range(batch), range(node.shape[1]), range(node.shape[2])):
        patch = np.full((channels, kh, kw), fill)
        for c, a, b in itertools.product(range(channels), range(kh), range(kw)):
            row, column = i * sh + a - top, j * sw + b - left
            if 0 <= row < height and 0 <= column < width:
                patch[c, a, b] = x[n, c, row, column]
        yield n, i, j, patch


@pytest.mark.slow
@settings(deadline=None, max_examples=60)
@given(_windows(), st.sampled_from(["conv", "max_pool", "avg_pool"]), st.integers(0, 99))
def test_windows_against_loops(case, op, seed):
    size, attrs, kernel = case
    draws = np.random.RandomState(seed)
    x = draws.standard_normal((2, 2, *size))
    graph = Graph("window", x.shape[1:], 1)
    values = {}
    if op == "conv":
        node = graph.conv(graph.input, 3, kernel, **attrs)
        values = {a.name: draws.standard_normal(a.shape) for a in node.parameters}
    else:
        node = getattr(graph, op)(graph.input, kernel, **attrs)
    expected = np.empty((2, *node.shape))
    for n, i, j, patch in _patches(x, node, -np.inf if op == "max_pool" else 0.0):
        if op == "conv":
            sums = (values["conv1.weight"] * patch).sum(axis=(1, 2, 3))
            expected[n, :, i, j] = sums + values["conv1.bias"]
        else:
            reduce = np.max if op == "max_pool" else np.mean
            expected[n, :, i, j] = reduce(patch, axis=(1, 2))
    np.testing.assert_allclose(referee.apply(node, values, [x]), expected, atol=1e-12)


def test_blocks_do_not_change_the_result(monkeypatch):
    graph = Graph("blocks", (3, 12, 12), 10)
    graph.finish(graph.dense(graph.flatten(graph.conv(graph.input, 5, 3)), 10))
    values, x = weights.for_graph(graph, 1), weights.inputs(graph, 2, 1)
    whole = referee.forward(graph, values, x)
    monkeypatch.setattr(referee, "BLOCK", 600)
    np.testing.assert_allclose(referee.forward(graph, values, x), whole, rtol=1e-12)


# -- walking -------------------------------------------------------------------------------


def test_every_operator_has_a_referee():
    assert set(referee._OPERATORS) == set(zoo.OPS) - {"input"}


@pytest.mark.slow
def test_forward_shows_every_node_and_returns_the_logits():
    graph = zoo.draw("deep_mnist")
    seen = []
    logits = referee.forward(
        graph,
        weights.for_graph(graph, 1),
        weights.inputs(graph, 3, 1),
        lambda node, array: seen.append((node, array.shape)),
    )
    assert seen == [(node, (3, *node.shape)) for node in graph.nodes]
    assert (logits.dtype, logits.shape) == (np.float64, (3, 10))


def test_data_of_another_shape_is_refused():
    graph = zoo.draw("deep_mnist")
    with pytest.raises(ValueError, match=r"input: expected \(1, 28, 28\), got \(784,\)"):
        referee.forward(graph, {}, np.zeros((1, 784)))


@functools.lru_cache
def _before(name):
    graph = zoo.draw(name)
    values, x = weights.for_graph(graph, 1), weights.inputs(graph, 2, 1)
    return values, x, referee.forward(graph, values, x)


def _change(graph, op, **attrs):
    for node in graph.nodes:
        if node.op == op:
            node.attrs.update(attrs)


def _pool1_padded(graph):
    _change(graph, "max_pool", pad=(1, 1, 0, 0))


# Network, changed attribute, and about how far it moves the logits with other random weights.
CHANGES = [
    ("googlenet", lambda g: _change(g, "lrn", k=2.0), 0.65),
    ("googlenet", lambda g: _change(g, "lrn", size=11), None),
    ("resnet18", _pool1_padded, 0.046),
    ("resnet18", lambda g: _change(g, "batch_norm", eps=2e-5), 4e-5),
    ("resnet18", lambda g: _change(g, "batch_norm", eps=1e-3), 0.004),
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "change", "known"), CHANGES)
def test_no_attribute_hides_from_these_weights(name, change, known):
    """Parity compares at 1e-5, so whatever differs must move the logits by more."""
    graph = zoo.draw(name)
    values, x, before = _before(name)
    change(graph)
    moved = np.abs(referee.forward(graph, values, x) - before).max() / np.abs(before).max()
    assert moved > 2e-5
    if known is not None:
        assert known / 4 < moved < known * 4


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet269", "googlenet"])
def test_values_stay_moderate(name):
    graph = zoo.draw(name)
    logits = referee.forward(
        graph, weights.for_graph(graph, 2), weights.inputs(graph, 1, 2), _assert_moderate
    )
    assert 1 < np.abs(logits).max() < 200


def _assert_moderate(node, array):
    assert np.isfinite(array).all(), node
    assert np.abs(array).max() < 500, node


# -- losses --------------------------------------------------------------------------------


def test_cross_entropy():
    graph = Graph("loss", (1,), 3, "vector")
    logits = [[0.0, 0.0, 0.0], [1000.0, 0.0, 0.0]]
    assert referee.loss(graph, logits, np.array([2, 0])) == pytest.approx(math.log(3) / 2)
    assert referee.loss(graph, logits, np.array([2, 1])) == pytest.approx((math.log(3) + 1000) / 2)


def test_loss_of_a_framework_that_bounds_the_probability():
    graph, logits = Graph("loss", (1,), 3, "vector"), [[0.0, 0.0, 0.0], [1000.0, 0.0, 0.0]]
    bounded = referee.loss(graph, logits, np.array([2, 1]), least_probability=2.0**-126)
    assert bounded == pytest.approx((math.log(3) + 126 * math.log(2)) / 2)


def _spelt(path):
    merged = [symbol for symbol, _ in itertools.groupby(path)]
    return [symbol for symbol in merged if symbol]


@pytest.mark.parametrize("target", [[1], [1, 2], [1, 1], [2, 1, 2]])
def test_ctc_against_all_paths(target):
    logits = np.random.RandomState(0).standard_normal((1, 5, 3))
    chances = np.exp(logits[0]) / np.exp(logits[0]).sum(axis=1, keepdims=True)
    total = sum(
        math.prod(chances[step, symbol] for step, symbol in enumerate(path))
        for path in itertools.product(range(3), repeat=5)
        if _spelt(path) == target
    )
    graph = Graph("ctc", (1, 5, 3), 3, "speech")
    assert referee.loss(graph, logits, np.array([target])) == pytest.approx(-math.log(total))
