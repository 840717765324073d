"""The ONNX files contain the zoo's networks, for every reader."""

import subprocess
import sys
from pathlib import Path

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


@pytest.mark.parametrize("dtype", TYPED)
@pytest.mark.parametrize("model", ["deep_mnist", "alexnet_owt", "resnet18", "googlenet"])
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


def test_a_float16_file_has_float16_weights_and_float32_ends(tmp_path):
    path = tmp_path / "m.onnx"
    done = write("alexnet", path, "--batch", 2, "--dtype", "float16")
    assert done.returncode == 0, done.stderr
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    kinds = {tensor.data_type for tensor in model.graph.initializer}
    assert kinds == {onnx.TensorProto.FLOAT16}
    ends = [*model.graph.input, *model.graph.output]
    assert {end.type.tensor_type.elem_type for end in ends} == {onnx.TensorProto.FLOAT}
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph.value_info
    types = {value.name: value.type.tensor_type.elem_type for value in inferred}
    outputs = {node.op_type: types[node.output[0]] for node in model.graph.node[:-1]}
    assert outputs["Conv"] == outputs["Gemm"] == onnx.TensorProto.FLOAT16
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
