"""Inference steps, and functions for parity and the self check.

Fulfils the contract in `backends.harness`.
"""

import sys

import numpy as np
import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from backends.harness import errors, release
from backends.onnx import reader, runs
from backends.onnx.build import build, with_outputs
from backends.onnx.own_network import FILES, OnnxNetwork  # noqa: F401 - FILES is part of the contract
from backends.options import BY_FRAMEWORK

TYPE_CHECKING = False  # mypy takes it for true; typing has it since Python 3.5.2 only
if TYPE_CHECKING:
    from backends.harness.contract import (
        Array,
        Arrays,
        Graph,
        Job,
        Kind,
        OwnNetwork,
        Settings,
        Shapes,
        Values,
    )

FRAMEWORK = "onnxruntime"
TITLE = "ONNX Runtime"
LEAST = (1, 6)  # the first one that supports opset 13 (its docs/Versioning.md)
# It has few CPU kernels for float16 and bfloat16: such a graph is mostly conversions.
DTYPES = ("float32",)

LEVELS = {
    "off": ort.GraphOptimizationLevel.ORT_DISABLE_ALL,
    "basic": ort.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    "extended": ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    "all": ort.GraphOptimizationLevel.ORT_ENABLE_ALL,
}
MODES = {
    "sequential": ort.ExecutionMode.ORT_SEQUENTIAL,
    "parallel": ort.ExecutionMode.ORT_PARALLEL,
}

# Its errors for a model that it cannot read or run; they have no common class.
ERRORS = (
    ort_errors.Fail,
    ort_errors.InvalidArgument,
    ort_errors.InvalidGraph,
    ort_errors.InvalidProtobuf,
    ort_errors.NotImplemented,
    ort_errors.RuntimeException,
)
# Errors that a newer release or another runtime may not have.
LACKING = ("is not a registered function", "no op registered", "is under development", "ir version")

OPTIONS = BY_FRAMEWORK["onnxruntime"]
READER = reader

DEFAULTS = (
    ("graph_optimization", "all"),
    # Every operator has all threads; branches of the zoo are too short to justify two pools.
    ("execution_mode", "sequential"),
    ("io_binding", "on"),
    ("spinning", "on"),
)


def version() -> str:
    """As ONNX Runtime reports it. Raises `Unsupported` if it is too old."""
    found = str(ort.__version__)
    release.check(TITLE, found, LEAST)
    return found


def classify(error: Exception) -> "Kind":
    """ONNX Runtime has a class for missing features, but none for lack of memory."""
    kind = errors.kind_by_words(error, unsupported=LACKING)
    return "unsupported" if kind is None and isinstance(error, ort_errors.NotImplemented) else kind


def make_session(model, used, threads):
    """A session that reads the model, bytes, with these options."""
    options = ort.SessionOptions()
    options.graph_optimization_level = LEVELS[used["graph_optimization"]]
    options.execution_mode = MODES[used["execution_mode"]]
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = threads if used["execution_mode"] == "parallel" else 1
    spin = "1" if used["spinning"] == "on" else "0"
    options.add_session_config_entry("session.intra_op.allow_spinning", spin)
    options.log_severity_level = 3  # errors
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def prepare(settings: "Settings", graph: "Graph", values: "Arrays") -> "Job":
    """A ready job; see the contract."""
    runs.check(settings, TITLE, DTYPES)
    return Inference(settings, graph, values, runs.resolve(settings.options, DEFAULTS))


class Inference(runs.Inference):
    """Runs a session, into new arrays or into one made once."""

    def __init__(self, settings, graph, values, used):
        """Read the model, bind the arrays if chosen."""
        super(Inference, self).__init__(settings, graph, used)
        self._session = make_session(runs.model_file(settings, graph, values), used, self.threads)
        self._given = {value.name: self._x for value in self._session.get_inputs()}
        self._logits = None
        self._binding = None
        if used["io_binding"] == "on":
            outputs = self._outputs(settings, graph)
            self._logits = outputs[-1]
            self._binding = bound(self._session, self._x, outputs)

    def _outputs(self, settings, graph):
        """Arrays to be filled; a file does not always give their shapes, a run does."""
        if isinstance(graph, OnnxNetwork):
            return self._session.run(None, self._given)
        return [np.empty((settings.batch,) + graph.output.shape, np.float32)]

    def try_out(self):
        """See `runs.Inference`."""
        return [np.shape(output) for output in self._session.run(None, self._given)]

    def work(self):
        """Run the session."""
        if self._binding is None:
            self._logits = self._session.run(None, self._given)[0]
        else:
            self._session.run_with_iobinding(self._binding)

    def logits(self):
        """Of the last step."""
        return self._logits.copy()


read_file = runs.read_file


def prepare_file(settings: "Settings", network: "OwnNetwork") -> "Job":
    """A ready job of the user's file."""
    return runs.prepare_file(settings, network, sys.modules[__name__], ERRORS)


def bound(session, x, outputs):
    """A binding of a session to its input and outputs, arrays that must outlive it."""
    binding = session.io_binding()
    (given,) = session.get_inputs()
    binding.bind_input(given.name, "cpu", 0, np.float32, x.shape, x.ctypes.data)
    for value, array in zip(session.get_outputs(), outputs):
        if isinstance(array, np.ndarray) and array.dtype != object:
            shape, address = array.shape, array.ctypes.data
            binding.bind_output(value.name, "cpu", 0, array.dtype, shape, address)
        else:  # text, or a sequence: the session creates it again in each run
            binding.bind_output(value.name)
    return binding


# -- parity and the self check -------------------------------------------------------------


def shapes(graph: "Graph") -> "Shapes":
    """Every node's shape as the session infers it; weights are inputs, so none are made."""
    model, tensors = with_outputs(build(graph, None, 1))
    session = make_session(model, dict(DEFAULTS, graph_optimization="off"), 1)
    found = {value.name: value.shape for value in session.get_inputs() + session.get_outputs()}
    for name, tensor in tensors.items():
        yield name, tuple(found[tensor][1:])


def activations(
    settings: "Settings", graph: "Graph", values: "Arrays", inputs: "Array"
) -> "Values":
    """Every node's value, nothing fused."""
    del settings  # one thread, whatever they say
    model, tensors = with_outputs(build(graph, values, len(inputs)))
    used = dict(DEFAULTS, graph_optimization="off")
    session = make_session(model, used, 1)
    wanted = [value.name for value in session.get_outputs()]
    found = dict(zip(wanted, session.run(wanted, {runs.INPUT: inputs})))
    found[runs.INPUT] = inputs
    for name, tensor in tensors.items():
        yield name, found[tensor]


def self_check() -> str:
    """See `runs.self_check`."""
    return runs.self_check(sys.modules[__name__])
