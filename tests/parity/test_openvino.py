"""OpenVINO computes the zoo's networks, with all options."""

import numpy as np
import pytest

from backends import zoo
from backends.harness import arguments, parity
from backends.harness.errors import Unsupported
from backends.harness.findings import deviation
from backends.zoo import referee, weights

pytest.importorskip("openvino", reason="OpenVINO is not installed in this environment")

from backends.onnx import build
from backends.openvino import step
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


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_is_the_referees_but_for_its_rounding(dtype):
    if dtype not in step.dtypes():
        with pytest.raises(Unsupported, match=f"has no {dtype} on this CPU"):
            BACKEND.compare("P2", "deep_mnist", dtype=dtype)
        return
    for model in ("deep_mnist", "alexnet", "resnet18"):
        BACKEND.prove("P2", model, dtype=dtype)


def test_a_mistake_in_the_builder_is_found_and_named(monkeypatch):
    def ceiling(model, node, x):
        build._max_pool(model, node, model.add("Neg", [x], node.name + "_wrong"))

    monkeypatch.setitem(build.OPERATORS, "max_pool", ceiling)
    verdict = BACKEND.compare("P2", "resnet18")
    assert not verdict.holds
    assert verdict.detail.startswith("max_pool1 (max_pool) is the first to differ")


@pytest.mark.parametrize("hint", ["latency", "throughput"])
def test_benchmarks_run_to_their_end(hint):
    done, events = run(option=f"hint={hint}", threads=1)
    assert done.returncode == 0, done.stderr
    assert [events[0]["event"], events[-1]["event"]] == ["begin", "end"]
    assert events[0]["threads"] == 1
    assert events[0]["options"]["hint"] == hint
    assert events[-1]["samples"] == 20
    blocks = [event for event in events if event["event"] == "steps"]
    assert sum(len(block["seconds"]) for block in blocks) == 5
    assert all(second > 0 for block in blocks for second in block["seconds"])
    assert sum(sum(b["seconds"]) for b in blocks) <= events[-1]["seconds"]
    assert events[-1]["loss"] is None


@pytest.mark.parametrize("hint", ["latency", "throughput"])
def test_real_data_reaches_the_logits(hint, tmp_path):
    graph = zoo.draw("deep_mnist")
    x = np.random.default_rng(1).random((4, *graph.input_shape)).astype("float32")
    np.savez(tmp_path / "some.npz", x=x, y=np.zeros(4, "int64"))
    chosen = options(f"hint={hint}")
    settings = arguments.one_step(
        "deep_mnist", "inference", 2, chosen, threads=1, seed=1, data=str(tmp_path)
    )
    values = weights.for_graph(graph, 1)
    job = step.prepare(settings, graph, values)
    expected = referee.forward(graph, values, x)
    # The first batch was read to make the input array; the run starts with the second.
    for logits in (expected[2:], expected[:2]):
        job.step()
        job.synchronize()
        assert deviation(job.logits(), logits) <= parity.TOLERANCES["float32"].logits
    job.close()


@pytest.mark.parametrize(
    ("changed", "kind", "message"),
    [
        ({"phase": "training"}, "unsupported", "only supports inference"),
        ({"dtype": "int8"}, "unsupported", "has no int8"),
        ({"device": "gpu"}, "unsupported", "on the CPU"),
        ({"devices": "2"}, "unsupported", "as one device"),
        ({"option": "hnt=latency"}, "unsupported", "did you mean hint"),
        ({"data": "/nonexistent"}, "data", "not a folder"),
        ({"batch": "99999999999"}, "out_of_memory", ""),
        ({"model": "resnet5"}, "unsupported", "did you mean resnet50"),
    ],
)
def test_failures_are_distinguished(changed, kind, message):
    BACKEND.refuse(kind, message, **changed)
