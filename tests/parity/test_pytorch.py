"""PyTorch computes the zoo's networks, with all options."""

from __future__ import annotations

import re
import sys

import pytest

from backends import zoo
from backends.harness.errors import Unsupported
from backends.zoo import weights

torch = pytest.importorskip("torch", reason="PyTorch is not installed in this environment")

from backends.pytorch import build, choices, releases, step  # noqa: E402 - only with PyTorch
from tests.parity.running import Backend, start  # noqa: E402

pytestmark = pytest.mark.parity

BACKEND = Backend(step, phase="training")
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
        ("freeze=off",),
        ("freeze=off", "fold_batch_norm=off"),
        ("freeze=on", "fold_batch_norm=off"),
        ("freeze=off", "layout=contiguous"),
    ],
)
def test_options_do_not_change_the_computation(pairs):
    BACKEND.prove("P2", "resnet18", *pairs)


@pytest.mark.parametrize("model", ["deep_mnist", "alexnet_owt", "resnet18"])
def test_the_training_job_is_the_referees(model):
    BACKEND.prove("P3", model)


@pytest.mark.parametrize("optimizer", ["fused", "foreach", "plain"])
def test_every_optimizer_makes_the_same_update(optimizer):
    BACKEND.prove("P3", "deep_mnist", "optimizer=" + optimizer)


@pytest.mark.parametrize(
    ("level", "model"),
    [(level, model) for level in ("P2", "P3") for model in ("deep_mnist", "resnet18")]
    + [("P2", "alexnet")],
)
def test_bfloat16_is_the_referees_but_for_its_rounding(level, model):
    BACKEND.prove(level, model, dtype="bfloat16")


@pytest.mark.parametrize("model", ["deep_mnist", "resnet18"])
@pytest.mark.parametrize("level", ["P2", "P3"])
def test_so_is_float16_with_its_scaled_loss(monkeypatch, level, model):
    """A benchmark needs a GPU for it; a CPU computes the same, slowly."""
    monkeypatch.setattr(choices, "check_dtype", lambda settings: None)
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


def test_a_mistake_in_a_builder_is_found(monkeypatch):
    def swapped(node, plan):
        module, text = build._batch_norm(node, plan)
        module.eps = 2e-3
        return module, text

    monkeypatch.setitem(build.OPERATORS, "batch_norm", swapped)
    verdict = BACKEND.compare("P2", "resnet18", "freeze=off", "fold_batch_norm=off")
    assert not verdict.holds
    assert verdict.detail.startswith("batch_norm1 (batch_norm) is the first to differ")


def test_an_operator_we_lack_is_a_declared_gap(monkeypatch):
    monkeypatch.delitem(build.OPERATORS, "lrn")
    with pytest.raises(Unsupported, match="alexnet needs lrn"):
        build.build(zoo.draw("alexnet"))
    build.build(zoo.draw("vgg11"))


def test_values_are_dropped_after_their_last_use():
    network = build.build(zoo.draw("resnet18"))
    forward = network.source.split("def walk")[0]
    ends = re.findall(r"; (.*) = None", forward)
    dropped = [name for end in ends for name in end.split(" = ")]
    kept = {"v_" + node.name for node in network.graph.nodes} - set(dropped)
    assert kept == {"v_" + network.graph.output.name}
    assert len(dropped) == len(set(dropped))


@pytest.mark.parametrize("phase", ["training", "inference"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_benchmarks_run_to_their_end(phase, dtype):
    done, events = run(phase=phase, dtype=dtype, threads=1)
    assert done.returncode == 0, done.stderr
    assert [events[0]["event"], events[-1]["event"]] == ["begin", "end"]
    assert events[0]["threads"] == 1
    assert events[-1]["samples"] == 20
    blocks = [event for event in events if event["event"] == "steps"]
    assert sum(len(block["seconds"]) for block in blocks) == 5
    assert events[-1]["seconds"] == pytest.approx(sum(b["block_seconds"] for b in blocks))
    assert (events[-1]["loss"] is None) == (phase == "inference")


def test_training_lowers_the_loss():
    losses = []
    for steps in (1, 30):
        _, events = run(steps=steps, threads=1)
        losses.append(events[-1]["loss"])
    assert losses[1] < losses[0]


@pytest.mark.parametrize(
    ("changed", "kind", "message"),
    [
        ({"dtype": "float16"}, "unsupported", "needs a GPU"),
        ({"devices": "2"}, "unsupported", "torchrun"),
        ({"data": "/nonexistent"}, "data", "not a folder"),
        ({"batch": "99999999999"}, "out_of_memory", ""),
    ],
)
def test_failures_are_distinguished(changed, kind, message):
    BACKEND.refuse(kind, message, phase="inference", **changed)


def test_several_processes_report_once():
    """Two CPU processes as torchrun starts them; samples count over both."""
    import torch.distributed.run  # noqa: F401 - absent from old versions

    # As the launcher does: a container without network cannot look up its own name.
    command = [sys.executable, "-m", "torch.distributed.run", "--nnodes=1", "--nproc-per-node=2"]
    command += ["--rdzv-backend=c10d", "--rdzv-endpoint=127.0.0.1:0", "--local-addr=127.0.0.1"]
    command += BACKEND.words(steps=4, devices=2, threads=1)
    done, events = start(command)
    assert done.returncode == 0, done.stderr
    assert "FutureWarning" not in done.stderr
    assert [event["event"] for event in events].count("begin") == 1
    assert events[0]["devices"] == 2
    assert len(events[0]["device_names"]) == 2
    assert events[-1]["samples"] == 4 * 4 * 2
