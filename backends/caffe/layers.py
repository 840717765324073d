"""Layers of Caffe for every operator of the zoo that it supports."""

from backends.caffe.dialects import Word
from backends.caffe.inputs import input_layers
from backends.caffe.windows import check_conv, is_whole, pooled_size, window_fields
from backends.harness.errors import Unsupported

RECURRENT = "Caffe has no CTC loss, and its recurrent layer only has tanh"
GAPS = {"sequence": RECURRENT, "rnn": RECURRENT, "per_step": RECURRENT}


def _conv(writer, node):
    check_conv(node)
    biased = node.attrs["bias"] or node in writer.choices.absorbs
    fields = [("num_output", node.attrs["filters"]), ("bias_term", biased)] + window_fields(node)
    param = ("convolution_param", fields + writer.filler(True))
    writer.unary("Convolution", node, param)
    writer.holds(node, ("weight", "bias")[: 1 + biased])


def _dense(writer, node):
    a = node.attrs
    fields = [("num_output", a["units"]), ("bias_term", a["bias"])]
    writer.unary("InnerProduct", node, ("inner_product_param", fields + writer.filler(True)))
    writer.holds(node, ("weight", "bias")[: 1 + a["bias"]])


def _batch_norm(writer, node):
    if node.inputs[0] in writer.choices.absorbs:
        writer.skip(node)
        return
    a = node.attrs
    frozen = [("param", [("lr_mult", 0.0), ("decay_mult", 0.0)])] * 3
    fields = [
        ("use_global_stats", not writer.training),
        ("moving_average_fraction", a["decay"]),
        ("eps", a["eps"]),
    ]
    if writer.dialect.fused_norm:
        fields.append(("scale_bias", True))
        writer.unary("BatchNorm", node, *(frozen + [("batch_norm_param", fields)]))
        writer.holds(node, ("mean", "variance", None, "gamma", "beta"))
        return
    scaled = node.name + "_scale"
    bottom = writer.blobs[node.inputs[0].name]
    plain = writer.choices.plain
    middle = bottom if writer.may_overwrite(node) else node.name + ("_norm" if plain else "")
    top = node.name if plain else middle
    writer.layer(
        "BatchNorm", node.name, [bottom], [middle], *(frozen + [("batch_norm_param", fields)])
    )
    writer.layer("Scale", scaled, [middle], [top], ("scale_param", [("bias_term", True)]))
    writer.blobs[node.name] = top
    writer.scales[scaled] = node.name
    writer.holds(node, ("mean", "variance"))
    writer.holds(node, ("gamma", "beta"), scaled)


def _relu(writer, node):
    writer.unary("ReLU", node)


def _lrn(writer, node):
    a = node.attrs
    fields = [
        ("local_size", a["size"]),
        ("alpha", a["alpha"]),
        ("beta", a["beta"]),
        ("k", a["k"]),
        ("norm_region", Word("ACROSS_CHANNELS")),
    ]
    writer.unary("LRN", node, ("lrn_param", fields))


def _pool(writer, node, method):
    fields = [("pool", Word(method))] + window_fields(node)
    counts = [pooled_size(node, axis) for axis in (0, 1)]
    drawn = node.shape[1:]
    surplus = [count - size for count, size in zip(counts, drawn)]
    if min(surplus) < 0:
        raise Unsupported("Caffe's pooling cannot pad %s like this" % node.name)
    if method == "AVE" and (any(surplus) or not all(is_whole(node, axis) for axis in (0, 1))):
        raise Unsupported("Caffe averages the cut windows of %s over fewer values" % node.name)
    if not any(surplus):
        writer.unary("Pooling", node, ("pooling_param", fields))
    elif writer.choices.round_mode:
        fields.append(("round_mode", Word("FLOOR")))
        writer.unary("Pooling", node, ("pooling_param", fields))
    else:
        _cropped(writer, node, fields)


def _cropped(writer, node, fields):
    """A pool that yields too much, and a layer that cuts out the wanted part."""
    if writer.choices.tensorrt:
        raise Unsupported("TensorRT's Caffe reader rounds %s up and cannot cut it" % node.name)
    larger, mould = node.name + "_rounded_up", node.name + "_size"
    shape = ("shape", [("dim", size) for size in (1, 1) + node.shape[1:]])
    filler = ("data_filler", [("type", "constant"), ("value", 0.0)])
    bottom = writer.blobs[node.inputs[0].name]
    writer.layer("Pooling", larger, [bottom], [larger], ("pooling_param", fields))
    writer.layer("DummyData", mould, [], [mould], ("dummy_data_param", [shape, filler]))
    crop = ("crop_param", [("axis", 2), ("offset", 0)])
    writer.layer("Crop", node.name, [larger, mould], [node.name], crop)
    writer.blobs[node.name] = node.name


def _max_pool(writer, node):
    _pool(writer, node, "MAX")


def _avg_pool(writer, node):
    _pool(writer, node, "AVE")


def _dropout(writer, node):
    if writer.training:
        ratio = ("dropout_param", [("dropout_ratio", node.attrs["rate"])])
        writer.unary("Dropout", node, ratio)
    else:
        writer.skip(node)


def _flatten(writer, node):
    if writer.choices.tensorrt:
        writer.skip(node)  # InnerProduct flattens what it reads
    else:
        writer.unary("Flatten", node)


def _scale(writer, node):
    if writer.becomes_coefficient(node):
        writer.factors[node] = node.attrs["factor"]
        writer.skip(node)
    else:
        writer.unary("Power", node, ("power_param", [("scale", node.attrs["factor"])]))


def _add(writer, node):
    factors = [writer.factors.get(source, 1.0) for source in node.inputs]
    fields = [("operation", Word("SUM"))]
    if any(factor != 1.0 for factor in factors):
        fields += [("coeff", factor) for factor in factors]
    bottoms = [writer.blobs[source.name] for source in node.inputs]
    writer.layer("Eltwise", node.name, bottoms, [node.name], ("eltwise_param", fields))
    writer.blobs[node.name] = node.name


def _concat(writer, node):
    bottoms = [writer.blobs[source.name] for source in node.inputs]
    writer.layer("Concat", node.name, bottoms, [node.name], ("concat_param", [("axis", 1)]))
    writer.blobs[node.name] = node.name


OPERATORS = {
    "input": input_layers,
    "conv": _conv,
    "batch_norm": _batch_norm,
    "dense": _dense,
    "relu": _relu,
    "lrn": _lrn,
    "max_pool": _max_pool,
    "avg_pool": _avg_pool,
    "dropout": _dropout,
    "flatten": _flatten,
    "scale": _scale,
    "add": _add,
    "concat": _concat,
}
