"""The PyTorch backend's rules for options, which need no PyTorch."""

from __future__ import annotations

from collections import OrderedDict

import pytest

from backends.harness.arguments import choose, one_step
from backends.harness.errors import Unsupported
from backends.pytorch import option_defaults

NEW_CPU = option_defaults.Facts((2, 13), True, True, False, False, False, True)
OLD_CPU = option_defaults.Facts((1, 7), False, False, False, False, False, False)
NEW_GPU = option_defaults.Facts((2, 13), True, True, True, True, True, True)


def resolve(facts, kind="image", options=(), **changed):
    asked = choose(option_defaults.OPTIONS, [word.split("=") for word in options])
    settings = one_step("m", "training", 2, asked)
    return option_defaults.resolve(settings._replace(**changed), kind, facts)


def test_every_option_gets_a_value_it_declares():
    declared = OrderedDict((o.name, o.values) for o in option_defaults.OPTIONS)
    for facts in (NEW_CPU, OLD_CPU, NEW_GPU):
        device = "gpu" if facts is NEW_GPU else "cpu"
        for phase in ("training", "inference"):
            for kind in ("image", "vector", "speech"):
                used = resolve(facts, kind, phase=phase, device=device)
                assert list(used) == list(declared)
                for name, value in used.items():
                    assert value in (*declared[name], "off")


def test_nothing_but_numbers_on_old_versions():
    used = resolve(OLD_CPU, phase="inference")
    assert (used["freeze"], used["layout"], used["compile"]) == ("off", "contiguous", "off")
    assert used["optimize"] == "off"
    assert resolve(OLD_CPU)["optimizer"] == "plain"


def test_compilation_is_never_a_default():
    assert resolve(NEW_GPU, device="gpu")["compile"] == "off"
    assert resolve(NEW_GPU, options=["compile=default"], device="gpu")["compile"] == "default"


def test_freezing_gives_way_to_compilation():
    able = NEW_CPU._replace(compiler=True)
    used = resolve(able, options=["compile=default"], phase="inference")
    assert (used["freeze"], used["optimize"], used["compile"]) == ("off", "off", "default")


def test_what_is_frozen_is_optimized_on_a_cpu():
    assert resolve(NEW_CPU, phase="inference")["optimize"] == "fusion"
    older = NEW_CPU._replace(version=(1, 13))
    assert resolve(older, phase="inference")["optimize"] == "off"
    asked = resolve(older, phase="inference", options=["optimize=layouts"])
    assert asked["optimize"] == "layouts"
    with pytest.raises(Unsupported, match=r"needs PyTorch 2\.0 or newer; use layouts or off"):
        resolve(older, phase="inference", options=["optimize=fusion"])
    assert resolve(NEW_CPU, phase="inference", options=["optimize=off"])["freeze"] == "on"
    assert resolve(NEW_CPU, phase="inference", options=["freeze=off"])["optimize"] == "off"
    assert resolve(NEW_CPU, "speech", phase="inference")["optimize"] == "off"
    on_gpu = resolve(NEW_GPU, phase="inference", device="gpu", options=["freeze=on"])
    assert on_gpu["optimize"] == "off"
    with pytest.raises(Unsupported, match="optimize=layouts needs freeze=on"):
        resolve(NEW_CPU, phase="inference", options=["freeze=off", "optimize=layouts"])


@pytest.mark.parametrize(
    ("dtype", "layout"), [("float32", "contiguous"), ("tf32", "channels_last")]
)
def test_layout_on_a_gpu_follows_the_tensor_cores(dtype, layout):
    assert resolve(NEW_GPU, device="gpu", dtype=dtype)["layout"] == layout


def test_graphs_are_replayed_if_they_can_be():
    assert resolve(NEW_GPU, device="gpu")["cuda_graphs"] == "on"
    assert resolve(NEW_GPU, device="gpu", devices=2)["cuda_graphs"] == "off"
    assert resolve(NEW_GPU, device="gpu", devices=2, phase="inference")["cuda_graphs"] == "on"
    assert resolve(NEW_GPU, "speech", device="gpu")["cuda_graphs"] == "off"
    older = NEW_GPU._replace(version=(2, 1))
    assert resolve(older, device="gpu", phase="inference")["cuda_graphs"] == "on"
    assert resolve(older, device="gpu", devices=2, phase="inference")["cuda_graphs"] == "off"


@pytest.mark.parametrize(
    ("facts", "options", "graphs"),
    [
        (NEW_GPU, [], "on"),
        (NEW_GPU, ["optimizer=plain"], "off"),
        (NEW_GPU, ["optimizer=foreach"], "off"),
        (NEW_GPU._replace(fused_sgd=False), [], "off"),
    ],
)
def test_a_scaled_loss_is_captured_only_with_a_fused_update(facts, options, graphs):
    """The others ask the host whether the gradients are finite."""
    on_gpu = {"device": "gpu", "options": options}
    assert resolve(facts, dtype="float16", **on_gpu)["cuda_graphs"] == graphs
    assert resolve(facts, dtype="bfloat16", **on_gpu)["cuda_graphs"] == "on"
    assert resolve(facts, dtype="float16", phase="inference", device="gpu")["cuda_graphs"] == "on"


@pytest.mark.parametrize(
    ("option", "changed", "message"),
    [
        ("cuda_graphs=on", {}, "only for GPUs"),
        ("cuda_graphs=on", {"device": "gpu", "devices": 2}, "exchange gradients"),
        ("freeze=on", {}, "only for inference"),
        ("optimize=fusion", {}, "only for inference"),
        (
            "optimize=fusion",
            {"phase": "inference", "dtype": "bfloat16"},
            "only for float32 on a CPU",
        ),
        ("optimizer=fused", {"phase": "inference"}, "only for training"),
        ("compile=default", {}, "no C++ compiler"),
    ],
)
def test_contradictions_are_refused_before_anything_runs(option, changed, message):
    facts = NEW_GPU if changed.get("device") == "gpu" else NEW_CPU
    with pytest.raises(Unsupported, match=message.replace("+", r"\+")):
        resolve(facts, options=[option], **changed)


@pytest.mark.parametrize(
    ("facts", "options", "message"),
    [
        (OLD_CPU, ["optimizer=fused"], "no fused SGD"),
        (OLD_CPU, ["optimizer=foreach"], "no foreach SGD"),
        (OLD_CPU, ["freeze=on"], "only for inference"),
        (OLD_CPU, ["optimize=layouts"], "only for inference"),
        (OLD_CPU, ["compile=default"], r"PyTorch 1\.7 does not have it"),
    ],
)
def test_what_a_version_lacks(facts, options, message):
    with pytest.raises(Unsupported, match=message):
        resolve(facts, options=options)


@pytest.mark.parametrize(
    ("device", "dtype", "phase", "lacking", "least"),
    [
        ("gpu", "tf32", "inference", (1, 6), (1, 7)),
        ("gpu", "float16", "training", (1, 5), (1, 6)),
        ("gpu", "bfloat16", "training", (1, 9), (1, 10)),
        ("gpu", "bfloat16", "inference", (1, 6), (1, 7)),
        ("cpu", "bfloat16", "inference", (1, 12), (1, 13)),
    ],
)
def test_a_lacking_precision_names_the_least_release(device, dtype, phase, lacking, least):
    facts = NEW_GPU if device == "gpu" else NEW_CPU
    asked = {"device": device, "dtype": dtype, "phase": phase}
    with pytest.raises(Unsupported, match=rf"use PyTorch {least[0]}\.{least[1]} or newer"):
        resolve(facts._replace(version=lacking), **asked)
    assert resolve(facts._replace(version=least), **asked)


def test_half_precision_inference_needs_no_mixed_precision():
    oldest = NEW_GPU._replace(version=(1, 0))
    used = resolve(oldest, device="gpu", dtype="float16", phase="inference")
    assert used["layout"] == "contiguous"


def test_channels_last_came_with_a_release():
    oldest, newer = (OLD_CPU._replace(version=version) for version in ((1, 4), (1, 5)))
    with pytest.raises(Unsupported, match=r"PyTorch 1\.4 has no channels last: use PyTorch 1\.5"):
        resolve(oldest, options=["layout=channels_last"])
    assert resolve(newer, options=["layout=channels_last"])["layout"] == "channels_last"


def test_freeze_and_compile_exclude_each_other():
    able = NEW_CPU._replace(compiler=True)
    with pytest.raises(Unsupported, match="exclude each other"):
        resolve(able, options=["freeze=on", "compile=default"], phase="inference")


@pytest.mark.parametrize("dtype", ["tf32", "float16", "int8"])
def test_precisions_a_cpu_lacks(dtype):
    with pytest.raises(Unsupported, match=dtype):
        resolve(NEW_CPU, dtype=dtype)
