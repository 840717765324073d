"""Inference steps, and functions for parity and the self check.

Fulfils the contract in `backends.harness`.
"""

import io
import sys
import time
from collections import OrderedDict

import openvino

from backends.harness import errors, release
from backends.harness.errors import Unsupported
from backends.onnx import reader, runs
from backends.onnx.build import build, with_outputs
from backends.onnx.own_network import FILES  # noqa: F401 - part of the contract
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

FRAMEWORK = "openvino"
TITLE = "OpenVINO"
DEVICE = "CPU"

# Our name -> OpenVINO's, and the required capability of the processor. If bfloat16 is fast,
# OpenVINO computes float32 models with it by default, so the precision is always set.
PRECISIONS = OrderedDict(
    [("float32", ("f32", "FP32")), ("bfloat16", ("bf16", "BF16")), ("float16", ("f16", "FP16"))]
)

LEAST = (2023, 1)

LACKING = ("not supported", "unsupported", "does not support")

OPTIONS = BY_FRAMEWORK["openvino"]
READER = reader

# As in all frameworks here: a step is one batch, computed by all threads.
DEFAULTS = (("hint", "latency"),)


def version() -> str:
    """As OpenVINO reports it, without its build number. Raises `Unsupported` if it is too old.

    Until 2022.3 the package is only a name for others and has no version.
    """
    if not hasattr(openvino, "__version__"):
        raise Unsupported("this OpenVINO is too old: use OpenVINO %d.%d or newer" % LEAST)
    found = str(openvino.__version__).split("-")[0]
    release.check(TITLE, found, LEAST)
    return found


def classify(error: Exception) -> "Kind":
    """OpenVINO reports most errors as RuntimeError; only the text differs."""
    return errors.kind_by_words(error, (), LACKING if isinstance(error, RuntimeError) else ())


def dtypes():
    """The types that this processor has instructions for."""
    capabilities = openvino.Core().get_property(DEVICE, "OPTIMIZATION_CAPABILITIES")
    return [name for name in PRECISIONS if PRECISIONS[name][1] in capabilities]


def read(model):
    """OpenVINO's model of ONNX bytes."""
    return openvino.Core().read_model(io.BytesIO(model))


def compiled(model, used, dtype, threads):
    """A model, ONNX bytes, ready to run with these options."""
    settings = {
        "PERFORMANCE_HINT": used["hint"].upper(),
        "INFERENCE_PRECISION_HINT": PRECISIONS[dtype][0],
        "INFERENCE_NUM_THREADS": threads,
    }
    return openvino.Core().compile_model(read(model), DEVICE, settings)


def prepare(settings: "Settings", graph: "Graph", values: "Arrays") -> "Job":
    """A ready job; see the contract."""
    runs.check(settings, TITLE, dtypes())
    used = runs.resolve(settings.options, DEFAULTS)
    kind = Latency if used["hint"] == "latency" else Throughput
    return kind(settings, graph, values, used)


read_file = runs.read_file


def prepare_file(settings: "Settings", network: "OwnNetwork") -> "Job":
    """A ready job of the user's file."""
    return runs.prepare_file(settings, network, sys.modules[__name__], (RuntimeError,))


class Inference(runs.Inference):
    """Common to both ways of running; `requests` all read the same array."""

    def __init__(self, settings, graph, values, used):
        """Read and compile the model."""
        super(Inference, self).__init__(settings, graph, used)
        model = runs.model_file(settings, graph, values)
        self._compiled = compiled(model, used, settings.dtype, self.threads)
        self._tensor = openvino.Tensor(self._x, shared_memory=True)
        for name in ("INFERENCE_NUM_THREADS", "NUM_STREAMS"):
            self.options[name.lower()] = int(self._compiled.get_property(name))

    def try_out(self):
        """See `runs.Inference`."""
        request = self._compiled.create_infer_request()
        request.set_input_tensor(self._tensor)
        request.infer()
        return [tuple(tensor.shape) for tensor in request.output_tensors]


class Latency(Inference):
    """One batch at a time."""

    def __init__(self, settings, graph, values, used):
        """See `Inference`."""
        super(Latency, self).__init__(settings, graph, values, used)
        self._request = self._compiled.create_infer_request()
        self._request.set_input_tensor(self._tensor)

    def work(self):
        """Run the request."""
        self._request.infer(share_outputs=True)

    def logits(self):
        """Of the last step."""
        return self._request.get_output_tensor().data.copy()


class Throughput(Inference):
    """As many batches in flight as OpenVINO chooses; a step adds one more."""

    timing = "host clock at each batch's completion; several are in flight at a time"

    def __init__(self, settings, graph, values, used):
        """See `Inference`."""
        super(Throughput, self).__init__(settings, graph, values, used)
        self._queue = openvino.AsyncInferQueue(self._compiled)
        self._queue.set_callback(self._note)
        self.options["requests"] = len(self._queue)
        self._done = []
        self._last = None
        self._given = None
        ((source, _),) = self.feeds
        if source.fixed:
            for request in self._queue:
                request.set_input_tensor(self._tensor)
        else:
            self.feeds = [(source, self._give)]

    def _give(self, inputs, labels):
        """Give the next request a batch of its own: others may still read theirs."""
        del labels  # nothing to train
        self._given = {0: inputs}

    def _note(self, request, _data):
        self._last = request
        self._done.append(time.perf_counter())

    def work(self):
        """Wait for a free request and start it; real data is copied into the request."""
        self._queue.start_async(self._given)

    def logits(self):
        """Of the request that was done last."""
        return self._last.get_output_tensor().data.copy()

    def synchronize(self):
        """Wait for all batches in flight."""
        self._queue.wait_all()

    def mark(self, index):
        """Note where a block starts; the rest is noted as batches are done."""
        if index == 0:
            self._done = [time.perf_counter()]

    def intervals(self, count):
        """Seconds between completions."""
        ends = sorted(self._done)
        return [ends[i + 1] - ends[i] for i in range(count)]


# -- parity and the self check -------------------------------------------------------------


def shapes(graph: "Graph") -> "Shapes":
    """Every node's shape as OpenVINO infers it; weights are inputs, so none are generated."""
    serialised, tensors = with_outputs(build(graph, None, 1))
    model = read(serialised)
    found = {}
    for value in model.inputs + model.outputs:
        for name in value.names:
            found[name] = tuple(value.shape)[1:]
    for name, tensor in tensors.items():
        yield name, found[tensor]


def activations(
    settings: "Settings", graph: "Graph", values: "Arrays", inputs: "Array"
) -> "Values":
    """Every node's value; outputs keep their nodes from being fused away."""
    serialised, tensors = with_outputs(build(graph, values, len(inputs)))
    network = compiled(serialised, dict(DEFAULTS), settings.dtype, 1)
    found = network(inputs)
    for name, tensor in tensors.items():
        yield name, inputs if tensor == runs.INPUT else found[network.output(tensor)]


def self_check() -> str:
    """See `runs.self_check`."""
    return runs.self_check(sys.modules[__name__])
