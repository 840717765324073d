"""Where a network's batches come from: the layers that make its data and labels."""

from collections import namedtuple

from backends.caffe.dialects import Word
from backends.harness.errors import Unsupported

DATA = "data"
LABEL = "label"

Source = namedtuple("Source", "kind path")
Source.__doc__ = """Where a network's batches come from.

`kind` is "input" (the program fills the blobs), "dummy" (a constant, made once by Caffe)
or "lmdb" (a database of Datum at `path`, as uint8 images).
"""

INPUT = Source("input", None)
# uint8 to -2..2, as `backends.harness.data` does.
CENTRE = 127.5
SPREAD = 63.75


def input_layers(writer, node):
    """Write the layers of the node `input`. Raises Unsupported."""
    writer.blobs[node.name] = DATA
    if writer.choices.tensorrt and len(node.shape) != 3:
        raise Unsupported(
            "TensorRT's Caffe reader only supports images, which %s does not take"
            % writer.graph.name
        )
    shapes = [(DATA, (writer.batch,) + node.shape)]
    if writer.training:
        shapes.append((LABEL, (writer.batch,)))
    tops = [top for top, _ in shapes]
    dims = [("shape", [("dim", size) for size in shape]) for _, shape in shapes]
    kind = writer.choices.source.kind
    if kind == "input":
        for (top, _), dim in zip(shapes, dims):
            writer.layer("Input", top, [], [top], ("input_param", [dim]))
    elif kind == "dummy":
        # Constants are filled in once; random values would be generated again in every step.
        fillers = [("data_filler", [("type", "constant"), ("value", v)]) for v in (0.5, 0.0)]
        fields = dims + fillers[: len(dims)]
        writer.layer("DummyData", DATA, [], tops, ("dummy_data_param", fields))
    else:
        _database(writer, tops)


def _database(writer, tops):
    """A Data layer; its label is not used in inference, but always needed.

    Without crop_size Caffe aborts if images differ in size (`img_height == height`), and without
    force_color at a grayscale one (`3 vs. 1`).
    """
    shape, batch = writer.graph.input_shape, writer.batch
    if len(shape) != 3:
        raise Unsupported(
            "Caffe's databases only hold images, which %s does not take" % writer.graph.name
        )
    if writer.dialect.divides_data_batch:
        batch *= writer.choices.devices
    values = [("scale", 1.0 / SPREAD)] + [("mean_value", CENTRE)] * shape[0]
    values += [("crop_size", shape[1]), ("force_color", shape[0] == 3)]
    source = [
        ("source", writer.choices.source.path),
        ("batch_size", batch),
        ("backend", Word("LMDB")),
    ]
    tops = tops if LABEL in tops else tops + [LABEL]
    writer.layer("Data", DATA, [], tops, ("transform_param", values), ("data_param", source))
