"""Special to MXNet; where MXNet itself errs, the way around it is needed and works."""

import warnings

import numpy as np
import pytest

from backends import zoo
from backends.harness.findings import deviation
from backends.zoo import backward, weights
from backends.zoo.graph import Graph

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of a library that was finished before its dependencies were
    mx = pytest.importorskip("mxnet", reason="MXNet is not installed in this environment")

from backends.mxnet import bound, build, device, step, watch
from tests.parity.running import Backend

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

BACKEND = Backend(step, phase="training")


def given(phase, devices=1):
    return BACKEND.settings(zoo.draw("deep_mnist"), phase, devices=devices, seed=1)


def lopsided():
    """Paddings and pools that no network of the zoo has."""
    g = Graph("lopsided", (3, 13, 14), 5, "image")
    x = g.conv(g.input, 8, 3, pad=(2, 0, 1, 1))
    x = g.max_pool(g.scale(x, 10.0), 3, 2, pad=(1, 0, 0, 2))
    x = g.avg_pool(x, 2, pad=(0, 1, 1, 0))
    x = g.max_pool(x, 3, 2, round_up=True)
    return g.finish(g.dense(g.flatten(x), 5))


@pytest.mark.parametrize("level", ["P1", "P2", "P3"])
def test_padding_on_one_side_only(level):
    BACKEND.prove(level, lopsided())


def small_norm():
    g = Graph("small_norm", (4, 6, 6), 3, "image")
    x = g.batch_norm(g.conv(g.input, 16, 3, pad=1), 1e-5)
    return g.finish(g.dense(g.flatten(x), 3))


def stepped(settings, graph, values, batch):
    """What a training job keeps after one step on the batch."""
    job = step.prepare(settings, graph, values)
    job.feed(*batch)
    job.step()
    job.synchronize()
    state = job.state()
    job.close()
    return state


def test_running_variance_is_fed_the_biased_one():
    """The one place where MXNet's definition differs from the zoo's, on a CPU."""
    graph = small_norm()
    values = weights.for_graph(graph, 1)
    batch = weights.inputs(graph, 2, 1), weights.labels(graph, 2, 1)
    state = stepped(BACKEND.settings(graph, "training"), graph, values, batch)
    name = "batch_norm1.variance"
    far = {}
    for biased in (True, False):
        expected = backward.step(graph, values, *batch, backward.Rules(biased)).statistics
        far[biased] = deviation(state.statistics[name], expected[name])
    assert far[True] < 1e-6
    assert far[False] > 1e-4


def test_many_arrays_at_a_time_are_updated_like_one_by_one():
    BACKEND.prove("P3", "deep_mnist", "optimizer=aggregated")


def dropping():
    g = Graph("dropping", (8, 6, 6), 10, "image")
    x = g.dropout(g.relu(g.dense(g.flatten(g.input), 400)), 0.4)
    return g.finish(g.dense(x, 10))


def test_dropout_drops_at_its_rate():
    BACKEND.prove("P3", dropping())


@pytest.mark.parametrize("rate", [0.0, 0.6])
def test_dropout_at_another_rate_is_found(monkeypatch, rate):
    monkeypatch.setitem(build.OPERATORS, "dropout", lambda n, p, x: mx.sym.Dropout(x, p=rate))
    assert not BACKEND.compare("P3", dropping()).holds


def normalised_between_convolutions():
    g = Graph("normalised", (64, 14, 14), 10, "image")
    # Strong enough for a wrong gradient to show in P3, whose values are small here.
    x = g.lrn(g.relu(g.conv(g.input, 64, 3, pad=1)), size=5, alpha=1.6e-3, beta=0.75, k=1.0)
    return g.finish(g.dense(g.flatten(g.conv(x, 64, 3, pad=1)), 10))


def test_the_gradient_of_lrn_needs_the_way_around(monkeypatch):
    """When the plain one is right too, `plain_lrn` can go."""
    BACKEND.prove("P3", normalised_between_convolutions())
    lrn = build.OPERATORS["lrn"]
    direct = build.Plan(zoo.draw("deep_mnist"))
    monkeypatch.setitem(build.OPERATORS, "lrn", lambda node, _plan, x: lrn(node, direct, x))
    if device.facts().subgraph:
        assert not BACKEND.compare("P3", normalised_between_convolutions()).holds


def pooled_concat():
    g = Graph("pooled", (4, 10, 10), 5, "image")
    sides = [g.relu(g.conv(g.input, 8, size, pad=size // 2)) for size in (1, 3)]
    x = g.max_pool(g.concat(sides), 3, 2, round_up=True)
    return g.finish(g.dense(g.flatten(x), 5))


@pytest.mark.parametrize("graph", [pooled_concat(), lopsided()], ids=lambda graph: graph.name)
def test_a_pooled_value_that_is_kept_has_the_right_gradient(monkeypatch, graph):
    """MXNet before 1.5 needs it; this one must not mind."""
    pool = build.OPERATORS["max_pool"]
    kept = build.Plan(graph, keep_pooled=True)
    monkeypatch.setitem(build.OPERATORS, "max_pool", lambda node, _plan, x: pool(node, kept, x))
    BACKEND.prove("P3", graph)


def speech():
    g = Graph("small_speech", (1, 40, 6), 11, "speech")
    x = g.relu(g.batch_norm(g.conv(g.input, 4, 3, pad=1, bias=False), 1e-5))
    return g.finish(g.per_step(g.rnn(g.sequence(x), 16, 3), 11))


@pytest.mark.parametrize("level", ["P1", "P2", "P3"])
def test_recurrent_layers_and_ctc(level):
    BACKEND.prove(level, speech())


def test_devices_stay_alike_and_the_step_is_that_of_both_batches():
    graph = zoo.draw("deep_mnist")
    values = weights.for_graph(graph, 1)
    job = step.prepare(given("training", devices=2), graph, values)
    batch = weights.inputs(graph, 4, 3), weights.labels(graph, 4, 3)
    job.feed(*batch)
    job.synchronize()
    job.mark(0)
    for index in range(1, 4):
        job.step()
        job.mark(index)
        if index == 1:
            velocities = job.state().velocities
    job.synchronize()
    assert job.samples == 4
    assert len(job.intervals(3)) == 3
    assert all(seconds >= 0 for seconds in job.intervals(3))
    assert job.owns() == []  # one worker runs both
    for name, gradient in backward.step(graph, values, *batch).gradients.items():
        assert deviation(velocities[name], gradient) < 1e-5, name
    assert isinstance(job, step.Training)
    first, second = (executor.arg_dict for executor in job._executors)
    assert not np.array_equal(first["input"].asnumpy(), second["input"].asnumpy())
    for name, array in first.items():
        if name not in ("input", bound.LABELS):
            assert np.array_equal(array.asnumpy(), second[name].asnumpy()), name
    job.close()


def test_devices_that_are_watched_are_ready_before_they_have_taken_the_step(monkeypatch):
    """As GPUs are; a CPU's worker also notes when an array can be read."""
    graph = zoo.draw("deep_mnist")
    for phase in ("training", "inference"):
        job = step.prepare(given(phase, devices=2), graph, weights.for_graph(graph, 1))
        assert isinstance(job, device.DeviceJob)
        monkeypatch.setattr(job, "_watch", watch.Watch(2))
        for _ in range(2):  # blocks
            job.synchronize()
            job.mark(0)
            for index in range(1, 4):
                job.step()
                job.mark(index)
            job.synchronize()
            assert len(job.owns()) == 2
            assert all(0 < seconds < sum(job.intervals(3)) for seconds in job.owns())
        moments = job._watch.moments()
        assert [len(of[watch.DONE]) for of in moments] == [3, 3]
        assert [len(of[watch.READY]) for of in moments] == [3 if phase == "training" else 0] * 2
        job.close()


def test_half_precision_weights_have_master_copies():
    arrays = {"w": mx.nd.ones((4,), dtype="float16"), "b": mx.nd.ones((4,))}
    slopes = {"w": mx.nd.ones((4,), dtype="float16"), "b": mx.nd.ones((4,))}
    for how in ("aggregated", "plain"):
        update = bound.Updater(how, 1e-4, 0.0, half=True)
        start, before = arrays["w"].asnumpy(), arrays["b"].asnumpy()
        for _ in range(20):  # each by itself too small for float16
            update(slopes, arrays)
        assert np.allclose(before - arrays["b"].asnumpy(), 20e-4, rtol=1e-3)
        kept = update.weights(arrays)
        assert np.allclose(start - kept["w"].asnumpy(), 20e-4, rtol=1e-3)
        assert kept["b"] is arrays["b"]
    assert np.allclose(arrays["w"].asnumpy(), 1 - 40e-4, atol=6e-4)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("how", ["aggregated", "plain"])
def test_velocities_are_sums_of_gradients_without_the_scale_of_the_loss(how, dtype):
    arrays, slopes = ({"w": mx.nd.full((4,), v, dtype=dtype)} for v in (1.0, 128.0))
    update = bound.Updater(how, 1e-4, 0.5, rescale=1 / 128, half=dtype == "float16")
    for expected in (0.0, 1.0, 1.5, 1.75):
        (velocity,) = update.velocities(arrays).values()
        assert velocity.dtype == np.float32 or not expected
        assert np.allclose(velocity.asnumpy(), expected, rtol=1e-6)
        update(slopes, arrays)


def test_half_precision_networks_bind():
    """A CPU has no half-precision layers, but the types must fit together."""
    graph = zoo.draw("alexnet")
    network = build.build(graph, dtype="float16")
    shape = (2, *graph.input_shape)
    executor = bound.bind(bound.loss_symbol(network, 128.0), network, mx.cpu(), shape, (2,))
    assert executor.arg_dict["conv1.weight"].dtype == np.float16
    assert executor.arg_dict[bound.LABELS].dtype == np.float32
    assert executor.outputs[0].dtype == np.float32
