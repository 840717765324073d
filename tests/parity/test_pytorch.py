"""Special to PyTorch: its optimizers, float16, memory, several processes."""

from __future__ import annotations

import re

import pytest

from backends import zoo
from backends.zoo import weights

torch = pytest.importorskip("torch", reason="PyTorch is not installed in this environment")

from backends.pytorch import build, option_defaults, releases, step  # noqa: E402 - only with PyTorch
from tests.parity.running import Backend, several, start  # noqa: E402

pytestmark = pytest.mark.parity

BACKEND = Backend(step, phase="training")


@pytest.mark.parametrize("optimizer", ["fused", "foreach", "plain"])
def test_every_optimizer_makes_the_same_update(optimizer):
    BACKEND.prove("P3", "deep_mnist", "optimizer=" + optimizer)


@pytest.mark.parametrize("model", ["deep_mnist", "resnet18"])
@pytest.mark.parametrize("level", ["P2", "P3"])
def test_float16_with_its_scaled_loss_is_the_referees(monkeypatch, level, model):
    """A benchmark needs a GPU for it; a CPU computes the same, slowly."""
    monkeypatch.setattr(option_defaults, "check_dtype", lambda settings: None)
    BACKEND.prove(level, model, dtype="float16")


def test_a_first_step_that_overflows_leaves_no_momentum():
    """The fused update would otherwise go on from whatever the memory held."""
    network = build.build(zoo.draw("deep_mnist"))
    network.load(weights.for_graph(network.graph, 1))
    optimizer = step.make_optimizer(network, "fused", 1e-4)
    scaler = releases.loss_scaler(torch.device("cpu"))
    logits = network(torch.ones(2, *network.graph.input_shape))
    scaler.scale(logits.sum() * float("inf")).backward()
    scaler.step(optimizer)
    scaler.update()
    for parameter in network.parameters():
        assert not optimizer.state[parameter]["momentum_buffer"].any()


def test_values_are_dropped_after_their_last_use():
    network = build.build(zoo.draw("resnet18"))
    forward = network.source.split("def walk")[0]
    ends = re.findall(r"; (.*) = None", forward)
    dropped = [name for end in ends for name in end.split(" = ")]
    kept = {"v_" + node.name for node in network.graph.nodes} - set(dropped)
    assert kept == {"v_" + network.graph.output.name}
    assert len(dropped) == len(set(dropped))


def test_several_processes_report_once():
    """Two CPU processes as the launcher starts them; samples count over both."""
    done, events = start(several(BACKEND.words(steps=4, devices=2, threads=1)))
    assert done.returncode == 0, done.stderr
    assert "FutureWarning" not in done.stderr
    assert [event["event"] for event in events].count("begin") == 1
    assert events[0]["devices"] == 2
    assert len(events[0]["device_names"]) == 2
    for block in (event for event in events if event["event"] == "steps"):
        begun = min(rank["began"] for rank in block["ranks"])
        ended = max(rank["ended"] for rank in block["ranks"])
        assert block["block_seconds"] == pytest.approx(ended - begun)
        # Without the exchange and the update.
        assert all(0 < rank["own"] < block["block_seconds"] for rank in block["ranks"])
    assert events[-1]["samples"] == 4 * 4 * 2
