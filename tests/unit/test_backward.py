"""The referee's gradients against finite differences of the referee's own loss."""

from __future__ import annotations

import numpy as np
import pytest

from backends.zoo import Graph, backward, referee, weights

REACH = 1e-6


def images():
    """Every operator of image networks, uneven windows and padding among them."""
    g = Graph("images", (3, 9, 8), 5)
    x = g.relu(g.batch_norm(g.conv(g.input, 6, 3, pad=(1, 0, 2, 1)), 1e-3))
    x = g.lrn(x, size=3, alpha=0.5, beta=0.75, k=1.0)
    left = g.conv(x, 4, (1, 3), stride=(1, 2), pad=(0, 1, 0, 1), bias=False)
    right = g.max_pool(g.conv(x, 4, 1), (1, 3), (1, 2), pad=(0, 1, 0, 1))
    x = g.relu(g.add(left, g.scale(right, 0.3)))
    x = g.concat([g.avg_pool(x, 3, 2, pad=1), g.max_pool(x, 2, 2, round_up=True)])
    x = g.dropout(g.relu(g.dense(g.flatten(x), 7)), 0.5)
    return g.finish(g.dense(x, 5))


def speech():
    g = Graph("speech", (1, 42, 6), 5, "speech")
    x = g.relu(g.batch_norm(g.conv(g.input, 2, 3, pad=1), 1e-3))
    return g.finish(g.per_step(g.rnn(g.sequence(x), 3, 2), 5))


def loss(graph, values, inputs, labels, rules):
    arrays, _, _ = backward.forward(graph, values, inputs, rules)
    return referee.loss(graph, arrays[graph.output], labels)


def keep_some(node, array):
    """A mask as dropout has it, the same each time."""
    generator = np.random.RandomState(3)
    return (generator.random_sample(array.shape) > node.attrs["rate"]) / (1 - node.attrs["rate"])


@pytest.mark.parametrize("draw", [images, speech])
def test_every_gradient_is_the_slope_of_the_loss(draw):
    graph, generator = draw(), np.random.RandomState(1)
    values = {k: v.astype(np.float64) for k, v in weights.for_graph(graph, 5).items()}
    inputs, labels = weights.inputs(graph, 3, 5), weights.labels(graph, 3, 5)
    rules = backward.Rules(mask=keep_some)
    step = backward.step(graph, values, inputs, labels, rules)
    assert list(step.gradients) == [parameter.name for parameter in graph.parameters]
    assert step.loss == pytest.approx(loss(graph, values, inputs, labels, rules), rel=1e-14)
    for name, gradient in step.gradients.items():
        towards = generator.standard_normal(gradient.shape)
        ends = [
            loss(
                graph,
                {**values, name: values[name] + sign * REACH * towards},
                inputs,
                labels,
                rules,
            )
            for sign in (1, -1)
        ]
        slope = (ends[0] - ends[1]) / (2 * REACH)
        # Rounding moves each loss by some ulps, in which way depends on the CPU's kernels.
        rounding = 2.0**-47 * step.loss / REACH
        floor = 1e-7 * np.linalg.norm(gradient) + rounding
        assert abs(slope - np.sum(gradient * towards)) <= floor + 1e-5 * abs(slope), name


def test_a_framework_may_send_a_pools_gradient_to_every_value_that_it_holds_equal():
    g = Graph("pool", (1, 1, 4), 2)
    pool = g.max_pool(g.conv(g.input, 1, 1), (1, 4), 1)
    graph = g.finish(g.dense(g.flatten(pool), 2))
    values = weights.for_graph(graph, 1)
    values["conv1.weight"] = np.ones((1, 1, 1, 1))
    # Two are equal but for rounding; a framework that takes 3 for 5 computes something else.
    inputs, labels = np.array([[[[5.0, 1.0, 5.0 - 1e-9, 3.0]]]]), np.array([0])

    def slope(*held, every=True):
        value = np.array([[[held]]]) if held else None
        rules = backward.Rules(held=lambda node: value, every_largest=every)
        return backward.step(graph, values, inputs, labels, rules).gradients["conv1.bias"].item()

    first = slope()
    assert first != 0
    assert slope(4.9, 1.0, 5.0, 3.0, every=False) == pytest.approx(first)
    assert slope(5.0, 1.0, 5.0, 3.0, every=False) == pytest.approx(first)
    assert slope(4.9, 1.0, 4.9, 5.0, every=False) == 0
    assert slope(5.0, 1.0, 4.9, 3.0) == pytest.approx(first)
    assert slope(5.0, 1.0, 5.0, 3.0) == pytest.approx(2 * first)
    assert slope(5.0, 1.0, 5.0, 5.0) == pytest.approx(2 * first)
    assert slope(5.0, 6.0, 5.0, 5.0) == 0


def test_running_statistics_keep_their_share_of_the_old_ones():
    g = Graph("norm", (1, 1, 2), 2)
    norm = g.batch_norm(g.input, 0.5, decay=0.75)
    graph = g.finish(g.dense(g.flatten(norm), 2))
    values = weights.for_graph(graph, 1)
    values["batch_norm1.mean"] = np.array([8.0])
    values["batch_norm1.variance"] = np.array([4.0])
    inputs, labels = np.array([[[[1.0, 3.0]]]]), np.array([0])
    for rules, mean, variance in (
        (backward.Rules(), 6.5, 3.5),
        (backward.Rules(biased=True), 6.5, 3.25),
        (backward.Rules(replaces=True), 2.0, 2.0),
    ):
        found = backward.step(graph, values, inputs, labels, rules).statistics
        assert found["batch_norm1.mean"] == pytest.approx([mean])
        assert found["batch_norm1.variance"] == pytest.approx([variance])
