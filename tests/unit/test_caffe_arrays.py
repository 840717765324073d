"""Arrays in Caffe's networks: where each fork keeps them, and that they are read back unchanged."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from backends.caffe import arrays, prototxt, pycaffe, step
from backends.caffe.dialects import BVLC, INTEL
from backends.zoo import weights
from backends.zoo.graph import Graph


def small():
    graph = Graph("small", (3, 6, 6), 4)
    x = graph.relu(graph.batch_norm(graph.conv(graph.input, 40, 3, bias=False), 1e-3))
    return graph.finish(graph.dense(graph.flatten(x), 4))


class Blob:
    """A BlobProto: told a shape, and `data` as protobuf's bytes."""

    def __init__(self):
        self.shape = SimpleNamespace(dim=[])
        self.values = None

    def MergeFromString(self, content):  # noqa: N802 - protobuf's name
        assert content[:1] == b"\x2a"
        length, shift, at = 0, 0, 1
        while True:
            length |= (content[at] & 0x7F) << shift
            shift, at = shift + 7, at + 1
            if not content[at - 1] & 0x80:
                break
        assert length == len(content) - at
        self.values = np.frombuffer(content[at:], dtype="<f4").reshape(self.shape.dim)


class Blobs(list):
    """A repeated field."""

    def add(self):
        self.append(Blob())
        return self[-1]


class Message:
    """A NetParameter: the layers of a text, in order."""

    def __init__(self, text):
        names = [line[len('  name: "') : -1] for line in text.splitlines() if "  name: " in line]
        self.layer = [SimpleNamespace(name=name, blobs=Blobs()) for name in names]

    def SerializeToString(self):  # noqa: N802 - protobuf's name
        content = {layer.name: [b.values.tolist() for b in layer.blobs] for layer in self.layer}
        return json.dumps(content).encode()


class Net:
    """A network in memory, all zeros; `merges` as Intel's does with engine MKLDNN in training."""

    def __init__(self, graph, made, *, merges):
        self._layer_names = [layer.name for layer in Message(made.text).layer]
        self.params: dict[str, list[SimpleNamespace]] = {}
        self.merges, self.files = merges, 0
        shapes = {array.name: array.shape for array in graph.parameters + graph.statistics}
        for name, (layer, index) in sorted(made.arrays.items(), key=lambda item: item[1]):
            blobs = self.params.setdefault(layer, [])
            assert index == len(blobs)
            blobs.append(SimpleNamespace(data=np.zeros(shapes[name], np.float32)))
            if name.endswith(".variance"):
                blobs.append(SimpleNamespace(data=np.zeros(1, np.float32)))
        if merges:
            for scale, norm in made.scales.items():
                self.params[norm] += self.params.pop(scale)
                self._layer_names.remove(scale)

    def copy_from(self, path):
        assert path.endswith(".caffemodel")
        self.files += 1
        content = json.loads(Path(path).read_text())
        for layer in list(content):
            if self.merges and layer.endswith("_scale"):
                content[layer[: -len("_scale")]] += content.pop(layer)
        for layer, blobs in content.items():
            assert len(blobs) == len(self.params.get(layer, ())), layer
            for blob, values in zip(self.params.get(layer, ()), blobs, strict=True):
                blob.data[...] = values


def filled(dialect, *, merges):
    graph = small()
    made = prototxt.network(graph, dialect, 2, True)
    net = Net(graph, made, merges=merges)
    values = weights.for_graph(graph, 3)
    arrays.fill(net, made, values, dialect, graph, Message)
    return graph, made, net, values


@pytest.mark.parametrize(("dialect", "merges"), [(BVLC, False), (INTEL, True), (INTEL, False)])
def test_every_array_comes_back_as_it_was_given(dialect, merges):
    graph, made, net, values = filled(dialect, merges=merges)
    assert net.files == (1 if dialect.rewrites else 0)
    found = arrays.read(net, made, [parameter.name for parameter in graph.parameters])
    for name, array in found.items():
        assert np.array_equal(array, values[name]), name


@pytest.mark.parametrize(("dialect", "merges"), [(BVLC, False), (INTEL, True)])
def test_averages_are_sums_with_their_weight(dialect, merges):
    graph, made, net, values = filled(dialect, merges=merges)
    weight = net.params["batch_norm1"][2].data[0]
    assert weight == pytest.approx(1 / (1 - graph.nodes[2].attrs["decay"]))
    (mean,) = arrays.read(net, made, ["batch_norm1.mean"]).values()
    assert mean / weight == pytest.approx(values["batch_norm1.mean"])


def test_a_merged_scale_is_the_end_of_its_batch_norm():
    _, made, net, _ = filled(INTEL, merges=True)
    places = arrays.places(net, made)
    assert places["batch_norm1.gamma"] == ("batch_norm1", 3)
    assert places["batch_norm1.beta"] == ("batch_norm1", 4)
    assert places["conv1.weight"] == ("conv1", 0)
    _, made, net, _ = filled(INTEL, merges=False)
    assert arrays.places(net, made)["batch_norm1.beta"] == ("batch_norm1_scale", 1)


def test_a_solvers_last_step_is_read_from_the_gradients_blobs():
    graph, made, net, _ = filled(INTEL, merges=True)
    for blobs in net.params.values():
        for blob in blobs:
            blob.diff = np.full_like(blob.data, 0.25)
    net.params["batch_norm1"][3].diff[...] = 0.5
    found = arrays.updates(net, made)
    assert (found["batch_norm1.gamma"] == 0.5).all()
    assert (found["conv1.weight"] == 0.25).all()
    assert set(found) >= {parameter.name for parameter in graph.parameters}


def test_layers_that_others_do_are_counted():
    _, _, merged, _ = filled(INTEL, merges=True)
    names = [*merged._layer_names, "batch_norm1_scale"]
    assert arrays.left_out(merged, names) == 1
    assert arrays.left_out(merged, merged._layer_names) == 0


def test_a_value_is_taken_before_a_fused_sum_overwrites_it():
    class Fused:
        """Its second layer adds its own value into the first one's."""

        def __init__(self):
            self.layers = ["Input", "Convolution"]
            self._blob_names = ["left", "sum"]
            shared = SimpleNamespace(data=np.zeros(2))
            self.blobs = {"left": shared, "sum": shared}

        def _top_ids(self, number):
            return [number]

        def _forward(self, first, last):
            assert first == last
            self.blobs["sum"].data[...] += first + 1

    found = arrays.as_computed(Fused())
    assert found["left"].tolist() == [1, 1]
    assert found["sum"].tolist() == [3, 3]


def shaped(graph, made, *, missing):
    """A network whose blobs have the drawn shapes, without those of the nodes in `missing`."""
    kept = [node for node in graph.nodes if node.name not in missing]
    return SimpleNamespace(
        blobs={
            made.blobs[node.name]: SimpleNamespace(data=np.zeros((1, *node.shape))) for node in kept
        }
    )


@pytest.mark.parametrize(("fork", "found"), [("intel_caffe", True), ("bvlc_caffe", False)])
def test_a_node_that_another_computes_has_its_shape_in_training(monkeypatch, fork, found):
    graph = small()
    made = prototxt.network(graph, BVLC, 1, False, plain=True)
    backend = step.Backend(fork)
    inference = shaped(graph, made, missing=["conv1", "batch_norm1"])
    training = shaped(graph, made, missing=[])
    monkeypatch.setattr(step, "load", lambda: SimpleNamespace(set_mode_cpu=lambda: None))
    monkeypatch.setattr(backend, "open_network", lambda *_, **choices: (inference, made))
    monkeypatch.setattr(backend, "_open_training", lambda *_: (training, made))
    shapes = dict(backend.shapes(graph))
    assert shapes["relu1"] == (40, 4, 4)
    assert (shapes.get("conv1") == (40, 4, 4)) is found


def test_a_result_tells_the_engine_and_the_layers_that_others_do(monkeypatch):
    def parse(text):
        layers = [SimpleNamespace(name=name) for name in ("conv1", "relu1", "loss")]
        return SimpleNamespace(engine=text, layer=layers)

    monkeypatch.setattr(pycaffe, "parse", parse)
    net = SimpleNamespace(_layer_names=["conv1", "conv1_split", "loss"])
    assert pycaffe.rewritten(INTEL, net, "CAFFE") == {"engine": "CAFFE", "folded_layers": 1}
    phase = [SimpleNamespace(name="conv1")]
    assert pycaffe.rewritten(INTEL, net, "MKLDNN", phase)["folded_layers"] == 0
    assert pycaffe.rewritten(BVLC, net, "MKLDNN") == {}
