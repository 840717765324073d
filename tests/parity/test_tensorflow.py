"""TensorFlow computes the zoo's networks, as a function and in a session.

Tests marked `every_release` run with TensorFlow 1 on Python 3.7 too, which has sessions only.
"""

from __future__ import annotations

import numpy as np
import pytest

from backends import zoo
from backends.harness.errors import Unsupported
from backends.zoo import weights
from backends.zoo.graph import OPS

pytest.importorskip("tensorflow", reason="TensorFlow is not installed in this environment")

from backends.tensorflow import step  # noqa: I001 - sets variables TensorFlow reads
from backends.tensorflow import build, choices, device, training
from tests.parity.running import Backend

pytestmark = pytest.mark.parity
every_release = pytest.mark.every_release

EXECUTIONS = ["function", "session"] if device.version() >= (2, 0) else ["session"]

BACKEND = Backend(step, phase="training")
options, run = BACKEND.options, BACKEND.run


@every_release
def test_every_operator_of_the_zoo_is_in_the_table():
    assert set(build.OPERATORS) | {"input"} == set(OPS)


@pytest.mark.parametrize("model", zoo.names())
def test_every_node_has_the_shape_drawn(model):
    BACKEND.prove("P1", model)


@every_release
@pytest.mark.parametrize("model", ["deep_mnist", "alexnet", "googlenet", "resnet18"])
def test_logits_are_the_referees(model):
    BACKEND.prove("P2", model)


@pytest.mark.parametrize(
    "pairs",
    [
        ("freeze=off",),
        ("fold_batch_norm=off",),
        ("freeze=off", "fold_batch_norm=off"),
        ("execution=session",),
        ("execution=session", "freeze=off", "fold_batch_norm=off"),
        ("xla=on",),
    ],
)
def test_options_do_not_change_the_computation(pairs):
    BACKEND.prove("P2", "resnet18", *pairs)


@every_release
@pytest.mark.parametrize("execution", EXECUTIONS)
@pytest.mark.parametrize("model", ["deep_mnist", "resnet18"])
def test_training_steps_are_the_referees(model, execution):
    BACKEND.prove("P3", model, "execution=" + execution)


def test_so_are_they_compiled_by_xla():
    BACKEND.prove("P3", "deep_mnist", "xla=on")


@pytest.fixture
def prepare():
    """Prepare jobs of deep_mnist; close them in the end."""
    jobs = []

    def prepared(phase, values, *pairs, dtype="float32"):
        settings = BACKEND.settings(GRAPH, phase, *pairs, dtype=dtype)
        jobs.append(step.prepare(settings, GRAPH, values))
        return jobs[-1]

    yield prepared
    for job in jobs:
        job.close()


GRAPH = zoo.draw("deep_mnist")
INPUTS, LABELS = weights.inputs(GRAPH, 2, 5), weights.labels(GRAPH, 2, 5)


def values_of(seed):
    return weights.for_graph(GRAPH, seed)


@every_release
@pytest.mark.parametrize("execution", EXECUTIONS)
@pytest.mark.parametrize("freeze", ["on", "off"])
def test_a_batch_that_is_fed_reaches_the_next_step(prepare, execution, freeze):
    job = prepare("inference", values_of(3), "execution=" + execution, "freeze=" + freeze)
    job.step()
    synthetic = job.logits()
    job.feed(INPUTS, LABELS)
    job.step()
    fed = job.logits()
    assert not np.allclose(fed, synthetic)
    job.feed(np.ascontiguousarray(INPUTS[::-1]), LABELS)
    job.step()
    np.testing.assert_allclose(job.logits(), fed[::-1], rtol=1e-5)


@every_release
@pytest.mark.parametrize("execution", EXECUTIONS)
def test_state_is_a_copy_in_canonical_layouts(prepare, execution):
    job = prepare("training", values_of(3), "execution=" + execution)
    before = job.state()
    kept = [{name: array.copy() for name, array in part.items()} for part in before]
    for name, array in values_of(3).items():
        np.testing.assert_array_equal(before.weights[name], array)
    assert not any(velocity.any() for velocity in before.velocities.values())
    job.step()
    after = job.state()
    for part, copy in zip(before, kept):  # noqa: B905 - Python 3.7 has no `strict`
        for name, array in part.items():
            np.testing.assert_array_equal(array, copy[name])
    assert all(velocity.any() for velocity in after.velocities.values())


@every_release
@pytest.mark.parametrize("execution", EXECUTIONS)
def test_training_leaves_the_values_it_was_given(prepare, execution):
    values = values_of(3)
    job = prepare("training", values, "execution=" + execution)
    job.step()
    job.step()
    for name, array in values_of(3).items():
        np.testing.assert_array_equal(values[name], array)


# P3 of AlexNet does not hold in bfloat16: eight bits are too few for the offsets of its weights.
@pytest.mark.parametrize(
    ("level", "model", "execution"),
    [
        ("P2", "deep_mnist", "session"),
        ("P3", "deep_mnist", "session"),
        ("P2", "alexnet", "function"),
        ("P2", "resnet18", "function"),
        ("P3", "resnet18", "function"),
    ],
)
def test_bfloat16_is_the_referees_but_for_its_rounding(level, model, execution):
    BACKEND.prove(level, model, "execution=" + execution, dtype="bfloat16")


def test_so_are_steps_in_float16_with_its_scaled_loss(monkeypatch):
    """A benchmark needs a GPU for it; a CPU computes the same, slowly."""
    monkeypatch.setattr(choices, "check_dtype", lambda settings: None)
    BACKEND.prove("P3", "deep_mnist", dtype="float16")


def test_a_step_that_overflows_halves_the_scale_and_updates_nothing(monkeypatch, prepare):
    monkeypatch.setattr(choices, "check_dtype", lambda settings: None)
    monkeypatch.setattr(training, "FIRST_SCALE", 2.0**40)
    job = prepare("training", values_of(3), dtype="float16")
    before = job.state()
    job.step()
    after = job.state()
    assert not any(velocity.any() for velocity in after.velocities.values())
    for name, weight in after.weights.items():
        np.testing.assert_array_equal(weight, before.weights[name])


def test_sums_in_float16_do_not_hold(monkeypatch):
    """TensorFlow's float16 products on a CPU have them, which no GPU's library has."""
    monkeypatch.setattr(choices, "check_dtype", lambda settings: None)
    verdict = BACKEND.compare("P2", "deep_mnist", dtype="float16")
    assert not verdict.holds
    assert "(dense) is the first to differ" in verdict.detail


@every_release
def test_a_mistake_in_an_operator_is_found(monkeypatch):
    def doubled(node, drawing, x):
        return build._relu(node, drawing, x) * 2

    monkeypatch.setitem(build.OPERATORS, "relu", doubled)
    verdict = BACKEND.compare("P2", "deep_mnist")
    assert not verdict.holds
    assert verdict.detail.startswith("relu1 (relu) is the first to differ")


@every_release
def test_an_operator_we_lack_is_a_declared_gap(monkeypatch):
    monkeypatch.delitem(build.OPERATORS, "lrn")
    with pytest.raises(Unsupported, match="alexnet needs lrn"):
        build.Network(zoo.draw("alexnet"))
    build.Network(zoo.draw("vgg11"))


@pytest.mark.parametrize("execution", EXECUTIONS)
@pytest.mark.parametrize("phase", ["training", "inference"])
@pytest.mark.parametrize("dtype", [pytest.param("float32", marks=every_release), "bfloat16"])
def test_benchmarks_run_to_their_end(phase, dtype, execution):
    done, events = run(phase=phase, dtype=dtype, threads=1, option=f"execution={execution}")
    assert done.returncode == 0, done.stderr
    assert [events[0]["event"], events[-1]["event"]] == ["begin", "end"]
    assert events[0]["threads"] == 1
    assert events[0]["options"]["execution"] == execution
    assert events[-1]["samples"] == 20
    assert (events[-1]["loss"] is None) == (phase == "inference")


@every_release
@pytest.mark.parametrize("execution", EXECUTIONS)
def test_training_lowers_the_loss(execution):
    losses = []
    for steps in (1, 30):
        _, events = run(steps=steps, threads=1, option=f"execution={execution}")
        losses.append(events[-1]["loss"])
    assert losses[1] < losses[0]


@every_release
@pytest.mark.parametrize(
    ("changed", "kind", "message"),
    [
        ({"dtype": "float16"}, "unsupported", "needs a GPU"),
        ({"devices": "2"}, "unsupported", "a CPU counts as one"),
        ({"device": "gpu"}, "unsupported", "GPU"),
        ({"data": "/nonexistent"}, "data", "not a folder"),
        ({"batch": "99999999999"}, "out_of_memory", ""),
    ],
)
def test_failures_are_distinguished(changed, kind, message):
    BACKEND.refuse(kind, message, phase="inference", **changed)


@every_release
def test_a_gpu_is_known_by_its_description():
    text = "device: 0, name: Tesla V100-SXM2-16GB, pci bus id: 0:1e.0, compute capability: 7.0"
    assert device.parse_description(text) == ("Tesla V100-SXM2-16GB", (7, 0))
