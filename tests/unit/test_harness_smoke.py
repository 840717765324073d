"""The self check of an image, and the refusal of operators that a backend lacks."""

import pytest

from backends import zoo
from backends.harness import smoke
from backends.harness.errors import Unsupported
from backends.harness.operators import check_operators
from backends.options import Option


class Job:
    """Records what is done with it."""

    def __init__(self, done, settings, graph, loss):
        self.done, self.settings, self.graph, self.found = done, settings, graph, loss

    def step(self):
        self.done.append(("step", self.graph.name, self.settings.phase, self.settings.batch))

    def synchronize(self):
        self.done.append("synchronize")

    def loss(self):
        return self.found

    def close(self):
        self.done.append("close")


DECLARED = [Option("layout", ("nchw",), "order of dimensions")]


def prepares(done, loss=0.5):
    def prepare(settings, graph, values):
        assert {*values} == {one.name for one in graph.parameters + graph.statistics}
        assert settings.options == {"layout": "auto"}
        return Job(done, settings, graph, loss)

    return prepare


def run(done, loss=0.5, phases=("training", "inference")):
    graphs = [zoo.draw("acoustic_model"), zoo.draw("deep_mnist")]
    return smoke.run_smallest(prepares(done, loss), DECLARED, graphs, phases)


@pytest.mark.slow
def test_the_smallest_network_takes_a_step_in_each_phase():
    done: list = []
    assert run(done) == "deep_mnist"
    assert done == [
        *(("step", "deep_mnist", "training", 2), "synchronize", "close"),
        *(("step", "deep_mnist", "inference", 2), "synchronize", "close"),
    ]


@pytest.mark.slow
def test_a_loss_that_is_not_finite_fails_the_self_check():
    done: list = []
    with pytest.raises(ValueError, match="the loss of deep_mnist is nan"):
        run(done, float("nan"))
    assert run(done, float("nan"), phases=("inference",)) == "deep_mnist"  # which has no loss


def test_operators_that_a_backend_lacks_are_named():
    graph = zoo.draw("deep_mnist")
    used = {node.op for node in graph.nodes} - {"input"}
    check_operators(graph, used)
    with pytest.raises(
        Unsupported, match="deep_mnist needs dense, relu, which this backend does not support"
    ):
        check_operators(graph, used - {"dense", "relu"})


@pytest.mark.slow
def test_every_model_is_tried_before_the_smallest_runs():
    tried: list = []
    line = smoke.check(prepares(tried), DECLARED, lambda graph: tried.append(graph.name), "build")
    names = zoo.names()
    assert line == f"{len(names)} models build, deep_mnist trains and infers"
    assert tried[: len(names)] == names
    assert len(tried) == len(names) + 6  # a step, its end and a close in each phase


def test_a_model_that_cannot_be_built_fails_before_anything_runs():
    done: list = []

    def attempt(graph):
        raise ValueError(graph.name)

    graphs = [zoo.draw("deep_mnist")]
    with pytest.raises(ValueError, match="deep_mnist"):
        smoke.check(prepares(done), DECLARED, attempt, "build", graphs)
    assert done == []


def test_a_misshapen_node_fails_the_attempt():
    graph = zoo.draw("deep_mnist")
    shapes = {node.name: node.shape for node in graph.nodes}
    smoke.as_drawn(lambda _: shapes.items())(graph)
    shapes["dense2"] = (7,)
    with pytest.raises(ValueError, match=r"deep_mnist: dense2 is \(7,\), drawn \(2000,\)"):
        smoke.as_drawn(lambda _: shapes.items())(graph)
