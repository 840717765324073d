"""The user's ONNX file: checked, its batch set, ready to run."""

import os

import onnx
from google.protobuf.message import DecodeError
from onnx.external_data_helper import load_external_data_for_model

from backends.harness.own_network import OwnNetwork
from backends.onnx.build import LARGEST

FILES = (".onnx",)
FLOAT = onnx.TensorProto.FLOAT
EXTERNAL = onnx.TensorProto.EXTERNAL


class OnnxNetwork(OwnNetwork):
    """An ONNX network with one input and a fixed batch. `model` is ONNX's object."""

    def __init__(self, path, batch):
        """Raise `DataProblem` or `Unsupported`, saying what is wrong with the file."""
        super(OnnxNetwork, self).__init__(path)
        self.model = self._read()
        self.input = self._only_input()
        self.input_shape = self._set_batch(batch)
        self._load_external()
        self.published = sum(_size(t) for t in self.model.graph.initializer if t.data_type == FLOAT)

    def serialised(self):
        """The file's content with the fixed batch and all weights inside."""
        return self.model.SerializeToString()

    def _read(self):
        try:
            model = onnx.load_model(self.path, load_external_data=False)
        except DecodeError as error:
            raise self.broken("is not an ONNX file, or a broken one: export it again") from error
        if not model.graph.node:
            raise self.broken("contains no network: export it again")
        return model

    def _only_input(self):
        weights = {tensor.name for tensor in self.model.graph.initializer}
        weights.update(tensor.values.name for tensor in self.model.graph.sparse_initializer)
        inputs = [value for value in self.model.graph.input if value.name not in weights]
        if len(inputs) != 1:
            names = ", ".join(value.name for value in inputs) or "none"
            raise self.unsupported(
                "has %d inputs (%s), but only one can be fed: make constants of the others"
                % (len(inputs), names)
            )
        return inputs[0]

    def _set_batch(self, batch):
        """The input's shape without the batch."""
        name, tensor = self.input.name, self.input.type.tensor_type
        if tensor.elem_type != FLOAT:
            kind = onnx.TensorProto.DataType.Name(tensor.elem_type).lower()
            raise self.unsupported(
                "has an input, %s, of %s: export it with float input" % (name, kind)
            )
        dims = list(tensor.shape.dim)
        shown = "(%s)" % ", ".join(_shown(dim) for dim in dims)
        if len(dims) < 2:
            raise self.unsupported(
                "has an input, %s, of shape %s: export it with a batch" % (name, shown)
            )
        if any(not _fixed(dim) for dim in dims[1:]):
            raise self.unsupported(
                "has an input, %s, of shape %s: only the batch may be dynamic, export it with the "
                "rest fixed" % (name, shown)
            )
        if not _fixed(dims[0]):
            dims[0].dim_value = batch
        elif dims[0].dim_value != batch:
            raise self.unsupported(
                "has a fixed batch of %d, not %d: use --batch %d, or export it with a dynamic one"
                % (dims[0].dim_value, batch, dims[0].dim_value)
            )
        return tuple(dim.dim_value for dim in dims[1:])

    def _load_external(self):
        folder = os.path.dirname(self.path)
        size = self.model.ByteSize()
        for tensor in self.model.graph.initializer:
            if tensor.data_location == EXTERNAL:
                told = {entry.key: entry.value for entry in tensor.external_data}
                self._check_beside(folder, told.get("location", ""))
                size += int(told.get("length", 0))
        if size > LARGEST:
            raise self.unsupported("has more weights than fit into one ONNX file (2 GiB)")
        try:
            load_external_data_for_model(self.model, folder)
        except (IOError, OSError, ValueError, onnx.checker.ValidationError) as error:
            words = " ".join(str(error).split())
            raise self.broken("has weights in a file that cannot be read: %s" % words) from error

    def _check_beside(self, folder, location):
        if not os.path.isfile(os.path.join(folder, location)):
            raise self.broken(
                "has weights in another file, %s, which is not beside it (only %s.data and "
                "%s_data are taken along): save it as one file" % (location, self.name, self.name)
            )


def _fixed(dim):
    return dim.HasField("dim_value") and dim.dim_value > 0


def _shown(dim):
    return str(dim.dim_value) if _fixed(dim) else dim.dim_param or "?"


def _size(tensor):
    size = 1
    for dim in tensor.dims:
        size *= dim
    return size
