"""A solver's history, from the snapshot that it writes."""

import json
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from backends.caffe.history import Snapshots, array


class Blob:
    """A BlobProto of Caffe's: its values packed, and its shape after them."""

    def __init__(self, values):
        self.data = values
        self._shape = b"\x3a\x01\x02"

    def ClearField(self, name):  # noqa: N802 - protobuf's name
        assert name == "shape"
        self._shape = b""

    def SerializeToString(self):  # noqa: N802 - protobuf's name
        packed = np.array(self.data, dtype="<f4").tobytes()
        return b"\x2a" + bytes([len(packed)]) + packed + self._shape


class Solver:
    """Writes its history as JSON where it is told to."""

    def __init__(self, prefix, params, history):
        self.net = SimpleNamespace(params=params)
        self._prefix = prefix
        self._history = history

    def snapshot(self):
        Path(self._prefix + "_iter_3.caffemodel").write_bytes(b"weights")
        Path(self._prefix + "_iter_3.solverstate").write_text(json.dumps(self._history))


class SolverState:
    """Stands in for the message of that name."""

    @staticmethod
    def FromString(content):  # noqa: N802 - protobuf's name
        return SimpleNamespace(history=[Blob(values) for values in json.loads(content)])


SCHEMA = SimpleNamespace(SolverState=SolverState)


def test_every_blob_gets_its_part_of_the_history_and_no_file_stays():
    snapshots = Snapshots()
    folder = os.path.dirname(snapshots.prefix)
    params = {"conv": ["weight", "bias"], "dense": ["weight"]}
    solver = Solver(snapshots.prefix, params, [[1.0, 2.0], [0.5], [3.0]])
    found = snapshots.history(solver, SCHEMA)
    assert {place: kept.tolist() for place, kept in found.items()} == {
        ("conv", 0): [1.0, 2.0],
        ("conv", 1): [0.5],
        ("dense", 0): [3.0],
    }
    assert os.listdir(folder) == []
    snapshots.close()
    assert not os.path.exists(folder)


def test_a_history_of_other_blobs_is_not_guessed_at():
    snapshots = Snapshots()
    solver = Solver(snapshots.prefix, {"conv": ["weight", "bias"]}, [[1.0]])
    with pytest.raises(ValueError, match="keeps 1 blobs of 2"):
        snapshots.history(solver, SCHEMA)
    snapshots.close()


def test_nvidias_raw_values_are_read_too():
    raw = SimpleNamespace(raw_data=np.array([1.5, -2.0], dtype="<f4").tobytes())
    assert array(raw).tolist() == [1.5, -2.0]
