"""Writes parameters and statistics to a network, and reads them back.

Intel Caffe rewrites a network while creating it: it merges a Scale layer into the BatchNorm before
it, folds both into a convolution for inference, and leaves out ReLU layers that a convolution can
do. So its weights are loaded as its users load theirs, from a file with the layers as they were
written, which it rewrites in the same way; and after a training step a merged Scale's arrays are
the last two of its BatchNorm.
"""

import tempfile
from collections import OrderedDict

import numpy as np

# The blobs of a BatchNorm: means, variances, their weight.
NORM_BLOBS = 3
# In a BlobProto: field 5, length-delimited, is `data`.
_DATA = b"\x2a"


def fill(net, ours, values, dialect, graph, parse):
    """Write parameters and statistics to their blobs; `parse` makes a message from prototxt."""
    blobs = _blobs(ours, values, dialect, graph)
    if dialect.rewrites:
        _load(net, parse(ours.text), blobs)
        return
    for (layer, index), value in blobs.items():
        target = net.params[layer][index].data
        target[...] = value.reshape(target.shape)


def read(net, ours, names):
    """Name -> a copy of the array in its blob."""
    found = places(net, ours)
    return OrderedDict((name, _copy(net, *found[name])) for name in names)


def updates(net, ours):
    """Name -> what the last step subtracted from the array, which the solver keeps.

    Intel's solver keeps it in the order of the engine's memory, and writes it so into a snapshot.
    The gradient's blob, where Caffe leaves it too, is put in order when it is read.
    """
    return {
        name: np.array(net.params[layer][index].diff, dtype=np.float32)
        for name, (layer, index) in places(net, ours).items()
    }


def places(net, ours):
    """Name -> (layer, index) of the blob that holds the array in a training network."""
    return OrderedDict((name, _place(net, ours, *place)) for name, place in ours.arrays.items())


def as_computed(net):
    """Run a network; blob's name -> a copy of its value just after its first layer has computed it.

    A convolution that a sum was merged into overwrites the sum's other input.
    """
    found = OrderedDict()
    for number in range(len(net.layers)):
        net._forward(number, number)
        for top in net._top_ids(number):
            name = net._blob_names[top]
            if name not in found:
                found[name] = np.array(net.blobs[name].data)
    return found


def left_out(net, names):
    """How many of the layers with these names are missing in the created network."""
    return len(set(names) - set(net._layer_names))


def _place(net, ours, layer, index):
    if layer in ours.scales and layer not in net.params:
        return ours.scales[layer], NORM_BLOBS + index
    return layer, index


def _copy(net, layer, index):
    return np.array(net.params[layer][index].data, dtype=np.float32)


def _blobs(ours, values, dialect, graph):
    """(layer, index) -> the array that Caffe's blob there holds."""
    decays = {node.name: node.attrs["decay"] for node in graph.nodes if node.op == "batch_norm"}
    blobs = OrderedDict()
    for name, (layer, index) in ours.arrays.items():
        value = values[name]
        if index < 2 and layer in decays and not dialect.averages:
            # A sum in which each step's weight decays tends to 1 / (1 - decay) times the average.
            # Started there, one more step keeps `decay` of the old average.
            value = value / (1 - decays[layer])
            blobs[layer, 2] = np.array([1 / (1 - decays[layer])])
        blobs[layer, index] = value
    return blobs


def _load(net, message, blobs):
    """Let Caffe read the arrays from a file, layer by layer as they were written."""
    for layer in message.layer:
        index = 0
        while (layer.name, index) in blobs:
            _store(layer.blobs.add(), blobs[layer.name, index])
            index += 1
    with tempfile.NamedTemporaryFile(suffix=".caffemodel") as file:
        file.write(message.SerializeToString())
        file.flush()
        net.copy_from(file.name)


def _store(blob, value):
    """Fill a BlobProto; through its bytes, some hundred times as fast as one value at a time."""
    raw = np.ascontiguousarray(value, dtype="<f4").tobytes()
    blob.shape.dim.extend(value.shape)
    blob.MergeFromString(_DATA + _varint(len(raw)) + raw)


def _varint(number):
    """A length in protobuf's encoding: seven bits in each byte, the lowest first."""
    groups = bytearray()
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    groups.append(number)
    return bytes(groups)
