"""Tests of the judge: builders with one mistake each must not pass."""

from __future__ import annotations

import numpy as np
import pytest

from backends import zoo
from backends.harness import arguments, job, parity
from backends.zoo import Graph, referee


def small():
    g = Graph("small", (2, 5, 5), 4)
    x = g.relu(g.batch_norm(g.conv(g.input, 3, 3, pad=1), 1e-3))
    x = g.max_pool(x, 3, 2, round_up=True)
    return g.finish(g.dense(g.flatten(x), 4))


def check(level, backend, graph, dtype="float32", device="cpu"):
    return parity.check(
        level, backend, graph, arguments.ParitySettings((), (), dtype, device, {}, 1)
    )


class Numpy:
    """A backend made of the referee; `spoil` changes a node's value, `kind` makes the job."""

    def __init__(self, spoil=None, kind=None):
        self.spoil = spoil or (lambda node, array: array)
        self.kind = kind or NumpyInference

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

    def prepare(self, settings, graph, values):
        return self.kind(self, settings, graph, values)


class NumpyInference(job.Job):
    """The inference job of a `Numpy` backend."""

    def __init__(self, backend, settings, graph, values):
        super().__init__()
        self.given = backend, settings, graph, values
        self.inputs = self.found = None

    def feed(self, inputs, labels):
        self.inputs = inputs

    def step(self):
        backend, settings, graph, values = self.given
        *_, (_, logits) = backend.activations(settings, graph, values, self.inputs)
        self.found = logits.astype(np.float32)

    def logits(self):
        return self.found


def test_the_referee_agrees_with_itself():
    for level in ("P1", "P2"):
        verdict = check(level, Numpy(), small())
        assert verdict.holds
        assert verdict.deviation <= 1e-6


def test_a_node_that_is_part_of_another_is_passed_over():
    class Fused(Numpy):
        """Shows no convolution."""

        def activations(self, settings, graph, values, inputs):
            for name, value in super().activations(settings, graph, values, inputs):
                if not name.startswith("conv"):
                    yield name, value

    def spoil(node, array):
        return array + 1 if node.op == "batch_norm" else array

    verdict = check("P2", Fused(spoil), small())
    assert not verdict.holds
    assert verdict.detail.startswith("batch_norm1 (batch_norm) is the first to differ")


def test_a_node_that_was_not_drawn_is_named():
    graph = small()
    expected = [(node, np.zeros(1)) for node in graph.nodes]
    found = parity.first_difference([("other", np.zeros(1))], expected, 1e-5)
    assert found == "other was built, but is not in the network there"


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
    class Short(NumpyInference):
        def logits(self):
            return super().logits()[:1]

    assert not check("P2", Numpy(kind=Short), small()).holds


def test_a_step_that_is_not_repeated_is_seen():
    class Cached(NumpyInference):
        def step(self):
            if self.found is None:
                super().step()

    verdict = check("P2", Numpy(kind=Cached), small())
    assert not verdict.holds
    assert verdict.detail.startswith("the first step's logits hold")


def test_a_backend_is_told_what_is_compared():
    told: list[arguments.Settings] = []

    class Curious(Numpy):
        def prepare(self, settings, graph, values):
            told.append(settings)
            return super().prepare(settings, graph, values)

    check("P2", Curious(), small(), "float16", "gpu")
    assert {(s.model, s.phase, s.dtype, s.device, s.batch) for s in told} == {
        ("small", "inference", "float16", "gpu", parity.BATCH)
    }


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


@pytest.mark.slow
@pytest.mark.parametrize("dtype", BITS)
def test_what_a_number_type_rounds_off_holds_only_in_that_type(dtype):
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
