"""The ONNX files contain the zoo's networks, for every reader."""

import subprocess
import sys
from pathlib import Path

import pytest

from backends import zoo
from backends.zoo import weights

onnx = pytest.importorskip("onnx", reason="the package onnx is not installed in this environment")

from backends.onnx import build  # noqa: E402 - only with onnx

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
