"""Caffe and Caffe2 compute the zoo's networks. Needs both installed, as in legacy-cpu."""

from __future__ import annotations

from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec

import numpy as np
import pytest

from backends import zoo
from backends.harness.errors import Unsupported
from backends.harness.sgd import MOMENTUM
from backends.zoo import weights
from backends.zoo.graph import Graph
from tests.parity.running import Backend

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

DRAWABLE = [name for name in zoo.names() if name != "deep_speech2"]


@pytest.fixture(params=["bvlc_caffe", "caffe2"])
def backend(request):
    if request.param == "bvlc_caffe":
        pytest.importorskip("caffe", reason="Caffe is not installed in this environment")
        return import_module("backends.caffe.step").Backend("bvlc_caffe")
    if find_spec("caffe2") is None or find_spec("caffe2.python") is None:
        pytest.skip("Caffe2 is not installed in this environment")
    return import_module("backends.caffe2.step")


def tiny():
    """A network with every kind of array that a step changes."""
    graph = Graph("tiny", (3, 8, 8), 4)
    x = graph.relu(graph.batch_norm(graph.conv(graph.input, 4, 3, bias=False), 1e-3))
    return graph.finish(graph.dense(graph.dropout(graph.flatten(x), 0.5), 4))


@contextmanager
def training(backend):
    """The benchmark's training job of the tiny network, and the values that it was given."""
    graph = tiny()
    values = weights.for_graph(graph, 5)
    job = backend.prepare(Backend(backend).settings(graph, "training"), graph, values)
    try:
        yield job, values
    finally:
        job.close()


def check(level, backend, model):
    Backend(backend).prove(level, model)


@pytest.mark.parametrize("model", DRAWABLE)
def test_every_node_has_the_shape_drawn(backend, model):
    check("P1", backend, model)


@pytest.mark.parametrize("model", ["deep_mnist", "alexnet", "googlenet", "resnet50_v1.5"])
def test_logits_are_the_referees(backend, model):
    check("P2", backend, model)


@pytest.mark.parametrize("model", ["deep_mnist", "alexnet", "googlenet", "resnet18"])
def test_a_training_step(backend, model):
    check("P3", backend, model)


def test_a_job_starts_from_what_it_is_given(backend):
    with training(backend) as (job, values):
        state = job.state()
    for name, weight in state.weights.items():
        assert weight.dtype == np.float32
        assert np.array_equal(weight, values[name])
        assert not state.velocities[name].any()
        assert state.velocities[name].shape == weight.shape
    for name, statistic in state.statistics.items():
        assert np.allclose(statistic, values[name], rtol=1e-6)
    assert set(state.weights) | set(state.statistics) == set(values)


def test_a_state_is_not_changed_by_the_next_step(backend):
    with training(backend) as (job, _):
        job.step()
        first = job.state()
        kept = {name: velocity.copy() for name, velocity in first.velocities.items()}
        job.step()
        second = job.state()
    for name, velocity in first.velocities.items():
        assert np.array_equal(velocity, kept[name])
        assert not np.array_equal(velocity, second.velocities[name])
        assert not np.array_equal(first.weights[name], second.weights[name])


def test_velocities_are_in_units_of_the_gradient(backend):
    """Without inputs a layer's weights get no gradient: momentum is all that is left."""
    with training(backend) as (job, _):
        job.step()
        before = job.state().velocities["conv1.weight"]
        job.feed(np.zeros((2, 3, 8, 8), np.float32), np.zeros(2, np.int64))
        job.step()
        after = job.state().velocities["conv1.weight"]
    assert np.allclose(after, MOMENTUM * before, rtol=1e-5, atol=1e-9)
    assert np.abs(before).max() > 1e-3


@pytest.mark.parametrize("backend", ["caffe2"], indirect=True)
def test_on_a_gpu_cudnn_pools_what_is_padded_evenly(backend):
    """It refuses the rest, forward and backward."""
    engines = set()
    for model in ("googlenet", "vgg11", "resnet50_v1.5"):
        net = backend.builder.build(zoo.draw(model), True, gpu=True).net
        for operator in net.Proto().op:
            if operator.type in ("MaxPool", "MaxPoolGradient"):
                pads = next(a.ints for a in operator.arg if a.name == "pads")
                even = list(pads[:2]) == list(pads[2:])
                assert operator.engine == ("CUDNN" if even else "DEFAULT")
                engines.add((operator.type, operator.engine))
    assert len(engines) == 4


def test_the_gap_is_reported(backend):
    with pytest.raises(Unsupported, match="deep_speech2"):
        list(backend.shapes(zoo.draw("deep_speech2")))


@pytest.mark.parametrize("backend", ["bvlc_caffe"], indirect=True)
def test_pooling_cut_out_is_the_same_as_rounded_down(backend):
    backend.choices = lambda **choices: dict(choices, round_mode=False)
    check("P1", backend, "resnet50_v1.5")
    check("P2", backend, "resnet50_v1.5")
