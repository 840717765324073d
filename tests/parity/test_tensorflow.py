"""TensorFlow computes what was drawn, as a function and in a session."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from backends import zoo
from backends.harness import arguments, parity
from backends.harness.errors import Unsupported
from backends.zoo.graph import OPS

pytest.importorskip("tensorflow", reason="TensorFlow is not installed in this environment")

from backends.tensorflow import step  # noqa: I001 - sets variables TensorFlow reads
from backends.tensorflow import build, choices, device

pytestmark = pytest.mark.parity

ROOT = Path(__file__).parents[2]
BENCHMARK = [sys.executable, "-m", "backends.tensorflow", "--model", "deep_mnist", "--batch", "4"]
BENCHMARK += ["--device", "cpu", "--warmup", "1", "--warmup-seconds", "0"]


def options(*pairs):
    return arguments.choose(choices.OPTIONS, [pair.split("=") for pair in pairs])


def run(*extra):
    done = subprocess.run(
        [*BENCHMARK, *extra],
        cwd=ROOT,
        env={**os.environ, "PYTHONWARNINGS": "default"},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("::benchdock ")]
    return done, [json.loads(line.split(" ", 1)[1]) for line in lines]


def test_every_operator_of_the_zoo_is_in_the_table():
    assert set(build.OPERATORS) | {"input"} == set(OPS)


@pytest.mark.parametrize("model", zoo.names())
def test_every_node_has_the_shape_drawn(model):
    verdict = parity.check("P1", step, zoo.draw(model), options())
    assert verdict.holds, verdict.detail


@pytest.mark.parametrize("model", ["deep_mnist", "alexnet", "googlenet", "resnet18"])
def test_logits_are_the_referees(model):
    verdict = parity.check("P2", step, zoo.draw(model), options())
    assert verdict.holds, verdict.detail


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
    verdict = parity.check("P2", step, zoo.draw("resnet18"), options(*pairs))
    assert verdict.holds, verdict.detail


@pytest.mark.parametrize("execution", ["function", "session"])
@pytest.mark.parametrize("model", ["deep_mnist", "resnet18"])
def test_a_training_step_is_the_referees(model, execution):
    verdict = parity.check("P3", step, zoo.draw(model), options("execution=" + execution))
    assert verdict.holds, verdict.detail


def test_a_mistake_in_an_operator_is_found(monkeypatch):
    def doubled(node, drawing, x):
        return build._relu(node, drawing, x) * 2

    monkeypatch.setitem(build.OPERATORS, "relu", doubled)
    verdict = parity.check("P2", step, zoo.draw("deep_mnist"), options())
    assert not verdict.holds
    assert verdict.detail.startswith("relu1 (relu) is the first to differ")


def test_an_operator_we_lack_is_a_declared_gap(monkeypatch):
    monkeypatch.delitem(build.OPERATORS, "lrn")
    with pytest.raises(Unsupported, match="alexnet needs lrn"):
        build.Network(zoo.draw("alexnet"))
    build.Network(zoo.draw("vgg11"))


@pytest.mark.parametrize("execution", ["function", "session"])
@pytest.mark.parametrize("phase", ["training", "inference"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_benchmarks_run_to_their_end(phase, dtype, execution):
    done, events = run(
        *("--phase", phase, "--dtype", dtype, "--steps", "5", "--threads", "1"),
        *("--option", "execution=" + execution),
    )
    assert done.returncode == 0, done.stderr
    assert [events[0]["event"], events[-1]["event"]] == ["begin", "end"]
    assert events[0]["threads"] == 1
    assert events[0]["options"]["execution"] == execution
    assert events[-1]["samples"] == 20
    assert (events[-1]["loss"] is None) == (phase == "inference")


@pytest.mark.parametrize("execution", ["function", "session"])
def test_training_lowers_the_loss(execution):
    losses = []
    for steps in ("1", "30"):
        _, events = run(
            *("--phase", "training", "--dtype", "float32", "--steps", steps, "--threads", "1"),
            *("--option", "execution=" + execution),
        )
        losses.append(events[-1]["loss"])
    assert losses[1] < losses[0]


@pytest.mark.parametrize(
    ("extra", "kind", "message"),
    [
        (["--dtype", "float16"], "unsupported", "needs a GPU"),
        (["--dtype", "float32", "--devices", "2"], "unsupported", "a CPU counts as one"),
        (["--dtype", "float32", "--device", "gpu"], "unsupported", "GPU"),
        (["--dtype", "float32", "--data", "/nonexistent"], "data", "not a folder"),
        (["--dtype", "float32", "--batch", "99999999999"], "out_of_memory", ""),
    ],
)
def test_failures_are_told_apart(extra, kind, message):
    done, events = run("--phase", "inference", "--steps", "2", *extra)
    assert done.returncode == 1
    assert events[-1]["event"] == "error"
    assert events[-1]["kind"] == kind
    assert message in events[-1]["message"]


def test_a_gpu_is_known_by_its_description():
    text = "device: 0, name: Tesla V100-SXM2-16GB, pci bus id: 0:1e.0, compute capability: 7.0"
    assert device.parse_description(text) == ("Tesla V100-SXM2-16GB", (7, 0))
