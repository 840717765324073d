"""The self check's trial step, and the refusal of operators that a backend lacks."""

import pytest

from backends import zoo
from backends.harness import trial
from backends.harness.errors import Unsupported
from backends.harness.operators import check_operators
from backends.knobs import Option


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


def run(done, loss=0.5, phases=("training", "inference")):
    def prepare(settings, graph, values):
        assert {*values} == {one.name for one in graph.parameters + graph.statistics}
        assert settings.options == {"layout": "auto"}
        return Job(done, settings, graph, loss)

    declared = [Option("layout", ("nchw",), "order of dimensions")]
    graphs = [zoo.draw("acoustic_model"), zoo.draw("deep_mnist")]
    return trial.run_smallest(prepare, declared, graphs, phases)


def test_the_smallest_network_takes_a_step_in_each_phase():
    done: list = []
    assert run(done) == "deep_mnist"
    assert done == [
        *(("step", "deep_mnist", "training", 2), "synchronize", "close"),
        *(("step", "deep_mnist", "inference", 2), "synchronize", "close"),
    ]


def test_a_loss_that_is_not_finite_fails_the_trial():
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
