"""What runs of the zoo's networks and of the user's files share: pycaffe, and jobs on it."""

import os

from backends.caffe import arrays
from backends.harness import blas, blas_kernel, job, machine
from backends.harness.sgd import LEARNING_RATE, MOMENTUM

# Caffe logs a description of every layer it creates; warnings stay.
os.environ.setdefault("GLOG_minloglevel", "1")


def load():
    """The caffe module; importing it costs a second."""
    import caffe

    return caffe


def parse(text):
    """A network's text, parsed by Caffe's own schema; raises for an unknown word."""
    from google.protobuf import text_format

    return text_format.Parse(text, load().proto.caffe_pb2.NetParameter())


def rewritten(dialect, net, text, layers=None):
    """The engine that computes, and the number of layers that it does as part of others; {} in most
    forks.

    `layers` are those of the phase, by default all in the text.
    """
    if not dialect.rewrites:
        return {}
    message = parse(text)
    names = [layer.name for layer in (message.layer if layers is None else layers)]
    return {"engine": message.engine, "folded_layers": arrays.left_out(net, names)}


def run(net):
    """Forward through all layers, without pycaffe's copies of the outputs."""
    return net._forward(0, len(net.layers) - 1)


def chosen(settings):
    """The settings of a benchmark that change a network's text."""
    choices = {"dtype": settings.dtype}
    if "engine" in settings.options:
        choices["engine"] = settings.options["engine"]
    return choices


def choose_device(device):
    """Make "cpu" or "gpu" the place of what is run next."""
    caffe = load()
    if device == "cpu":
        caffe.set_mode_cpu()
        return
    caffe.set_device(0)
    caffe.set_mode_gpu()


def smallest(net):
    """The smallest array of weights, to be read: that waits for a GPU and moves it to the host."""
    return min((blob for blobs in net.params.values() for blob in blobs), key=lambda b: b.count)


class Placed(job.Fed):
    """A job of pycaffe on its device."""

    def __init__(self, settings, kernel):
        """Set threads, and the reported facts about the place; `kernel` is the backend's."""
        super(Placed, self).__init__()
        self.samples = settings.batch
        self.device_names = [machine.cpu_name() if settings.device == "cpu" else "GPU 0"]
        self.gpu = settings.device == "gpu"
        if self.gpu:
            self.timing = "host clock around each step; a step ends with a copy to the host"
        library, self.threads = blas.set_threads(settings.threads or machine.cpus())
        self.options["blas"] = library
        if not self.gpu:
            self._tell_kernel(kernel)

    def _tell_kernel(self, settled):
        """Record OpenBLAS's kernel, and what is doubtful about it."""
        running = blas.kernel()
        if running is None:
            return
        self.options[blas_kernel.OPTION] = running
        self.doubts += blas_kernel.doubts(settled, running, machine.cpu_flags())

    def peak_memory(self):
        """Of the process; pycaffe does not report a GPU's."""
        return None if self.gpu else super(Placed, self).peak_memory()


class Forward(Placed):
    """A job whose work is Caffe's Forward."""

    def read_out(self, net, output):
        """Let steps run a network; reading its blob `output` waits for a GPU."""
        self.net = net
        self._last = len(net.layers) - 1
        self._output = output

    def work(self):
        """Caffe's Forward; reading the output waits for a GPU."""
        self.net._forward(0, self._last)
        if self.gpu:
            self._output.data.ravel()


class Solving(Placed):
    """A job whose work is a solver's step: forward, loss, backward and a momentum SGD update."""

    def solve(self, solver):
        """Let steps run a solver."""
        self._solver = solver
        self.options.update(learning_rate=LEARNING_RATE, momentum=MOMENTUM, solver="SGD")
        self._weight = smallest(solver.net)

    def work(self):
        """Solver::Step; reading what it updated waits for a GPU."""
        self._solver.step(1)
        if self.gpu:
            self._weight.data.ravel()
