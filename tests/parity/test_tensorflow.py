"""Special to TensorFlow: XLA, and training in float16."""

from __future__ import annotations

import numpy as np
import pytest

from backends import zoo
from backends.zoo import weights

pytest.importorskip("tensorflow", reason="TensorFlow is not installed in this environment")

from backends.tensorflow import step  # noqa: I001 - sets variables TensorFlow reads
from backends.tensorflow import option_defaults, device, training
from tests.parity.running import Backend

pytestmark = pytest.mark.parity

BACKEND = Backend(step, phase="training")


def test_steps_compiled_by_xla_are_the_referees():
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


def values_of(seed):
    return weights.for_graph(GRAPH, seed)


def test_so_are_steps_in_float16_with_its_scaled_loss(monkeypatch):
    """A benchmark needs a GPU for it; a CPU computes the same, slowly."""
    monkeypatch.setattr(option_defaults, "check_dtype", lambda settings: None)
    BACKEND.prove("P3", "deep_mnist", dtype="float16")


def test_a_step_that_overflows_halves_the_scale_and_updates_nothing(monkeypatch, prepare):
    monkeypatch.setattr(option_defaults, "check_dtype", lambda settings: None)
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
    monkeypatch.setattr(option_defaults, "check_dtype", lambda settings: None)
    verdict = BACKEND.compare("P2", "deep_mnist", dtype="float16")
    assert not verdict.holds
    assert "(dense) is the first to differ" in verdict.detail


def test_a_gpu_is_known_by_its_description():
    text = "device: 0, name: Tesla V100-SXM2-16GB, pci bus id: 0:1e.0, compute capability: 7.0"
    assert device.parse_description(text) == ("Tesla V100-SXM2-16GB", (7, 0))
