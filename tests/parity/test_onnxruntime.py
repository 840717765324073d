"""ONNX Runtime computes the zoo's networks, with all options."""

import numpy as np
import pytest

from backends import zoo
from backends.harness import arguments
from backends.harness.findings import deviation
from backends.zoo import referee, weights

pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed in this environment")

from backends.onnx import build
from backends.onnxruntime import step
from tests.parity.running import Backend

pytestmark = pytest.mark.parity

BACKEND = Backend(step, phase="inference")
options, run = BACKEND.options, BACKEND.run


@pytest.mark.parametrize("model", zoo.names())
def test_every_node_has_the_shape_drawn(model):
    BACKEND.prove("P1", model)


@pytest.mark.parametrize("model", ["deep_mnist", "alexnet", "googlenet", "resnet18"])
def test_logits_are_the_referees(model):
    BACKEND.prove("P2", model)


@pytest.mark.parametrize(
    "pairs",
    [
        ("graph_optimization=off",),
        ("graph_optimization=basic", "io_binding=off"),
        ("graph_optimization=extended", "execution_mode=parallel", "spinning=off"),
    ],
)
def test_options_do_not_change_the_computation(pairs):
    BACKEND.prove("P2", "resnet18", *pairs)


def test_a_mistake_in_the_builder_is_found_and_named(monkeypatch):
    def ceiling(model, node, x):
        build._max_pool(model, node, model.add("Neg", [x], node.name + "_wrong"))

    monkeypatch.setitem(build.OPERATORS, "max_pool", ceiling)
    verdict = BACKEND.compare("P2", "resnet18")
    assert not verdict.holds
    assert verdict.detail.startswith("max_pool1 (max_pool) is the first to differ")


@pytest.mark.parametrize("binding", ["on", "off"])
def test_benchmarks_run_to_their_end(binding):
    done, events = run(option=f"io_binding={binding}", threads=1)
    assert done.returncode == 0, done.stderr
    assert [events[0]["event"], events[-1]["event"]] == ["begin", "end"]
    assert events[0]["threads"] == 1
    assert events[0]["options"]["io_binding"] == binding
    assert events[-1]["samples"] == 20
    assert events[-1]["loss"] is None


@pytest.mark.parametrize("binding", ["on", "off"])
def test_real_data_reaches_the_logits(binding, tmp_path):
    graph = zoo.draw("deep_mnist")
    x = np.random.default_rng(1).random((4, *graph.input_shape)).astype("float32")
    np.savez(tmp_path / "some.npz", x=x, y=np.zeros(4, "int64"))
    chosen = options(f"io_binding={binding}")
    settings = arguments.one_step(
        "deep_mnist", "inference", 2, chosen, threads=1, seed=1, data=str(tmp_path)
    )
    values = weights.for_graph(graph, 1)
    job = step.prepare(settings, graph, values)
    seen = []
    for _ in range(2):
        job.step()
        seen.append(job.logits())
    job.close()
    expected = referee.forward(graph, values, x)
    # The first batch was read to make the input array; the run starts with the second.
    assert deviation(np.concatenate([seen[1], seen[0]]), expected) < 1e-6


@pytest.mark.parametrize(
    ("changed", "kind", "message"),
    [
        ({"phase": "training"}, "unsupported", "only supports inference"),
        ({"dtype": "bfloat16"}, "unsupported", "has no bfloat16"),
        ({"device": "gpu"}, "unsupported", "on the CPU"),
        ({"devices": "2"}, "unsupported", "as one device"),
        ({"option": "io_bindin=on"}, "unsupported", "did you mean io_binding"),
        ({"data": "/nonexistent"}, "data", "not a folder"),
        ({"batch": "99999999999"}, "out_of_memory", ""),
        ({"model": "resnet5"}, "unsupported", "did you mean resnet50"),
    ],
)
def test_failures_are_distinguished(changed, kind, message):
    BACKEND.refuse(kind, message, **changed)
