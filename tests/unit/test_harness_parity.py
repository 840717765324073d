"""The judge, judged: builders with one mistake each must not pass."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
import pytest

from backends import zoo
from backends.harness import arguments, parity
from backends.harness.errors import Unsupported
from backends.zoo import Graph, referee


def small():
    g = Graph("small", (2, 5, 5), 4)
    x = g.relu(g.batch_norm(g.conv(g.input, 3, 3, pad=1), 1e-3))
    x = g.max_pool(x, 3, 2, round_up=True)
    return g.finish(g.dense(g.flatten(x), 4))


def check(level, backend, graph, dtype="float32", device="cpu"):
    return parity.check(level, backend, graph, arguments.ParitySettings((), (), dtype, device, {}))


class Numpy:
    """A backend made of the referee; `spoil` changes a node's value."""

    def __init__(self, spoil=None):
        self.spoil = spoil or (lambda node, array: array)

    def shapes(self, graph):
        for node in graph.nodes:
            yield node.name, node.shape

    def activations(self, settings, graph, values, inputs):
        alive = {}
        for node in graph.nodes:
            if node is graph.input:
                alive[node] = inputs
            else:
                alive[node] = referee.apply(node, values, [alive[x] for x in node.inputs])
            alive[node] = self.spoil(node, alive[node])
            yield node.name, alive[node]

    def forward(self, settings, graph, values, inputs):
        *_, (_, logits) = self.activations(settings, graph, values, inputs)
        return logits.astype(np.float32)


def test_the_referee_agrees_with_itself():
    for level in ("P1", "P2"):
        verdict = check(level, Numpy(), small())
        assert verdict.holds
        assert verdict.deviation <= 1e-6


@pytest.mark.parametrize("op", ["batch_norm", "conv", "max_pool", "dense"])
def test_the_first_node_that_differs_is_named(op):
    def spoil(node, array):
        return array * (1 + 1e-3) if node.op == op else array

    verdict = check("P2", Numpy(spoil), small())
    assert not verdict.holds
    assert verdict.deviation > 1e-4
    assert verdict.detail.startswith(f"{op}1 ({op}) is the first to differ: 0.001")


def test_a_slip_of_epsilon_is_seen():
    class OtherEpsilon(Numpy):
        def activations(self, settings, graph, values, inputs):
            for node in graph.nodes:
                if node.op == "batch_norm":
                    node.attrs["eps"] = 2e-3
            try:
                yield from super().activations(settings, graph, values, inputs)
            finally:
                for node in graph.nodes:
                    if node.op == "batch_norm":
                        node.attrs["eps"] = 1e-3

    verdict = check("P2", OtherEpsilon(), small())
    assert not verdict.holds


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_and_infinity_never_hold(value):
    def spoil(node, array):
        return array + value if node.op == "dense" else array

    verdict = check("P2", Numpy(spoil), small())
    assert not verdict.holds


def test_missing_and_misshapen_nodes_fail():
    class Lacking(Numpy):
        def shapes(self, graph):
            for node in graph.nodes[:-1]:
                yield node.name, node.shape if node.op != "conv" else (3, 5, 6)

    verdict = check("P1", Lacking(), small())
    assert not verdict.holds
    assert verdict.deviation == 2
    assert verdict.detail == "conv1 is (3, 5, 6), drawn (3, 5, 5)"


def test_logits_of_another_shape_fail():
    class Transposed(Numpy):
        def forward(self, settings, graph, values, inputs):
            return super().forward(settings, graph, values, inputs)[:1]

    assert not check("P2", Transposed(), small()).holds


BITS = {"tf32": 11, "float16": 11, "bfloat16": 8}


def rounded(array, bits):
    """To so many significant bits."""
    share, exponent = np.frexp(array)
    return np.ldexp(np.round(share * 2.0**bits) / 2.0**bits, exponent)


class Rounding(Numpy):
    """Keeps weights and every value in so many bits, and computes exactly with them."""

    def __init__(self, bits, spoil=None):
        super().__init__(lambda node, array: rounded(spoil(node, array) if spoil else array, bits))
        self.bits = bits

    def activations(self, settings, graph, values, inputs):
        values = {name: rounded(value, self.bits) for name, value in values.items()}
        return super().activations(settings, graph, values, inputs)


@pytest.mark.parametrize("dtype", BITS)
def test_what_a_number_type_rounds_off_holds_in_that_type_alone(dtype):
    graph = zoo.draw("deep_mnist")
    for bits, held in ((BITS[dtype], True), (BITS[dtype] - 4, False)):
        verdict = check("P2", Rounding(bits), graph, dtype)
        assert verdict.holds is held
        assert verdict.tolerance == parity.TOLERANCES[dtype].logits
    assert not check("P2", Rounding(BITS[dtype]), graph).holds


def test_a_mistake_beyond_rounding_is_found_in_half_precision_too():
    def spoil(node, array):
        return array * 1.1 if node.op == "conv" else array

    verdict = check("P2", Rounding(8, spoil), small(), "bfloat16")
    assert not verdict.holds
    assert verdict.detail.startswith("conv1 (conv) is the first to differ: 0.")


@pytest.mark.parametrize("level", ["P2", "P3"])
def test_a_backend_is_told_what_is_compared(level):
    class Curious(Logistic):
        def activations(self, settings, *given):
            told.append(settings)
            return super().activations(settings, *given)

        def training_step(self, settings, *given, **precise):
            told.append(settings)
            return super().training_step(settings, *given, **precise)

    told = []
    check(level, Curious(), logistic(), "float16", "gpu")
    phase = {"P2": "inference", "P3": "training"}[level]
    assert {(s.model, s.phase, s.dtype, s.device, s.batch) for s in told} == {
        ("logistic", phase, "float16", "gpu", parity.BATCH)
    }


def logistic():
    """Normalisation and one dense layer: its gradient is known on paper."""
    g = Graph("logistic", (2, 3, 3), 4)
    return g.finish(g.dense(g.flatten(g.batch_norm(g.input, 1e-3)), 4))


class Logistic(Numpy):
    """A hand-written training step of `logistic`; every knob is a mistake to make."""

    gradient_scale = 1.0
    unbiased = True
    kept = 0.9
    rate = parity.RATE

    def training_step(self, settings, graph, values, inputs, labels, precise=False):
        if precise:
            raise Unsupported("float32 only")
        axes, count = (0, 2, 3), inputs.size // inputs.shape[1]
        mean, variance = inputs.mean(axes), inputs.var(axes)
        normal = (inputs - mean.reshape(-1, 1, 1)) / np.sqrt(variance + 1e-3).reshape(-1, 1, 1)
        gamma, beta = (values["batch_norm1." + r].reshape(-1, 1, 1) for r in ("gamma", "beta"))
        flat = (gamma * normal + beta).reshape(len(inputs), -1)
        weight = values["dense1.weight"]
        logits = flat @ weight.T + values["dense1.bias"]
        shares = np.exp(logits - logits.max(1, keepdims=True))
        shares /= shares.sum(1, keepdims=True)
        slope = (shares - np.eye(4)[labels]) / len(inputs)
        back = (slope @ weight).reshape(inputs.shape)
        gradients = OrderedDict(
            [
                ("batch_norm1.gamma", (back * normal).sum(axes)),
                ("batch_norm1.beta", back.sum(axes)),
                ("dense1.weight", slope.T @ flat),
                ("dense1.bias", slope.sum(0)),
            ]
        )
        gradients = OrderedDict((n, g * self.gradient_scale) for n, g in gradients.items())
        if self.unbiased:
            variance = variance * count / (count - 1)
        new = (("mean", mean), ("variance", variance))
        statistics = {
            "batch_norm1." + role: self.kept * values["batch_norm1." + role]
            + (1 - self.kept) * value
            for role, value in new
        }
        updated = {name: values[name] - self.rate * gradients[name] for name in gradients}
        return parity.Step(referee.loss(graph, logits, labels), gradients, updated, statistics)


def test_a_right_training_step_holds():
    verdict = check("P3", Logistic(), logistic())
    assert verdict.holds, verdict.detail
    assert verdict.deviation < 1e-5


@pytest.mark.parametrize(
    ("mistake", "culprit"),
    [
        ({"gradient_scale": 1.001}, "slope"),
        ({"unbiased": False}, "statistics"),
        ({"rate": 0.0}, "update"),
    ],
)
def test_a_wrong_training_step_does_not_hold(mistake, culprit):
    class Mistaken(Logistic):
        pass

    for name, value in mistake.items():
        setattr(Mistaken, name, value)
    verdict = check("P3", Mistaken(), logistic())
    assert not verdict.holds
    assert culprit in verdict.detail


@pytest.mark.parametrize(
    ("mistake", "culprit"), [({"gradient_scale": 1.1}, "slope"), ({"rate": 0.0}, "update")]
)
def test_nor_does_it_in_half_precision(mistake, culprit):
    step = Logistic()
    assert check("P3", step, logistic(), "bfloat16").holds
    for name, value in mistake.items():
        setattr(step, name, value)
    verdict = check("P3", step, logistic(), "bfloat16")
    assert not verdict.holds
    assert culprit in verdict.detail


def test_a_biased_variance_is_expected_on_the_devices_that_are_told():
    step = Logistic()
    step.unbiased = False
    step.BIASED_VARIANCE = ("cpu",)
    assert check("P3", step, logistic()).holds
    assert not check("P3", step, logistic(), device="gpu").holds


def test_statistics_that_the_first_step_replaces_are_expected():
    step = Logistic()
    step.kept = 0.0
    assert not check("P3", step, logistic()).holds
    step.REPLACES_STATISTICS = True
    assert check("P3", step, logistic()).holds


@pytest.mark.parametrize("told", [True, False])
def test_weights_that_a_framework_rounded_are_what_a_step_starts_from(told):
    class Rounded(Logistic):
        def training_step(self, settings, graph, values, *batch, **precise):
            values = {name: rounded(value, 11) for name, value in values.items()}
            found = super().training_step(settings, graph, values, *batch, **precise)
            return found._replace(started=values if told else None)

    verdict = check("P3", Rounded(), logistic(), "float16")
    assert verdict.holds is told, verdict.detail


@pytest.mark.parametrize(
    ("found", "distance"),
    [
        ({"zero": 1e-3}, 1e-3),  # rounding of what cancels out: next to the largest
        ({"small": 2e-4}, 0.01),  # next to a hundredth of the largest
        ({"large": 0.9}, 0.1),
    ],
)
def test_gradients_that_are_zero_or_small_are_no_reason_for_large_errors(found, distance):
    exact = {"large": 1.0, "small": 1e-4, "zero": 1e-16}
    arrays = [{name: np.array([x]) for name, x in one.items()} for one in (exact | found, exact)]
    what, where, worst = parity._norms(*arrays)
    assert (what, where) == ("gradient norms", f" ({next(iter(found))})")
    assert worst == pytest.approx(distance, rel=1e-6)
