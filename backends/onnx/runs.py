"""Common to all programs that run an ONNX model."""

from collections import OrderedDict

import numpy as np

from backends.harness import data, job, machine, own_network, smoke
from backends.harness.errors import Unsupported
from backends.onnx import reader
from backends.onnx.build import build
from backends.onnx.own_network import OnnxNetwork

TYPE_CHECKING = False  # mypy takes it for true; typing has it since Python 3.5.2 only
if TYPE_CHECKING:
    from backends.harness.contract import OwnNetwork, Settings

INPUT = "input"  # its name in the zoo


def check(settings, title, dtypes):
    """Raise `Unsupported` for anything but inference on one CPU in one of the `dtypes`."""
    if settings.phase != "inference":
        raise Unsupported("%s only supports inference here" % title)
    if settings.device != "cpu" or settings.devices != 1:
        raise Unsupported("%s runs on the CPU here, as one device" % title)
    if settings.dtype not in dtypes:
        raise Unsupported(
            "%s does not support %s on this CPU; use one of: %s"
            % (title, settings.dtype, ", ".join(dtypes))
        )


def resolve(asked, defaults):
    """Option name -> value: the requested one, else the default."""
    return OrderedDict(
        (name, value if asked[name] == "auto" else asked[name]) for name, value in defaults
    )


def threads(settings):
    """Use --threads, else every CPU this process may use."""
    return settings.threads or machine.cpus()


class Inference(job.Fed):
    """Feeds batches to a model with an array as input; a subclass fills in `work`.

    The array is the model's input itself: synthetic data is there before the clock starts,
    real data is copied into it within the step.
    """

    def __init__(self, settings, graph, used):
        """`used` is what `resolve` gave."""
        super(Inference, self).__init__()
        self.options = OrderedDict(used)
        self.threads = threads(settings)
        self.samples = settings.batch
        self.device_names = [machine.cpu_name()]
        source = data.source(settings, graph, reader=reader)
        self.feeds = [(source, self.feed)]
        # A copy: a reader uses the memory of its batch again.
        self._x = np.array(source.next()[0], order="C")

    def try_out(self):
        """Run one batch; return the shapes of all outputs."""
        raise NotImplementedError

    def feed(self, inputs, labels):
        """Copy a batch to the array that the model reads."""
        del labels  # nothing to train
        np.copyto(self._x, inputs)


def model_file(settings, graph, values):
    """The model of a benchmark: with a fixed batch size a reader can plan everything."""
    if isinstance(graph, OnnxNetwork):
        return graph.serialised()
    return build(graph, values, settings.batch).proto.SerializeToString()


def read_file(path: str, settings: "Settings") -> "OwnNetwork":
    """The user's ONNX file with the requested batch."""
    return OnnxNetwork(path, settings.batch)


def prepare_file(settings, network, backend, errors):
    """A ready job of the user's ONNX file, which was run once.

    `errors` are the framework's classes of errors about a model.
    """
    with own_network.refusals(network, backend.TITLE, errors, backend.classify):
        prepared = backend.prepare(settings, network, None)
        own_network.check_outputs(network, settings.batch, prepared.try_out())
    return prepared


def self_check(backend):
    """Let the framework read every model without weights, and run the smallest with them."""
    attempt = smoke.as_drawn(backend.shapes)
    return smoke.check(backend.prepare, backend.OPTIONS, attempt, "load", phases=("inference",))
