"""MXNet computes what was drawn; where MXNet itself errs, the way around it is needed and works."""

import warnings

import numpy as np
import pytest

from backends import zoo
from backends.harness import arguments, parity
from backends.harness.errors import Unsupported
from backends.zoo import weights
from backends.zoo.graph import OPS, Graph

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of a library that was finished before its dependencies were
    mx = pytest.importorskip("mxnet", reason="MXNet is not installed in this environment")

from backends.mxnet import bound, build, composed, device, kinks, step
from tests.parity.running import Backend

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

BACKEND = Backend(step, phase="training")
options, run = BACKEND.options, BACKEND.run


def given(phase, devices=1, data=None):
    return arguments.Settings(
        *("deep_mnist", phase, "float32", 2, "cpu", devices, 1, 0, 0.0, None, 1, data, options())
    )


def test_every_operator_of_the_zoo_is_in_the_table():
    assert set(build.OPERATORS) | {"input"} == set(OPS)


@pytest.mark.parametrize("model", zoo.names())
def test_every_node_has_the_shape_drawn(model):
    BACKEND.prove("P1", model)


@pytest.mark.parametrize("model", ["deep_mnist", "alexnet", "googlenet", "resnet18"])
def test_logits_are_the_referees(model):
    BACKEND.prove("P2", model)


@pytest.mark.parametrize(
    "pairs", [("subgraph=off", "fold_batch_norm=off"), ("subgraph=off",), ("fold_batch_norm=on",)]
)
def test_options_do_not_change_the_computation(pairs):
    BACKEND.prove("P2", "resnet18", *pairs)


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


@pytest.mark.parametrize("model", ["deep_mnist", "resnet18"])
def test_a_training_step_is_the_referees(model):
    BACKEND.prove("P3", model)


def test_a_mistake_in_the_builder_is_found_and_named(monkeypatch):
    ceiling = build.OPERATORS["max_pool"]
    monkeypatch.setitem(build.OPERATORS, "max_pool", lambda n, p, x: ceiling(n, p, -x))
    verdict = BACKEND.compare("P2", "resnet18")
    assert not verdict.holds
    assert verdict.detail.startswith("max_pool1 (max_pool) is the first to differ")


def small_norm():
    g = Graph("small_norm", (4, 6, 6), 3, "image")
    x = g.batch_norm(g.conv(g.input, 16, 3, pad=1), 1e-5)
    return g.finish(g.dense(g.flatten(x), 3))


def test_running_variance_is_fed_the_biased_one():
    """The one place where MXNet's definition differs from the zoo's, on a CPU."""
    graph = small_norm()
    values = weights.for_graph(graph, 1)
    batch = weights.inputs(graph, 2, 1), weights.labels(graph, 2, 1)
    settings = BACKEND.settings(graph, "training")
    found = step.training_step(settings, graph, values, *batch).statistics
    name = "batch_norm1.variance"
    far = {}
    for biased in (True, False):
        expected = parity.train_forward(graph, values, *batch, biased)[1]
        far[biased] = parity.deviation(found[name], expected[name])
    assert far[True] < 1e-6
    assert far[False] > 1e-4


def gradients(symbol, arrays, dtype):
    shapes = {name: array.shape for name, array in arrays.items()}
    executor = symbol.simple_bind(mx.cpu(), type_dict=dict.fromkeys(shapes, dtype), **shapes)
    for name, array in arrays.items():
        executor.arg_dict[name][:] = mx.nd.array(array, dtype=dtype)
    result = executor.forward(is_train=True)[0]
    up = np.random.RandomState(5).standard_normal(result.shape)
    executor.backward([mx.nd.array(up, dtype=dtype)])
    return {name: array.asnumpy() for name, array in executor.grad_dict.items()}


def behind_convolutions(lrn):
    x = mx.sym.Convolution(mx.sym.Variable("x"), mx.sym.Variable("w"), **CONVOLUTION)
    g = Graph("lrn", (64, 14, 14), 64, "image")
    node = g.lrn(g.input, size=5, alpha=1e-4, beta=0.75, k=1.0)
    y = lrn(node, mx.sym.Activation(x, act_type="relu"))
    return mx.sym.Convolution(y, mx.sym.Variable("v"), **CONVOLUTION)


CONVOLUTION = {"num_filter": 64, "kernel": (3, 3), "pad": (1, 1), "no_bias": True}


def test_the_gradient_of_lrn_needs_the_way_around():
    """When the plain one is right too, `plain_lrn` can go."""
    random = np.random.RandomState(3)
    arrays = {
        "x": 100 * random.standard_normal((2, 64, 14, 14)),
        "w": random.standard_normal((64, 64, 3, 3)) / 24,
        "v": random.standard_normal((64, 64, 3, 3)) / 24,
    }
    graph = zoo.draw("deep_mnist")
    plans = {plain: build.Plan(graph, plain_lrn=plain) for plain in (True, False)}
    right = gradients(behind_convolutions(lambda n, x: composed.lrn(n, None, x)), arrays, "float64")
    far = {}
    for plain, plan in plans.items():
        symbol = behind_convolutions(lambda n, x, p=plan: build.OPERATORS["lrn"](n, p, x))
        found = gradients(symbol, arrays, "float32")
        far[plain] = max(parity.deviation(found[name], right[name]) for name in right)
    assert far[True] < 1e-5
    if device.facts().subgraph:
        assert far[False] > 1e-3


def speech():
    g = Graph("small_speech", (1, 40, 6), 11, "speech")
    x = g.relu(g.batch_norm(g.conv(g.input, 4, 3, pad=1, bias=False), 1e-5))
    return g.finish(g.per_step(g.rnn(g.sequence(x), 16, 3), 11))


@pytest.mark.parametrize("level", ["P1", "P2", "P3"])
def test_recurrent_layers_and_ctc(level):
    BACKEND.prove(level, speech())


def test_of_equal_values_in_a_window_the_first_decides():
    g = Graph("pool", (1, 4, 4), 4, "image")
    node = g.max_pool(g.input, 3, 2, pad=(0, 0, 1, 1))
    x = np.float32([[[[1, 1, 0, 5], [0, 1, 2, 2], [7, 0, 2, 2], [0, 0, 0, 3]]]])
    planes, columns = kinks.winners(node, x)
    assert planes.tolist() == [0, 0, 0, 0]
    assert columns.tolist() == [8, 3, 8, 15]


def test_devices_stay_alike_and_the_step_is_that_of_both_batches():
    graph = zoo.draw("deep_mnist")
    job = step.prepare(given("training", devices=2), graph)
    job.synchronize()
    job.mark(0)
    for index in range(1, 4):
        job.step()
        job.mark(index)
    job.synchronize()
    assert job.samples == 4
    assert len(job.intervals(3)) == 3
    assert all(seconds >= 0 for seconds in job.intervals(3))
    first, second = (executor.arg_dict for executor in job._executors)
    assert not np.array_equal(first["input"].asnumpy(), second["input"].asnumpy())
    for name, array in first.items():
        if name not in ("input", bound.LABELS):
            assert np.array_equal(array.asnumpy(), second[name].asnumpy()), name
    job.close()


def test_half_precision_weights_have_master_copies():
    arrays = {"w": mx.nd.ones((4,), dtype="float16"), "b": mx.nd.ones((4,))}
    slopes = {"w": mx.nd.ones((4,), dtype="float16"), "b": mx.nd.ones((4,))}
    for how in ("aggregated", "plain"):
        update = bound.Updater(how, 1e-4, 0.0, half=True)
        start, before = arrays["w"].asnumpy(), arrays["b"].asnumpy()
        for _ in range(20):  # each too small for float16 alone
            update(slopes, arrays)
        assert np.allclose(before - arrays["b"].asnumpy(), 20e-4, rtol=1e-3)
        kept = update.kept(arrays)
        assert np.allclose(start - kept["w"].asnumpy(), 20e-4, rtol=1e-3)
        assert kept["b"] is arrays["b"]
    assert np.allclose(arrays["w"].asnumpy(), 1 - 40e-4, atol=6e-4)


def test_half_precision_networks_bind():
    """A CPU has no half-precision layers, but the types must fit together."""
    graph = zoo.draw("alexnet")
    network = build.build(graph, dtype="float16")
    shape = (2, *graph.input_shape)
    executor = bound.bind(bound.loss_symbol(network, 128.0), network, mx.cpu(), shape, (2,))
    assert executor.arg_dict["conv1.weight"].dtype == np.float16
    assert executor.arg_dict[bound.LABELS].dtype == np.float32
    assert executor.outputs[0].dtype == np.float32


def test_real_data_reaches_the_logits(tmp_path):
    graph = zoo.draw("deep_mnist")
    x = np.random.default_rng(1).random((4, *graph.input_shape)).astype("float32")
    np.savez(tmp_path / "some.npz", x=x, y=np.zeros(4, "int64"))
    job = step.prepare(given("inference", data=str(tmp_path)), graph)
    seen = []
    for _ in range(2):
        job.step()
        seen.append(job._executors[0].outputs[0].asnumpy())
    job.close()
    settings = BACKEND.settings(graph, "inference")
    expected = step.forward(settings, graph, weights.for_graph(graph, 1), x)
    # The first batch was read to bind; the run starts with the second.
    assert parity.deviation(np.concatenate([seen[1], seen[0]]), expected) < 1e-5


def test_an_operator_we_lack_is_a_declared_gap(monkeypatch):
    monkeypatch.delitem(build.OPERATORS, "lrn")
    with pytest.raises(Unsupported, match="alexnet needs lrn, which this backend lacks"):
        build.build(zoo.draw("alexnet"))


@pytest.mark.parametrize("phase", ["training", "inference"])
def test_benchmarks_run_to_their_end(phase):
    done, events = run(phase=phase, threads=1)
    assert done.returncode == 0, done.stderr
    assert [events[0]["event"], events[-1]["event"]] == ["begin", "end"]
    assert events[0]["threads"] == 1
    assert events[-1]["samples"] == 20
    assert (events[-1]["loss"] is None) == (phase == "inference")


@pytest.mark.parametrize(
    ("changed", "kind", "message"),
    [
        ({"dtype": "bfloat16"}, "unsupported", "bfloat16 is not an MXNet benchmark"),
        ({"device": "gpu"}, "unsupported", "sees 0 GPUs"),
        ({"option": "subgrap=on"}, "unsupported", "did you mean subgraph"),
        ({"data": "/nonexistent"}, "data", "not a folder"),
        ({"model": "resnet5"}, "unsupported", "did you mean resnet50"),
    ],
)
def test_failures_are_told_apart(changed, kind, message):
    BACKEND.refuse(kind, message, **changed)
