"""Parts of the TensorFlow backend that need no TensorFlow: options, layouts of arrays, padding."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
import pytest

from backends import zoo
from backends.harness import folding
from backends.harness.arguments import choose, one_step
from backends.harness.errors import Unsupported
from backends.tensorflow import native, option_defaults
from backends.zoo import Graph, referee, weights

CPU = option_defaults.Facts((2, 15), False)
GPU = option_defaults.Facts((2, 17), True)
OLD_GPU = option_defaults.Facts((1, 15), True)
MID_GPU = option_defaults.Facts((2, 12), True)
OLD_CPU = option_defaults.Facts((2, 3), False)


def resolve(facts, kind="image", options=(), **changed):
    asked = choose(option_defaults.OPTIONS, [word.split("=") for word in options])
    device = "cpu" if facts in (CPU, OLD_CPU) else "gpu"
    settings = one_step("m", "training", 2, asked, device=device)
    return option_defaults.resolve(settings._replace(**changed), kind, facts)


@pytest.mark.parametrize("facts", [CPU, GPU, OLD_GPU])
@pytest.mark.parametrize("phase", ["training", "inference"])
@pytest.mark.parametrize("kind", ["image", "vector", "speech"])
def test_every_option_gets_a_value_it_declares(facts, phase, kind):
    declared = OrderedDict((o.name, o.values) for o in option_defaults.OPTIONS)
    used = resolve(facts, kind, phase=phase)
    assert list(used) == list(declared)
    for name, value in used.items():
        assert value in (*declared[name], "off")


def test_the_version_decides_how_it_is_run():
    assert resolve(CPU)["execution"] == "function"
    assert resolve(OLD_GPU)["execution"] == "session"
    assert resolve(GPU, options=["execution=session"])["execution"] == "session"


@pytest.mark.parametrize(
    ("facts", "phase", "dtype", "layout"),
    [
        (CPU, "training", "float32", "channels_last"),
        (GPU, "training", "float32", "channels_first"),
        (GPU, "training", "tf32", "channels_first"),
        (GPU, "inference", "tf32", "channels_last"),
        (GPU, "training", "bfloat16", "channels_last"),
        (GPU._replace(tensor_cores=False), "training", "float16", "channels_first"),
    ],
)
def test_layout(facts, phase, dtype, layout):
    assert resolve(facts, phase=phase, dtype=dtype)["layout"] == layout


@pytest.mark.parametrize(
    ("facts", "kind", "options", "changed", "message"),
    [
        (CPU, "image", ["layout=channels_first"], {}, "no such kernels for CPUs"),
        (CPU, "vector", ["layout=channels_last"], {}, "only images"),
        (CPU, "image", ["freeze=on"], {}, "only for inference"),
        (GPU, "speech", ["xla=on"], {}, "CTC has no XLA kernel"),
        (CPU, "speech", ["freeze=on"], {"phase": "inference"}, "once per step"),
        (OLD_GPU, "image", ["execution=function"], {}, r"TensorFlow 1\.15 only has sessions"),
        (OLD_GPU, "image", [], {"dtype": "bfloat16"}, r"TensorFlow 1\.15 has no bfloat16"),
        (MID_GPU, "image", [], {"dtype": "bfloat16"}, r"2\.12 has no bfloat16 kernels for GPUs"),
        (OLD_CPU, "image", [], {"dtype": "bfloat16"}, r"2\.3 has no bfloat16 kernels for CPUs"),
        (CPU, "image", [], {"dtype": "float16"}, "float16 needs a GPU"),
        (GPU, "image", [], {"dtype": "int8"}, "TensorFlow cannot be benchmarked in int8"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_runs(facts, kind, options, changed, message):
    with pytest.raises(Unsupported, match=message):
        resolve(facts, kind, options, **changed)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["alexnet_owt", "deep_speech2", "resnet18"])
@pytest.mark.parametrize("channels_last", [True, False])
def test_arrays_come_back_as_they_were(model, channels_last):
    graph = zoo.draw(model)
    arrays = native.Arrays(graph, channels_last)
    for parameter in graph.parameters + graph.statistics:
        if np.prod(parameter.shape) > 1e7:
            continue
        array = weights.value(parameter.name, parameter.shape, 3)
        turned = arrays.to_native(parameter.name, array)
        assert turned.shape == arrays.shape(parameter)
        assert (arrays.to_canonical(parameter.name, turned) == array).all()


def flattened(through=()):
    g = Graph("g", (3, 4, 5), 7)
    x = g.flatten(g.input)
    for op in through:
        x = op(g, x)
    return g.finish(g.dense(x, 7))


@pytest.mark.parametrize("through", [(), (Graph.relu,), (lambda g, x: g.dropout(x, 0.5),)])
def test_the_matrix_is_permuted_instead_of_the_values(through):
    graph = flattened(through)
    arrays = native.Arrays(graph, True)
    values = weights.for_graph(graph, 1)
    x = np.abs(weights.inputs(graph, 2, 1))
    weight = arrays.to_native("dense1.weight", values["dense1.weight"])
    found = x.transpose(0, 2, 3, 1).reshape(2, -1) @ weight + values["dense1.bias"]
    np.testing.assert_allclose(found, referee.forward(graph, values, x), rtol=1e-5)
    flat = next(node for node in graph.nodes if node.op == "flatten")
    memory_order = x.transpose(0, 2, 3, 1).reshape(2, -1)
    assert (arrays.value_to_canonical(flat, memory_order, True) == x.reshape(2, -1)).all()


def test_values_that_also_go_elsewhere_keep_the_drawn_order():
    g = Graph("g", (2, 2, 2), 8)
    x = g.flatten(g.input)
    g.finish(g.add(x, g.dense(x, 8)))
    assert native.orders(g) == {}


def conv(size, kernel, stride, pad):
    g = Graph("g", (1, size, size), 1)
    return g.conv(g.input, 1, kernel, stride, pad=pad)


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "pad", "word"),
    [
        (8, 3, 1, 0, "VALID"),
        (8, 3, 1, 1, "SAME"),
        (112, 3, 2, (0, 0, 1, 1), "SAME"),  # what rounding up amounts to
        (112, 3, 2, 1, None),
        (224, 7, 2, 3, None),
        (8, 1, 2, 0, "VALID"),
        (8, 3, 1, (1, 1, 1, 0), None),
    ],
)
def test_same_padding_is_used_only_if_it_gives_the_same_windows(size, kernel, stride, pad, word):
    assert native.native_padding(conv(size, kernel, stride, pad)) == word


@pytest.mark.parametrize(
    ("values", "expected"), [((0.5, 0.25), 0.5), ((2.0, 1.0), 2.0), ((-1.0, 3.0), -1.0)]
)
def test_folding_is_the_normalisation(values, expected):
    g = Graph("g", (1, 1, 1), 1)
    y = g.conv(g.input, 1, 1, bias=False)
    norm = g.batch_norm(y, 1e-3)
    g.finish(g.dense(g.flatten(norm), 1))
    scale, shift = values
    given = {
        "conv1.weight": np.full((1, 1, 1, 1), 3.0, np.float32),
        "batch_norm1.gamma": np.array([scale], np.float32),
        "batch_norm1.beta": np.array([shift], np.float32),
        "batch_norm1.mean": np.array([1.5], np.float32),
        "batch_norm1.variance": np.array([1.0 - 1e-3], np.float32),
    }
    made = folding.folded(given, {y: norm})
    assert made["conv1.weight"].item() == pytest.approx(3.0 * expected)
    assert made["conv1.bias"].item() == pytest.approx(shift - 1.5 * scale)
