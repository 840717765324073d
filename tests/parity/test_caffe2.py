"""Special to Caffe2: several copies of a network in one net."""

import warnings

import numpy as np
import pytest

from backends import zoo
from backends.harness.findings import deviation
from backends.zoo import backward, weights

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of a library that was finished before its dependencies were
    pytest.importorskip("caffe2.python", reason="Caffe2 is not installed in this environment")
    from caffe2.python import core, workspace

    from backends.caffe2 import build, device, parallel, step
from tests.parity.running import Backend

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

BACKEND = Backend(step, phase="training")
ENGINES = ("ideep", "native")


def given(model, phase, engine, **changed):
    """Settings of two copies."""
    settings = BACKEND.settings(zoo.draw(model), phase, devices=2, seed=1)
    return settings._replace(options=dict(settings.options, engine=engine, **changed))


@pytest.mark.parametrize(
    ("engine", "net_type"),
    [("ideep", "simple"), ("ideep", "dag"), ("native", "dag"), ("native", "async_scheduling")],
)
def test_copies_stay_alike_and_the_step_is_that_of_both_batches(engine, net_type):
    graph = zoo.draw("deep_mnist")
    values = weights.for_graph(graph, 1)
    job = step.prepare(given("deep_mnist", "training", engine, net_type=net_type), graph, values)
    batch = weights.inputs(graph, 4, 3), weights.labels(graph, 4, 3)
    job.feed(*batch)
    job.step()
    assert (job.samples, len(job.device_names)) == (4, 2)
    assert job.options["parallel"] == "data_parallel_model"
    expected = backward.step(graph, values, *batch)
    assert abs(job.loss() - expected.loss) < 1e-5
    velocities = job.state().velocities
    for name, gradient in expected.gradients.items():
        assert deviation(velocities[name], gradient) < 1e-5, name
    kind = {"ideep": "ideep", "native": "cpu"}[engine]
    for parameter in graph.parameters:
        first, second = (workspace.FetchBlob(f"{kind}_{i}/{parameter.name}") for i in range(2))
        assert np.array_equal(first, second), parameter.name
    job.close()


@pytest.mark.parametrize("engine", ENGINES)
def test_each_copy_infers_its_part_of_the_batch(engine):
    graph = zoo.draw("deep_mnist")
    values = weights.for_graph(graph, 1)
    inputs, labels = weights.inputs(graph, 4, 3), weights.labels(graph, 4, 3)
    job = step.prepare(given("deep_mnist", "inference", engine), graph, values)
    job.feed(inputs, labels)
    job.step()
    both = job.logits()
    job.close()
    one = given("deep_mnist", "inference", engine)._replace(devices=1, batch=4)
    job = step.prepare(one, graph, values)
    job.feed(inputs, labels)
    job.step()
    assert both.shape == (4, 10)
    assert deviation(both, job.logits()) < 1e-6
    job.close()


@pytest.mark.parametrize("nccl", [True, False])
def test_eight_gpus_exchange_every_gradient(monkeypatch, nccl):
    """As far as it goes without a GPU: the net is made, and its operators are where they belong."""
    monkeypatch.setattr(core, "IsOperator", lambda _name: True)  # a build for CPUs has no NCCL
    graph = zoo.draw("vgg19")
    place = device.Place(True, [device.Copy(f"gpu_{i}/", None) for i in range(8)])
    net = parallel.build(graph, True, place, "async_scheduling", nccl=nccl, exhaustive=True).net
    operators = net.Proto().op
    count = len(graph.parameters)
    exchanges = [one for one in operators if one.type == "NCCLAllreduce"]
    assert [len(one.input) for one in exchanges] == [8] * (count if nccl else 0)
    # In a tree of three levels: four, two and one sum.
    sums = [one for one in operators if one.type == "Sum" and one.name == "dpm"]
    assert len(sums) == (0 if nccl else 7 * count)
    updates = [one for one in operators if one.type == "MomentumSGDUpdate"]
    assert len(updates) == 8 * count
    for one in updates:
        where = f"gpu_{one.device_option.device_id}/"
        assert all(name.startswith(where) for name in (*one.input, *one.output))
    losses = [one for one in operators if one.type == "SoftmaxWithLoss"]
    scales = {argument.f for one in losses for argument in one.arg if argument.name == "scale"}
    assert scales == {0.125}
    assert sorted(one.output[1] for one in losses) == [f"gpu_{i}/{build.LOSS}" for i in range(8)]
