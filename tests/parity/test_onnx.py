"""The ONNX files contain the zoo's networks, for every reader."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from backends import zoo
from backends.harness.findings import deviation
from backends.zoo import weights

onnx = pytest.importorskip("onnx", reason="the package onnx is not installed in this environment")

from backends.onnx import build, typed  # noqa: E402 - only with onnx

pytestmark = pytest.mark.parity

ROOT = Path(__file__).parents[2]


def write(*words):
    return subprocess.run(
        [sys.executable, "-m", "backends.onnx", "write", *map(str, words)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("batch", [None, 3])
@pytest.mark.parametrize("model", zoo.names())
def test_every_model_is_valid_and_has_the_shapes_drawn(model, batch):
    graph = zoo.draw(model)
    made = build.build(graph, None, batch)
    onnx.checker.check_model(made.proto, full_check=True)
    inferred = onnx.shape_inference.infer_shapes(made.proto, strict_mode=True).graph
    shapes = {}
    for value in [*inferred.input, *inferred.value_info, *inferred.output]:
        sizes = value.type.tensor_type.shape.dim
        shapes[value.name] = tuple(size.dim_param or size.dim_value for size in sizes)
    for node in graph.nodes:
        assert shapes[made.tensor(node)] == (batch or "batch", *node.shape)


def test_a_file_holds_exactly_the_parameters_of_the_zoo(tmp_path):
    path = tmp_path / "m.onnx"
    done = write("resnet18", path, "--batch", 2, "--seed", 5)
    assert done.returncode == 0, done.stderr
    assert [file.name for file in tmp_path.iterdir()] == ["m.onnx"]
    model = onnx.load(path)
    onnx.checker.check_model(model)
    graph = zoo.draw("resnet18")
    found = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    expected = weights.for_graph(graph, 5)
    assert sorted(found) == sorted(expected)
    for name, array in expected.items():
        assert (found[name] == array).all()
    assert {p.key: p.value for p in model.metadata_props} == {"fingerprint": graph.fingerprint}
    assert [value.name for value in model.graph.input] == ["input"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("resnet5", "m.onnx"), "did you mean resnet50"),
        (("deep_mnist", "no/such/folder/m.onnx"), "No such file or directory"),
        (("deep_mnist", "m.onnx", "--batch", "0"), "--batch must be 1 or more"),
    ],
)
def test_mistakes_are_reported_and_leave_nothing(words, told, tmp_path):
    done = write(words[0], tmp_path / words[1], *words[2:])
    assert done.returncode == 2
    assert told in (done.stderr + done.stdout).splitlines()[-1]
    assert not list(tmp_path.iterdir())


def test_weights_beyond_one_file_are_refused(monkeypatch):
    monkeypatch.setattr(build, "LARGEST", 2**20)
    with pytest.raises(build.Unsupported, match="more weights than fit into one ONNX file"):
        build.build(zoo.draw("deep_mnist"), None)


# Of the logits, relative to the largest: six units of float16's roundoff, as P2 allows. int8 rounds
# each value to one of 255, the error of which adds up over the layers.
TYPED = {"float16": 6 * 2.0**-11, "int8": 0.1}
QUICK = ("deep_mnist", "alexnet_owt", "resnet18", "googlenet")
# Of large networks the referee, which finds the scales of int8, takes minutes.
MODELS = [
    pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in zoo.names()
]


@pytest.mark.parametrize("dtype", TYPED)
@pytest.mark.parametrize("model", MODELS)
def test_typed_files_compute_the_network(model, dtype):
    assert 1e-6 < typed_deviation(model, dtype) <= TYPED[dtype]


def typed_deviation(model, dtype, batch=2):
    """How far logits of a typed file are from those of the float32 file, in ONNX Runtime."""
    ort = pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed here")
    graph, seed = zoo.draw(model), 3
    inputs = weights.inputs(graph, batch, seed)
    logits = []
    for content in (
        build.serialised(graph, seed, batch),
        typed.serialised(graph, seed, batch, dtype),
    ):
        session = ort.InferenceSession(content, providers=["CPUExecutionProvider"])
        logits.append(session.run(None, {"input": inputs})[0])
    return deviation(logits[1], logits[0])


@pytest.mark.parametrize("model", MODELS)
def test_a_bfloat16_file_computes_the_network(model):
    """ONNX Runtime has no kernels for it: they compute in float32, and each value is rounded."""
    ort = pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed here")
    graph, seed, batch = zoo.draw(model), 3, 2
    content = typed.serialised(graph, seed, batch, "bfloat16")
    rounding = rounded_to_bfloat16(onnx.load_model_from_string(content))
    unchanged = ort.SessionOptions()
    unchanged.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    logits = []
    for file in (build.serialised(graph, seed, batch), rounding.SerializeToString()):
        session = ort.InferenceSession(file, unchanged, providers=["CPUExecutionProvider"])
        logits.append(session.run(None, {"input": weights.inputs(graph, batch, seed)})[0])
    assert 1e-4 < deviation(logits[1], logits[0]) <= 6 * 2.0**-8


def rounded_to_bfloat16(model):
    """Return the model with float32 in place of bfloat16, each value rounded after its operator."""
    half, whole = onnx.TensorProto.BFLOAT16, onnx.TensorProto.FLOAT
    for tensor in model.graph.initializer:
        if tensor.data_type == half:
            bits = np.frombuffer(tensor.raw_data, "<u2").astype("<u4") << 16
            tensor.data_type, tensor.raw_data = whole, bits.tobytes()
    nodes = list(model.graph.node)
    del model.graph.node[:]
    for node in nodes:
        (name,) = node.output
        target = {a.i for a in node.attribute if node.op_type == "Cast" and a.name == "to"}
        if whole in target or node.op_type in typed.PLAIN:
            model.graph.node.append(node)
            continue
        exact, short = name + "_exact", name + "_short"
        if half in target:
            exact = node.input[0]
        else:
            node.output[0] = exact
            model.graph.node.append(node)
        model.graph.node.append(onnx.helper.make_node("Cast", [exact], [short], to=half))
        model.graph.node.append(onnx.helper.make_node("Cast", [short], [name], to=whole))
    return model


def test_numbers_are_rounded_to_the_nearest_bfloat16():
    numbers = np.array([1.0, 1.00390625, 1.01171875, -3.0e-39, 65504.0, 1e30], np.float32)
    found = (typed.as_bfloat16(numbers).astype("<u4") << 16).view("<f4")
    # The second and third are between two: to the even one.
    assert list(found[:3]) == [1.0, 1.0, 1.015625]
    assert deviation(found[3:], numbers[3:]) < 2.0**-8


@pytest.mark.parametrize(
    ("dtype", "kind"),
    [("float16", onnx.TensorProto.FLOAT16), ("bfloat16", onnx.TensorProto.BFLOAT16)],
)
def test_half_precision_files_have_such_weights_and_float32_ends(tmp_path, dtype, kind):
    path = tmp_path / "m.onnx"
    done = write("alexnet", path, "--batch", 2, "--dtype", dtype)
    assert done.returncode == 0, done.stderr
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    kinds = {tensor.data_type for tensor in model.graph.initializer}
    assert kinds == {kind}
    ends = [*model.graph.input, *model.graph.output]
    assert {end.type.tensor_type.elem_type for end in ends} == {onnx.TensorProto.FLOAT}
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph.value_info
    types = {value.name: value.type.tensor_type.elem_type for value in inferred}
    outputs = {node.op_type: types[node.output[0]] for node in model.graph.node[:-1]}
    assert outputs["Conv"] == outputs["Gemm"] == kind
    assert outputs["LRN"] == onnx.TensorProto.FLOAT


def test_an_int8_file_quantizes_what_multiplies(tmp_path):
    path = tmp_path / "m.onnx"
    done = write("resnet18", path, "--batch", 2, "--dtype", "int8")
    assert done.returncode == 0, done.stderr
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    made = {node.output[0]: node for node in model.graph.node}
    multiplying = [node for node in model.graph.node if node.op_type in ("Conv", "Gemm")]
    graph = zoo.draw("resnet18")
    assert len(multiplying) == sum(node.op in ("conv", "dense") for node in graph.nodes)
    assert "BatchNormalization" not in {node.op_type for node in model.graph.node}
    arrays = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    for node in multiplying:
        for is_weight, operand in enumerate(node.input[:2]):
            back = made[operand]
            assert back.op_type == "DequantizeLinear"
            assert made[back.input[0]].op_type == "QuantizeLinear"
            scale = arrays[back.input[1]]
            assert (scale > 0).all()
            filters = arrays[made[back.input[0]].input[0]].shape[0] if is_weight else None
            assert scale.shape == ((filters,) if is_weight else ())
    assert not any(array.any() for name, array in arrays.items() if name.endswith("_zero"))


def test_your_own_file_keeps_its_types(tmp_path):
    words = (tmp_path / "m.onnx", "--batch", 2, "--dtype", "int8", "--model-file", "mine.onnx")
    done = write("mine", *words)
    assert done.returncode == 2
    assert "--dtype does not apply to your own file" in done.stderr
