"""Weights and data: the same bits everywhere, and scales that reveal mistakes."""

import hashlib

import numpy as np
import pytest

from backends import zoo
from backends.zoo import weights
from backends.zoo.graph import Graph


def _digest(array):
    little_endian = array.astype(array.dtype.newbyteorder("<"))
    return hashlib.sha256(little_endian.tobytes()).hexdigest()[:16]


# Frozen: other bits would make parity digests of different images incomparable.
FROZEN = {
    ("conv1.weight", (8, 3, 3, 3)): "24569bbd8f3639f7",
    ("conv1.bias", (8,)): "65e0f8beb00947c4",
    ("stage1_unit1_last_batch_norm.gamma", (8,)): "8c09aecb098909d8",
    ("batch_norm1.variance", (8,)): "d9a4ecd8b9d1e9da",
    ("rnn1.l0_forward_weight_hidden", (5, 5)): "3e3c270c23ff95fc",
}


@pytest.mark.parametrize(("name", "shape"), FROZEN)
def test_values_are_frozen(name, shape):
    array = weights.value(name, shape, 7)
    assert (array.dtype, array.shape) == (np.float32, shape)
    assert _digest(array) == FROZEN[name, shape]


def test_data_is_frozen():
    deep_mnist = zoo.draw("deep_mnist")
    assert _digest(weights.inputs(deep_mnist, 2, 7)) == "7624a73f06502a6c"
    assert _digest(weights.labels(deep_mnist, 2, 7)) == "966a28d35016032e"


def test_a_value_depends_on_name_and_seed():
    arrays = [weights.value(n, (50,), s) for n in ("a.bias", "b.bias") for s in (1, 2)]
    assert len({array.tobytes() for array in arrays}) == 4


def test_drawing_in_pieces_changes_nothing(monkeypatch):
    whole = weights.value("a.weight", (30, 7), 1)
    monkeypatch.setattr(weights, "PIECE", 16)
    np.testing.assert_array_equal(whole, weights.value("a.weight", (30, 7), 1))


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("a.bias", -0.25, 0.25),
        ("a.mean", -0.25, 0.25),
        ("a.variance", 0.5, 1.5),
        ("a.gamma", 0.75, 1.15),
        ("unit_last_batch_norm.gamma", 0.05, 0.25),
        ("rnn1.l2_backward_bias_hidden", -0.25, 0.25),
    ],
)
def test_ranges_are_filled(name, low, high):
    array = weights.value(name, (10_000,), 1)
    width = high - low
    assert low <= array.min() < low + 0.01 * width
    assert high - 0.01 * width < array.max() <= high


def test_spread_of_weights_follows_the_fan_in():
    conv = weights.value("a.weight", (64, 32, 3, 3), 1)
    assert conv.std() == pytest.approx((2 / 288) ** 0.5, rel=0.02)
    recurrent = weights.value("rnn1.l0_forward_weight_hidden", (300, 300), 1)
    assert recurrent.std() == pytest.approx((1 / 300) ** 0.5, rel=0.02)


@pytest.mark.slow
def test_for_graph_covers_parameters_and_statistics():
    graph = zoo.draw("resnet18")
    arrays = weights.for_graph(graph, 1)
    assert list(arrays) == [a.name for a in graph.parameters + graph.statistics]
    assert all(arrays[a.name].shape == a.shape for a in graph.parameters + graph.statistics)
    total = sum(array.size for array in arrays.values())
    assert total == graph.learnable + graph.bn_statistics


def test_the_first_samples_are_the_same_for_any_batch():
    graph = zoo.draw("deep_mnist")
    np.testing.assert_array_equal(weights.inputs(graph, 5, 1)[:2], weights.inputs(graph, 2, 1))
    np.testing.assert_array_equal(weights.labels(graph, 5, 1)[:2], weights.labels(graph, 2, 1))


def test_inputs_are_large_enough_for_lrn_to_matter():
    assert weights.inputs(zoo.draw("alexnet_owt"), 1, 1).std() == pytest.approx(1, rel=0.02)
    assert weights.inputs(zoo.draw("alexnet"), 1, 1).std() == pytest.approx(8, rel=0.02)


def test_labels_are_classes():
    labels = weights.labels(Graph("few", (1,), 3, "vector"), 1000, 1)
    assert labels.dtype == np.int64
    assert set(labels) == {0, 1, 2}


def test_speech_labels_have_no_blank_and_fit_the_steps():
    graph = zoo.draw("deep_speech2")
    labels = weights.labels(graph, 500, 1)
    assert labels.shape[0] == 500
    assert labels.shape[1] <= graph.output.shape[0] // 2
    assert (labels.min(), labels.max()) == (1, 841)
