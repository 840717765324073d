"""Devices: which ones there are, their names, and when their work is done."""

import ctypes
import statistics
import time

import mxnet as mx

from backends.harness import job, machine, release
from backends.harness.errors import Unsupported
from backends.mxnet import environment, watch
from backends.mxnet.option_defaults import Facts

# Attributes of cuDeviceGetAttribute: compute capability, major and minor.
CAPABILITY = (75, 76)
# Steps that may be queued while an earlier one is waited for: a GPU never runs dry.
AHEAD = 1


def contexts(settings):
    """One mx.Context per device; raises `Unsupported` for missing devices."""
    if settings.device == "cpu":
        return [mx.cpu(index) for index in range(settings.devices)]
    found = gpu_count()
    if found < settings.devices:
        raise Unsupported("this MXNet (%s) sees %d GPUs" % (mx.__version__, found))
    check_capability(settings.dtype, [capability(i) for i in range(settings.devices)])
    return [mx.gpu(index) for index in range(settings.devices)]


def gpu_count():
    """How many GPUs MXNet can use; none if it was built without CUDA."""
    if hasattr(mx.context, "num_gpus"):  # since 1.3
        try:
            return mx.context.num_gpus()
        except mx.base.MXNetError:
            return 0
    # Trying one after the other would end in an exception on one of MXNet's threads.
    count = ctypes.c_int()
    return count.value if _driver("cuDeviceGetCount", ctypes.byref(count)) else 0


def _driver(function, *arguments):
    """Call the CUDA driver; False if it is missing or refuses."""
    try:
        library = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return library.cuInit(0) == 0 and getattr(library, function)(*arguments) == 0


def capability(index):
    """Compute capability as (major, minor); None if the driver does not say."""
    numbers = []
    for attribute in CAPABILITY:
        number = ctypes.c_int()
        if not _driver("cuDeviceGetAttribute", ctypes.byref(number), attribute, index):
            return None
        numbers.append(number.value)
    return tuple(numbers)


def check_capability(dtype, found):
    """Raise `Unsupported` if a GPU has no arithmetic of this kind."""
    needed = {"tf32": (8, 0), "float16": (5, 3)}.get(dtype, (0, 0))
    for index, one in enumerate(found):
        if one is not None and one < needed:
            raise Unsupported(
                "%s needs compute capability %d.%d, GPU %d has %d.%d"
                % ((dtype,) + needed + (index,) + one)
            )


def gpu_name(index):
    """The name from the CUDA driver."""
    text = ctypes.create_string_buffer(256)
    found = _driver("cuDeviceGetName", text, ctypes.c_int(256), index)
    return text.value.decode("ascii", "replace") if found else "GPU %d" % index


def facts():
    """The features of this MXNet."""
    return Facts(
        version=release.numbers(mx.__version__),
        subgraph=_has_subgraphs(),
        aggregation=getattr(mx.optimizer.create("sgd"), "aggregate_num", 0) > 0,
    )


def _has_subgraphs():
    if not hasattr(mx, "runtime"):  # since 1.5, as are subgraphs that can be relied on
        return False
    try:
        return mx.runtime.Features().is_enabled("MKLDNN")
    except RuntimeError:  # 2.0 renamed it
        return False


class DeviceJob(job.Job):
    """Clock, barrier and memory for all devices, which are used by one process.

    MXNet queues work and has no timed events, so the end of a step is when its marker, an
    array computed from the step's last result, can be read.
    """

    timing = "host clock at the end of each step, the next one already queued"

    def __init__(self, settings, places):
        """`places` are the contexts."""
        super(DeviceJob, self).__init__()
        self.places = places
        self.samples = settings.batch * len(places)
        self.threads = environment.threads()
        gpu = settings.device == "gpu"
        self.device_names = [gpu_name(p.device_id) if gpu else machine.cpu_name() for p in places]
        self._waiting = []
        # On a CPU one worker runs the operators of all copies: none is ready before another.
        self._watch = watch.Watch(len(places)) if gpu and len(places) > 1 else None
        self._free = [_free_memory(place) for place in places] if gpu else None

    def markers(self):
        """Arrays that can be read when all that was queued until now is done."""
        raise NotImplementedError

    def mark(self, index):
        """The end of a step, if not of this one then of the one before it."""
        if index == 0:
            self._marks = [time.perf_counter()]
            if self._watch is not None:
                self._watch.restart()
            return
        self._waiting.append(self.markers())
        if self._watch is not None:
            self._watch.note(watch.DONE, self._waiting[-1])
        if len(self._waiting) > AHEAD:
            self._wait()

    def _wait(self):
        for marker in self._waiting.pop(0):
            marker.wait_to_read()
        self._marks.append(time.perf_counter())

    def ready(self, arrays):
        """Call when the work is queued after which devices wait for each other, with an array of
        each that can be read when it is done.
        """
        if self._watch is not None:
            self._watch.note(watch.READY, arrays)

    def owns(self):
        """From the end of each device's step before until it was ready, or had done this one."""
        if self._watch is None:
            return []
        medians = []
        for moments in self._watch.moments():
            begins = [self._marks[0]] + moments[watch.DONE][:-1]
            ends = moments[watch.READY] or moments[watch.DONE]
            medians.append(statistics.median(e - b for b, e in zip(begins, ends)))
        return medians

    def synchronize(self):
        """Wait for all devices."""
        while self._waiting:
            self._wait()
        mx.nd.waitall()
        if self._watch is not None:
            self._watch.moments()

    def peak_memory(self):
        """The memory that MXNet took on the fullest GPU, because its pool gives nothing back."""
        if self._free is None:
            return super(DeviceJob, self).peak_memory()
        now = [_free_memory(place) for place in self.places]
        if None in now:
            return None
        return max(before - after for before, after in zip(self._free, now))

    def close(self):
        """End the threads that watch the devices."""
        super(DeviceJob, self).close()
        if self._watch is not None:
            self._watch.close()


def first_value(array):
    """A marker: a number of an array, copied when the array can be read."""
    return mx.nd.slice(array.reshape((-1,)), (0,), (1,))


def _free_memory(place):
    if not hasattr(mx.context, "gpu_memory_info"):  # since 1.5
        return None
    return mx.context.gpu_memory_info(place.device_id)[0]
