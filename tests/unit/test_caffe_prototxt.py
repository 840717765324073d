"""Prototxt generated from the zoo: geometry, dialects, what overwrites what."""

import re
import subprocess
import sys

import pytest

from backends import zoo
from backends.caffe import prototxt
from backends.caffe.dialects import BVLC, DIALECTS, INTEL, NVIDIA
from backends.caffe.inputs import Source
from backends.caffe.layers import GAPS, OPERATORS
from backends.caffe.text import render
from backends.harness.errors import Unsupported
from backends.zoo import OPS, Graph
from orchestrator.frameworks import catalogue

DRAWABLE = [name for name in zoo.names() if name != "deep_speech2"]


def layers(text):
    """Name -> text of each layer, in order."""
    found = re.findall(r"^layer \{\n(.*?)^\}", text, re.MULTILINE | re.DOTALL)
    return {re.search(r'name: "(.*?)"', layer)[1]: layer for layer in found}


def one(draw, shape=(3, 8, 8), **choices):
    """The layers of a small network; `draw` draws on (graph, input)."""
    graph = Graph("tiny", shape, 4)
    x = draw(graph, graph.input)
    graph.finish(graph.dense(graph.flatten(x), 4))
    training = choices.pop("training", False)
    return layers(
        prototxt.network(graph, choices.pop("dialect", BVLC), 2, training, **choices).text
    )


def test_every_operator_is_in_the_table_or_a_gap():
    assert set(OPERATORS) | set(GAPS) == set(OPS)
    assert not set(OPERATORS) & set(GAPS)


@pytest.mark.parametrize("fork", DIALECTS)
def test_the_catalogue_declares_the_same_gaps(fork):
    gaps = [name for name in zoo.names() if any(node.op in GAPS for node in zoo.draw(name).nodes)]
    assert sorted(catalogue.framework(fork).gaps) == gaps == ["deep_speech2"]
    with pytest.raises(Unsupported, match=r"does not support deep_speech2: Caffe has no CTC loss"):
        prototxt.network(zoo.draw("deep_speech2"), DIALECTS[fork], 1, False)


@pytest.mark.slow
@pytest.mark.parametrize("model", DRAWABLE)
def test_every_model_is_written_and_every_array_has_one_place(model):
    graph = zoo.draw(model)
    for training in (False, True):
        made = prototxt.network(graph, BVLC, 2, training)
        assert made.text.count("{") == made.text.count("}")
        arrays = [array.name for array in graph.parameters + graph.statistics]
        assert sorted(made.arrays) == sorted(arrays)
        assert len(set(made.arrays.values())) == len(arrays)
        assert {layer for layer, _ in made.arrays.values()} <= set(layers(made.text))
        assert set(made.blobs) == {node.name for node in graph.nodes}


def test_pooling_rounds_up_by_itself():
    made = one(lambda g, x: g.max_pool(x, 3, 2, round_up=True))
    assert "round_mode" not in made["max_pool1"]
    assert "pad_h: 0" in made["max_pool1"]


def test_pooling_rounded_down_is_cut_out_or_asked_for():
    def draw(g, x):
        return g.max_pool(x, 3, stride=2, pad=1)  # 8: 4 rounded down, 5 rounded up

    cut = one(draw)
    assert 'type: "Crop"' in cut["max_pool1"]
    assert 'bottom: "max_pool1_rounded_up"' in cut["max_pool1"]
    assert re.findall(r"dim: (\d+)", cut["max_pool1_size"]) == ["1", "1", "4", "4"]
    asked = one(draw, round_mode=True)
    assert "round_mode: FLOOR" in asked["max_pool1"]
    assert "max_pool1_size" not in asked


def test_what_caffe_cannot_pad_is_refused():
    with pytest.raises(Unsupported, match="only at one end"):
        one(lambda g, x: g.conv(x, 4, 3, stride=2, pad=(0, 0, 1, 1)))
    with pytest.raises(Unsupported, match="averages the cut windows"):
        one(lambda g, x: g.avg_pool(x, 3, stride=2))


def test_nothing_is_overwritten_that_another_layer_reads():
    def draw(g, x):
        x = g.conv(x, 4, 3, pad=1)
        return g.add(g.relu(x), x)

    assert 'top: "relu1"' in one(draw)["relu1"]
    single = one(lambda g, x: g.relu(g.conv(x, 4, 3)))
    assert 'top: "conv1"' in single["relu1"]
    plain = one(lambda g, x: g.relu(g.conv(x, 4, 3)), plain=True)
    assert 'top: "relu1"' in plain["relu1"]


def test_a_factor_before_a_sum_is_its_coefficient():
    def draw(g, x):
        return g.add(x, g.scale(g.conv(x, 3, 1), 0.17))

    made = one(draw)
    assert re.findall(r"coeff: (\S+)", made["add1"]) == ["1.0", "0.17"]
    assert "scale1" not in made
    assert "scale: 0.17" in one(draw, plain=True)["scale1"]


def test_normalisation_per_phase_and_fork():
    def draw(g, x):
        return g.batch_norm(g.conv(x, 4, 3), 1e-3)

    made = one(draw)
    assert "use_global_stats: true" in made["batch_norm1"]
    assert "eps: 0.001" in made["batch_norm1"]
    assert "bias_term: true" in made["batch_norm1_scale"]
    assert "use_global_stats: false" in one(draw, training=True)["batch_norm1"]
    fused = one(draw, dialect=NVIDIA)
    assert "scale_bias: true" in fused["batch_norm1"]
    assert "batch_norm1_scale" not in fused


def test_dropout_is_for_training():
    def draw(g, x):
        return g.dropout(x, 0.2)

    assert "dropout1" not in one(draw)
    assert "dropout_ratio: 0.2" in one(draw, training=True)["dropout1"]


def test_precision_and_engine_are_written_in_each_forks_words():
    graph = zoo.draw("deep_mnist")
    half = prototxt.network(graph, NVIDIA, 2, True, dtype="float16").text
    assert "default_forward_type: FLOAT16" in half
    assert "default_forward_math: FLOAT\n" in half
    assert 'engine: "MKLDNN"' in prototxt.network(graph, INTEL, 2, True).text
    with pytest.raises(Unsupported, match="BVLC Caffe has no float16"):
        prototxt.network(graph, BVLC, 2, True, dtype="float16")


def test_intels_engine_is_a_choice_and_nobody_elses():
    graph = zoo.draw("deep_mnist")
    for engine in INTEL.engines:
        text = prototxt.network(graph, INTEL, 2, True, engine=engine).text
        assert text.count(f'engine: "{engine}"\n') == 1
    assert "engine" not in prototxt.network(graph, BVLC, 2, True).text
    with pytest.raises(Unsupported, match="BVLC Caffe has no engine CAFFE"):
        prototxt.network(graph, BVLC, 2, True, engine="CAFFE")
    with pytest.raises(Unsupported, match="Intel Caffe has no engine CUDNN"):
        prototxt.network(graph, INTEL, 2, True, engine="CUDNN")


def block(g, x):
    """Two branches that end in a normalisation, one of them scaled, and their sum."""
    left = g.batch_norm(g.conv(x, 3, 1), 1e-3)
    right = g.batch_norm(g.conv(g.relu(g.batch_norm(g.conv(x, 3, 1), 1e-3)), 3, 1), 1e-3)
    return g.relu(g.add(left, right))


def test_nothing_overwrites_a_gradient_that_intels_sums_share():
    made = one(block, dialect=INTEL, training=True)
    for number, overwrites in ((1, False), (2, True), (3, False)):
        bottom, top = f'bottom: "conv{number}"', f'top: "conv{number}"'
        assert bottom in made[f"batch_norm{number}"]
        assert (top in made[f"batch_norm{number}"]) is overwrites
    # In inference there are no gradients, and BVLC's sums copy them.
    for choices in ({"dialect": INTEL}, {"dialect": BVLC, "training": True}):
        made = one(block, **choices)
        assert all(f'top: "conv{n}"' in made[f"batch_norm{n}"] for n in (1, 2, 3))


@pytest.mark.parametrize("training", [True, False])
def test_intels_sums_have_no_coefficients(training):
    """They refuse to train with them, and ignore them when fused into a convolution."""

    def draw(g, x):
        return g.add(x, g.scale(g.conv(x, 3, 1), 0.17))

    made = one(draw, dialect=INTEL, training=training)
    assert "coeff" not in made["add1"]
    assert "scale: 0.17" in made["scale1"]
    assert 'bottom: "scale1"' in made["add1"]


def test_only_nvidia_divides_a_databases_batch_among_its_gpus():
    graph, source = zoo.draw("resnet18"), Source("lmdb", "/data/train")
    for dialect, batch in ((BVLC, 16), (INTEL, 16), (NVIDIA, 64)):
        text = prototxt.network(graph, dialect, 16, True, source=source, devices=4).text
        assert f"batch_size: {batch}\n" in text
        assert "crop_size: 224\n" in text
        assert "force_color: true\n" in text
        made = prototxt.network(
            graph, dialect, 16, True, source=Source("dummy", None), devices=4
        ).text
        assert "dim: 16\n" in made
        assert "dim: 64\n      dim: 3" not in made


def test_a_solver_updates_and_writes_no_snapshot():
    text = prototxt.solver(BVLC, 'name: "x"\n', "cpu", steps=7)
    assert "max_iter: 7" in text
    assert "solver_mode: CPU" in text
    assert "snapshot_after_train: false" in text
    assert text.endswith('train_net_param {\n  name: "x"\n}\n')
    assert text.startswith('type: "SGD"')
    assert "snapshot_prefix" not in text
    asked = prototxt.solver(BVLC, 'name: "x"\n', "cpu", prefix="/tmp/x/solver")
    assert 'snapshot_prefix: "/tmp/x/solver"\n' in asked
    assert "snapshot: 0\n" in asked


def test_text_is_quoted():
    assert render([("a", 'x"\\\n\u00e9')]) == 'a: "x\\"\\\\\\012\\303\\251"\n'


def test_the_command_needs_no_framework():
    command = [sys.executable, "-m", "backends.caffe"]
    done = subprocess.run(
        [*command, "deploy", "resnet50_v1.5", "--batch", "3"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "dim: 3" in done.stdout
    bad = subprocess.run(
        [*command, "train", "resnet5"], capture_output=True, text=True, check=False
    )
    assert bad.returncode == 1
    assert "did you mean" in bad.stderr


def for_tensorrt(model):
    return prototxt.network(zoo.draw(model), BVLC, 4, False, tensorrt=True)


READABLE = [name for name in DRAWABLE if name != "acoustic_model" and not name.endswith("_v1.5")]


@pytest.mark.slow
@pytest.mark.parametrize("model", READABLE)
def test_tensorrts_reader_is_given_what_it_knows(model):
    """As its source has it: four-dimensional Input, no Flatten, sums without coefficients."""
    made = for_tensorrt(model)
    kinds = set(re.findall(r'type: "(\w+)"', made.text))
    known = {"BatchNorm", "Concat", "Convolution", "Eltwise", "InnerProduct", "Input", "LRN"}
    assert kinds <= known | {"Pooling", "Power", "ReLU", "Scale"}
    assert "coeff" not in made.text
    assert "round_mode" not in made.text
    assert layers(made.text)["data"].count("dim:") == 4
    assert f'top: "{made.output}"' in made.text


@pytest.mark.parametrize(
    ("model", "why"),
    [
        ("acoustic_model", "only supports images, which acoustic_model does not take"),
        ("resnet50_v1.5", "rounds max_pool1 up and cannot cut it"),
    ],
)
def test_what_tensorrts_reader_cannot_do_is_refused(model, why):
    with pytest.raises(Unsupported, match=why):
        for_tensorrt(model)


def test_the_catalogue_knows_what_tensorrts_reader_cannot_do():
    framework = catalogue.framework("tensorrt").variants["7"]
    assert set(zoo.names()) - set(framework.gaps) == set(READABLE)


def test_the_program_names_the_output_and_takes_a_seed():
    command = [sys.executable, "-m", "backends.caffe"]
    done = subprocess.run(
        [*command, "output", "googlenet", "--reader=tensorrt"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "dense1\n"
    done = subprocess.run(
        [*command, "solver", "googlenet", "--seed=5"], capture_output=True, text=True, check=True
    )
    assert "random_seed: 5\n" in done.stdout


def test_a_folded_normalization_has_no_layer():
    graph = Graph("tiny", (3, 8, 8), 4)
    conv = graph.conv(graph.input, 4, 3, bias=False)
    norm = graph.batch_norm(conv, 1e-5)
    x = graph.relu(norm)
    graph.finish(graph.dense(graph.flatten(x), 4))
    made = prototxt.network(graph, BVLC, 2, False, absorbs={conv: norm})
    assert "BatchNorm" not in made.text
    assert "Scale" not in made.text
    assert "bias_term: true" in layers(made.text)["conv1"]
    assert made.arrays["conv1.bias"] == ("conv1", 1)
    assert made.blobs["batch_norm1"] == made.blobs["relu1"] == "conv1"
