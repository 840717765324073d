"""Devices, threads and precision. Import this before TensorFlow itself."""

import inspect
import os
import statistics
from collections import namedtuple

from backends.tensorflow import environment

# Read by TensorFlow when it is loaded.
os.environ.setdefault(environment.ONEDNN, environment.onednn())
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf.rewriter_config_pb2 import RewriterConfig
from tensorflow.python.client import device_lib

from backends.harness import job, machine, ranks, release
from backends.harness.errors import Unsupported
from backends.tensorflow.build import v1
from backends.tensorflow.option_defaults import Facts

Place = namedtuple("Place", "config names capability threads inter_op")
Place.__doc__ = """Where to run: a v1 ConfigProto, the device's name, its compute capability
or None, threads inside an operation and operations at a time."""


SHARED = 8  # the most numbers that processes share at a time


def version():
    """(major, minor)."""
    return release.numbers(tf.__version__)


def onednn():
    """Whether oneDNN's kernels were requested; not every build and processor has them."""
    if version() < (2, 5):
        return "as built"
    return "off" if os.environ[environment.ONEDNN] in ("0", "false") else "on"


def has_bfloat16(path="/proc/cpuinfo"):
    """Whether the CPU has what oneDNN's bfloat16 kernels need; without it generic ones are used."""
    with open(path) as file:
        return "avx512" in file.read()


def open_place(settings, where):
    """Choose the device and set threads and precision; raises `Unsupported` without a GPU."""
    threads = settings.threads or ranks.share_of_cpus()
    config = v1.ConfigProto(
        intra_op_parallelism_threads=threads,
        inter_op_parallelism_threads=threads,
        allow_soft_placement=True,  # some kernels exist for CPUs only: CTC
    )
    config.gpu_options.allow_growth = True
    if settings.device == "cpu":
        config.device_count["GPU"] = 0
        _set_up_eager(None, threads)
        return Place(config, [machine.cpu_name()] * where.size, None, threads, threads)
    # It would choose another layout of images than the option says.
    if "layout_optimizer" in RewriterConfig.DESCRIPTOR.fields_by_name:
        config.graph_options.rewrite_options.layout_optimizer = RewriterConfig.OFF
    config.gpu_options.visible_device_list = str(where.local_rank)
    _set_up_eager(where.local_rank, threads)
    _set_tf32(settings.dtype == "tf32")
    name, capability = _gpu(config)
    _check_gpu_precision(settings.dtype, name, capability)
    # Processes on one machine are assumed to have devices of one kind.
    return Place(config, [name] * where.size, capability, threads, threads)


def _set_up_eager(gpu, threads):
    """TensorFlow 2's settings, which apply to functions; None hides all GPUs."""
    if version() < (2, 0):
        return
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    devices = tf.config.experimental.list_physical_devices("GPU")
    if gpu is not None and gpu >= len(devices):
        raise Unsupported("%d GPUs here, device %d was requested" % (len(devices), gpu))
    chosen = [] if gpu is None else [devices[gpu]]
    tf.config.experimental.set_visible_devices(chosen, "GPU")
    for device in chosen:
        tf.config.experimental.set_memory_growth(device, True)
    if chosen:  # as in a session
        tf.config.optimizer.set_experimental_options({"layout_optimizer": False})


def _set_tf32(allowed):
    switch = _experimental("enable_tensor_float_32_execution")
    if switch is not None:  # otherwise backends.harness.tf32 has set it
        switch(allowed)


def _experimental(name):
    """A function of tf.config.experimental; None if this version does not have it."""
    return getattr(getattr(getattr(tf, "config", None), "experimental", None), name, None)


def _gpu(config):
    """Name and compute capability, which both versions only give in a sentence."""
    known = inspect.signature(device_lib.list_local_devices).parameters
    # TensorFlow 1.4 takes no configuration here.
    keywords = {"session_config": config} if "session_config" in known else {}
    for device in device_lib.list_local_devices(**keywords):
        if device.device_type == "GPU":
            return parse_description(device.physical_device_desc)
    raise Unsupported("this TensorFlow (%s) sees no GPU" % tf.__version__)


def parse_description(text):
    """("Tesla V100-SXM2-16GB", (7, 0)) of "device: 0, name: ..., compute capability: 7.0"."""
    fields = dict(part.split(": ", 1) for part in text.split(", ") if ": " in part)
    capability = fields.get("compute capability", "0.0").split(".")
    return fields.get("name", "GPU"), (int(capability[0]), int(capability[1]))


def _check_gpu_precision(dtype, name, capability):
    needed = {"tf32": (8, 0), "bfloat16": (8, 0), "float16": (5, 3)}.get(dtype, (0, 0))
    if capability < needed:
        raise Unsupported(
            "%s needs compute capability %d.%d, %s has %d.%d"
            % ((dtype,) + needed + (name,) + capability)
        )


def facts(place):
    """What the choices depend on."""
    return Facts(version(), place.capability is not None and place.capability >= (7, 0))


class DeviceJob(job.Job):
    """Clock, barrier and memory for one device per process.

    Every step ends with a number on the host, so the host's clock is right on GPUs too.
    """

    def __init__(self, settings, where, place, execution):
        """`execution` is one of `backends.tensorflow.execution`."""
        super(DeviceJob, self).__init__()
        self.leader = where.rank == 0
        self.rank, self.processes = where.rank, where.size
        self.samples = settings.batch * where.size
        self.threads = place.threads
        self.device_names = place.names
        self.execution = execution
        self._gpu = settings.device == "gpu"
        self._ready = []
        self._sum = None
        if where.size > 1:
            self._shared = execution.variable("shared", np.zeros((where.size, SHARED)))
            average = where.exchange.average
            self._sum = execution.compile(
                lambda: ([average([tf.convert_to_tensor(self._shared)])[0] * where.size], [])
            )

    def share(self, numbers):
        """Every process adds its row to a matrix of zeros."""
        if self._sum is None:
            return super(DeviceJob, self).share(numbers)
        mine = np.zeros((self.processes, SHARED))
        mine[self.rank, : len(numbers)] = numbers
        self.execution.assign(self._shared, mine)
        return np.array(self.execution.array(self._sum()[0]))[:, : len(numbers)].tolist()

    def agree(self, number):
        """The leader's number."""
        return self.share([number])[0][0]

    def mark(self, index):
        """The host's clock."""
        if index == 0:
            self._ready = []
        super(DeviceJob, self).mark(index)

    def own(self, count):
        """Until the last gradient, if the step says when that was."""
        if len(self._ready) != count:
            return super(DeviceJob, self).own(count)
        return statistics.median(self._ready)

    def synchronize(self):
        """Wait for the other processes; a step waits for its device."""
        self.agree(0.0)

    def peak_memory(self):
        """Allocated tensors' peak on this GPU if TensorFlow reports it (2.5), or the process's."""
        if not self._gpu:
            return super(DeviceJob, self).peak_memory()
        ask = _experimental("get_memory_info")
        return ask("GPU:0")["peak"] if ask else None

    def close(self):
        """Free the device."""
        self.execution.close()
