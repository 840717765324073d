"""What a solver keeps from one step to the next, read from a snapshot that it writes.

pycaffe shows the solver's network but not its history, which can only be written to a file.
"""

import os
import tempfile

import numpy as np


class Snapshots(object):
    """A temporary folder for one solver, which needs `prefix` as its snapshot_prefix."""

    def __init__(self):
        """The folder stays empty until a snapshot is requested."""
        self._folder = tempfile.TemporaryDirectory()
        self.prefix = os.path.join(self._folder.name, "solver")

    def history(self, solver, schema):
        """(layer, index) -> flat float32 array, for every blob of the network's layers.

        `schema` is Caffe's caffe_pb2. Raises ValueError if the solver keeps a different number of
        them.
        """
        params = solver.net.params
        places = [(layer, index) for layer in params for index in range(len(params[layer]))]
        kept = schema.SolverState.FromString(self._taken(solver)).history
        if len(kept) != len(places):
            raise ValueError("the solver keeps %d blobs of %d" % (len(kept), len(places)))
        return dict(zip(places, map(array, kept)))

    def _taken(self, solver):
        """The bytes of a snapshot of the solver's state; its files are removed afterwards."""
        solver.snapshot()
        paths = [os.path.join(self._folder.name, name) for name in os.listdir(self._folder.name)]
        state = [path for path in paths if path.endswith(".solverstate")]
        with open(state[0], "rb") as file:
            content = file.read()
        for path in paths:
            os.remove(path)
        return content

    def close(self):
        """Remove the folder."""
        self._folder.cleanup()


def array(blob):
    """A BlobProto's values, flat; its shape is dropped from the message."""
    raw = getattr(blob, "raw_data", b"")  # NVIDIA's way to store them
    if raw:
        return np.frombuffer(raw, dtype="<f4")
    # Without the shape a message ends with its values in memory order: some hundred times faster
    # than reading one after the other.
    blob.ClearField("shape")
    size = 4 * len(blob.data)
    return np.frombuffer(blob.SerializeToString()[-size:], dtype="<f4")
