"""Tests of P3: training jobs with one mistake each must not pass."""

from __future__ import annotations

import numpy as np
import pytest

from backends import zoo
from backends.harness import arguments, job, parity, sgd, trajectory
from backends.zoo import Graph, backward, calibration, weights
from backends.zoo.graph import without_dropout


def small():
    """Convolution, normalisation, ReLU, pooling, dropout: what a mistake can be made in."""
    g = Graph("small", (2, 12, 12), 10)
    x = g.relu(g.batch_norm(g.conv(g.input, 6, 3, pad=1), 1e-5))
    x = g.max_pool(x, 3, 2, round_up=True)
    x = g.dropout(g.relu(g.dense(g.flatten(x), 400)), 0.4)
    return g.finish(g.dense(x, 10))


class Training(job.Job):
    """A training job made of the referee; every attribute is a mistake to make."""

    rate = sgd.LEARNING_RATE
    momentum = sgd.MOMENTUM
    decay = 0.0
    nesterov = False
    evaluates = False  # normalises with the running statistics
    forward_only = False
    accumulates = False  # gradients are not cleared
    cached = False  # computes the first batch's gradients again and again
    epsilon = 1.0
    skipped = ()  # parameters that are never updated
    rounding = None
    drop_rate = None
    same_mask = False
    biased = False
    breaks = False  # its weights become nan
    deaf = False  # does not take the batch that it is fed

    def __init__(self, settings, graph, values):
        super().__init__()
        self.settings, self.graph = settings, graph
        self.values = {name: np.array(value, np.float32) for name, value in values.items()}
        names = [p.name for p in graph.parameters]
        self.velocity = {name: np.zeros_like(self.values[name]) for name in names}
        self.gradients = dict.fromkeys(names, 0.0)
        self.batch = (
            weights.inputs(graph, settings.batch, 0),
            weights.labels(graph, settings.batch, 0),
        )
        self.random = np.random.RandomState(5)
        self.last = None

    def feed(self, inputs, labels):
        if not self.deaf:
            self.batch = inputs, labels

    def mask(self, node, array):
        rate = node.attrs["rate"] if self.drop_rate is None else self.drop_rate
        random = np.random.RandomState(1) if self.same_mask else self.random
        return (random.random_sample(array.shape) >= rate) / (1 - rate)

    def step(self):
        for node in self.graph.nodes:
            if node.op == "batch_norm":
                node.attrs["eps"] *= self.epsilon
        try:
            self.last = self.computed()
        finally:
            for node in self.graph.nodes:
                if node.op == "batch_norm":
                    node.attrs["eps"] /= self.epsilon
        if self.forward_only:
            return
        fresh = self.last.gradients
        for name, gradient in fresh.items():
            if self.accumulates:
                self.gradients[name] = self.gradients[name] + gradient
            elif not (self.cached and np.any(self.gradients[name])):
                self.gradients[name] = gradient
            self.update(name, self.gradients[name])
        for name, statistic in self.last.statistics.items():
            self.values[name] = statistic.astype(np.float32)

    def computed(self):
        rules = backward.Rules(biased=self.biased, mask=self.mask)
        if not self.evaluates:
            return backward.step(self.graph, self.values, *self.batch, rules)
        found = backward.step(self.graph, self.values, *self.batch, rules)
        return found._replace(
            statistics={s.name: self.values[s.name] for s in self.graph.statistics}
        )

    def update(self, name, gradient):
        if name in self.skipped:
            return
        gradient = gradient + self.decay * self.values[name]
        self.velocity[name] = (self.momentum * self.velocity[name] + gradient).astype(np.float32)
        step = self.velocity[name]
        if self.nesterov:
            step = gradient + self.momentum * step
        self.values[name] = (self.values[name] - self.rate * step).astype(np.float32)
        if self.breaks:
            self.values[name] = self.values[name] * np.float32(np.nan)

    def loss(self):
        return self.last.loss

    def state(self):
        own = {p.name: self.values[p.name].copy() for p in self.graph.parameters}
        statistics = {s.name: self.values[s.name].copy() for s in self.graph.statistics}
        return job.State(own, {n: v.copy() for n, v in self.velocity.items()}, statistics)


class Backend:
    """Jobs with these mistakes."""

    def __init__(self, **mistakes):
        self.kind = type("Mistaken", (Training,), mistakes)

    def prepare(self, settings, graph, values):
        return self.kind(settings, graph, values)


def check(backend, graph, dtype="float32", device="cpu"):
    asked = arguments.ParitySettings((), (), dtype, device, {}, 1)
    return parity.check("P3", backend, graph, asked)


def test_what_is_promised_is_what_benchmarks_do():
    assert (trajectory.RATE, trajectory.MOMENTUM) == (sgd.LEARNING_RATE, sgd.MOMENTUM)


@pytest.mark.slow
@pytest.mark.parametrize("graph", [small(), zoo.draw("deep_mnist")], ids=["small", "deep_mnist"])
def test_a_right_job_holds(graph):
    verdict = check(Backend(), graph)
    assert verdict.holds, verdict.detail
    assert verdict.deviation < 2e-5


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mistake", "culprit"),
    [
        ({"rate": 0.0}, "update"),
        ({"rate": 1.05e-4}, "update"),
        ({"momentum": 0.0}, "velocity"),
        ({"momentum": 0.89}, "velocity"),
        ({"decay": 1e-4}, "decay"),
        ({"nesterov": True}, "update"),
        ({"evaluates": True}, "statistics"),
        ({"forward_only": True}, "velocity"),
        ({"accumulates": True}, "velocity"),
        ({"cached": True}, "velocity"),
        ({"epsilon": 2.0}, "velocity"),
        ({"skipped": ("dense2.bias",)}, "velocity"),
        ({"drop_rate": 0.2}, "share dropped"),
        ({"drop_rate": 0.0}, "share dropped"),
        ({"same_mask": True}, "same features dropped"),
        ({"biased": True}, "statistics"),
        ({"deaf": True}, "loss"),
        ({"breaks": True}, "update"),
    ],
    ids=str,
)
def test_a_mistaken_job_does_not_hold(mistake, culprit):
    verdict = check(Backend(**mistake), small())
    assert not verdict.holds
    assert culprit in verdict.detail


@pytest.mark.slow
@pytest.mark.parametrize("mistake", [{"rate": 0.0}, {"momentum": 0.0}, {"decay": 1e-4}], ids=str)
def test_each_constant_moves_the_result_by_twenty_tolerances(mistake):
    verdict = check(Backend(**mistake), small())
    assert verdict.deviation >= 20 * verdict.tolerance * 0.999


@pytest.mark.slow
def test_a_biased_variance_is_expected_of_a_job_that_says_so():
    assert check(Backend(biased=True, biased_variance=True), small()).holds
    assert not check(Backend(biased_variance=True), small()).holds


@pytest.mark.slow
def test_calibrated_channels_lie_on_one_side():
    graph = without_dropout(zoo.draw("resnet18"))
    inputs = weights.inputs(graph, 2, 7)
    values = calibration.for_training(graph, inputs, 7)
    arrays, _, _ = backward.forward(graph, values, inputs, backward.Rules())
    for node in graph.nodes:
        if node.op == "relu":
            before = arrays[node.inputs[0]]
            axes = (0, *range(2, before.ndim))
            spread = np.sqrt(before.var(axis=axes).mean())
            assert np.abs(before).min() > 0.45 * spread, node.name
            assert 0.15 < np.mean(before.max(axis=axes) < 0) < 0.35, node.name
        if node.op == "batch_norm":
            seen = arrays[node.inputs[0]].var(axis=(0, 2, 3)).mean()
            assert seen == pytest.approx(calibration.EXPOSURE * node.attrs["eps"], rel=1e-3)


@pytest.mark.parametrize(("filters", "share"), [(16, 0.79), (64, 0.53), (192, 0.5)])
def test_what_a_pooling_adds_along_a_velocity_is_forgiven_by_its_filters(filters, share):
    """A turn by chance has a large part along a vector of few filters (Student's t)."""
    expected = np.zeros((filters, 4))
    expected[0] = 1.0
    turned = np.zeros_like(expected)
    turned[:2] = [[share - 0.01], [np.sqrt(1 - (share - 0.01) ** 2)]]
    assert trajectory.apart(turned, expected)[0] == 0.0
    along, across = trajectory.apart(expected, expected)
    assert along == pytest.approx((1 - share) * across, rel=0.02)
