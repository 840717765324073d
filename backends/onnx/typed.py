"""Writes a precision into an ONNX model, so that a reader computes in it without being told.

TensorRT 11 has no flags for types, and computes as a network is written; older releases read the
same files.

* **float16**, **bfloat16**: weights and values have this type. Input and output stay float32, and
  so does local response normalization, whose squares do not fit into float16, and which TensorRT
  does not compute in bfloat16. ONNX allows bfloat16 in convolutions and pooling since opset 22,
  so only TensorRT 11 is given such files; releases 9 and 10 get a flag.
* **int8**: what convolutions and dense layers read passes QuantizeLinear and DequantizeLinear,
  symmetric and without zero point: values with one scale per tensor, from the largest magnitude on
  calibration inputs, weights with one scale per output channel. The rest is float32, because these
  operators take nothing else before opset 19.

In all of them, batch normalization is part of the convolution before it, as readers would compute
it: its small variances do not survive a rounding of their own.
"""

import numpy as np
import onnx
from onnx import TensorProto, helper

from backends.harness.errors import Unsupported
from backends.harness.folding import foldable, folded
from backends.onnx.build import build
from backends.zoo import referee, weights

DTYPES = ("float32", "float16", "bfloat16", "int8")

CALIBRATION = 4  # samples
CALIBRATION_SEED = 1000  # added to the seed of the weights: not the inputs of any benchmark
LARGEST_INT8 = 127.0

# The operator's input with weights, and the axis of its output channels.
QUANTIZED = {"Conv": 0, "Gemm": 0, "MatMul": 1}


def serialised(graph, seed, batch, dtype):
    """A model's file in a precision, as bytes."""
    return typed(graph, weights.for_graph(graph, seed), batch, dtype, seed).SerializeToString()


def typed(graph, values, batch, dtype, seed):
    """A ModelProto in one of `DTYPES` but float32; `seed` is that of the calibration inputs."""
    absorbs = foldable(graph)
    model = build(graph, folded(values, absorbs), batch, absorbs)
    if dtype == "bfloat16":
        model.proto.opset_import[0].version, model.proto.ir_version = BFLOAT16_OPSET, BFLOAT16_IR
    if dtype in HALVES:
        return halved(model.proto, *HALVES[dtype])
    if dtype == "int8":
        return quantized(model.proto, ranges(graph, values, model, seed + CALIBRATION_SEED))
    raise Unsupported("ONNX files are written in %s, not in %s" % (", ".join(DTYPES), dtype))


# -- float16 and bfloat16 ------------------------------------------------------------------

PLAIN = ("LRN",)  # operators that compute in float32

# The first that allow bfloat16 in every operator here; they compute the same as before.
BFLOAT16_OPSET, BFLOAT16_IR = 22, 10


def as_float16(array):
    """The numbers, rounded."""
    return array.astype("<f2")


def as_bfloat16(array):
    """The upper halves of float32 numbers, rounded to the nearest and, between two, to the even."""
    bits = array.astype("<f4").view("<u4")
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2")


# Their type in ONNX, and how numbers become it.
HALVES = {
    "float16": (TensorProto.FLOAT16, as_float16),
    "bfloat16": (TensorProto.BFLOAT16, as_bfloat16),
}


def halved(proto, kind, rounded):
    """The model in a type of half the size."""
    given, result = proto.graph.input[0].name, proto.graph.output[0].name
    nodes = [_cast(given, given + "_half", kind)]
    for node in proto.graph.node:
        inputs = [given + "_half" if name == given else name for name in node.input]
        outputs = [result + "_half" if name == result else name for name in node.output]
        if node.op_type in PLAIN:
            (x,), (y,) = inputs, outputs
            nodes.append(_cast(x, y + "_input", TensorProto.FLOAT))
            nodes.append(_renamed(node, [y + "_input"], [y + "_float"]))
            nodes.append(_cast(y + "_float", y, kind))
        else:
            # A value may be an input later under the output's name too.
            inputs = [result + "_half" if name == result else name for name in inputs]
            nodes.append(_renamed(node, inputs, outputs))
    nodes.append(_cast(result + "_half", result, TensorProto.FLOAT))
    for tensor in proto.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            array = np.frombuffer(tensor.raw_data, "<f4")
            tensor.data_type, tensor.raw_data = kind, rounded(array).tobytes()
    return _with_nodes(proto, nodes)


def _cast(source, target, kind):
    return helper.make_node("Cast", [source], [target], target + "_cast", to=kind)


def _renamed(node, inputs, outputs):
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    del copy.input[:], copy.output[:]
    copy.input.extend(inputs)
    copy.output.extend(outputs)
    return copy


def _with_nodes(proto, nodes):
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)
    return proto


# -- int8 ----------------------------------------------------------------------------------


def ranges(graph, values, model, seed):
    """The largest magnitude of each tensor that will be quantized, on calibration inputs."""
    read = {node.inputs[0] for node in graph.nodes if node.op in ("conv", "dense", "per_step")}
    inputs = weights.inputs(graph, CALIBRATION, seed)
    found = {}
    for node, array in referee.walk(graph, values, inputs):
        if node in read:
            found[model.tensor(node)] = float(np.max(np.abs(array)))
    return found


def quantized(proto, largest):
    """The model with every convolution and dense layer in int8."""
    arrays = {tensor.name: tensor for tensor in proto.graph.initializer}
    done = {}  # type: dict
    nodes = []  # type: list
    for node in proto.graph.node:
        inputs = list(node.input)
        if node.op_type in QUANTIZED:
            axis = QUANTIZED[node.op_type]
            if inputs[0] not in done:
                scale = np.array(_scale(largest[inputs[0]]), "<f4")
                done[inputs[0]] = _pair(proto, nodes, inputs[0], scale, None)
            inputs[0] = done[inputs[0]]
            inputs[1] = _pair(proto, nodes, inputs[1], _scales(arrays[inputs[1]], axis), axis)
        nodes.append(_renamed(node, inputs, list(node.output)))
    return _with_nodes(proto, nodes)


def _scale(largest):
    return np.where(np.asarray(largest) > 0, largest, 1.0) / LARGEST_INT8


def _scales(tensor, axis):
    """A scale per output channel of weights."""
    array = np.abs(np.frombuffer(tensor.raw_data, "<f4").reshape(tensor.dims))
    others = tuple(other for other in range(array.ndim) if other != axis)
    return _scale(array.max(axis=others)).astype("<f4")


def _pair(proto, nodes, name, scale, axis):
    """Quantize and dequantize a tensor; return the result's name."""
    _store(proto, name + "_scale", TensorProto.FLOAT, scale)
    _store(proto, name + "_zero", TensorProto.INT8, np.zeros(scale.shape, np.int8))
    attributes = {} if axis is None else {"axis": axis}
    source = name
    for op, target in (("QuantizeLinear", name + "_int8"), ("DequantizeLinear", name + "_of_int8")):
        inputs = [source, name + "_scale", name + "_zero"]
        nodes.append(helper.make_node(op, inputs, [target], target, **attributes))
        source = target
    return source


def _store(proto, name, kind, array):
    tensor = proto.graph.initializer.add(name=name, data_type=kind)
    tensor.dims.extend(array.shape)
    tensor.raw_data = array.tobytes()
