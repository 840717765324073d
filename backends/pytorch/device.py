"""Devices, processes and precision."""

import inspect
import os
import shutil
import statistics
import sys
import time
from collections import namedtuple

import torch

from backends.harness import job, machine, ranks, release
from backends.harness.errors import Unsupported
from backends.pytorch import releases
from backends.pytorch.option_defaults import Facts

World = namedtuple("World", "rank size local_rank local_size")
World.__doc__ = """This process among all that share the benchmark, one per device."""


def world(settings):
    """What the starter says (`backends.harness.ranks`, torchrun); one device needs none.

    Raises `Unsupported` if it was needed and not used.
    """
    if settings.devices == 1:
        return World(0, 1, 0, 1)
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size != settings.devices:
        raise Unsupported(
            "--devices %d needs as many processes, started by backends.harness.ranks; there is %d"
            % (settings.devices, size)
        )
    rank = int(os.environ.get("RANK", "0"))
    local_rank = int(os.environ.get("LOCAL_RANK", "0"))
    return World(rank, size, local_rank, int(os.environ.get("LOCAL_WORLD_SIZE", str(size))))


def open_device(settings, place):
    """The torch.device of this process; raises `Unsupported` if it is missing."""
    if settings.device == "cpu":
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise Unsupported("this PyTorch (%s) sees no GPU" % torch.__version__)
    if place.local_rank >= torch.cuda.device_count():
        raise Unsupported(
            "%d processes here, but %d GPUs" % (place.local_size, torch.cuda.device_count())
        )
    device = torch.device("cuda", place.local_rank)
    torch.cuda.set_device(device)
    _check_gpu_precision(settings.dtype, device)
    return device


def _check_gpu_precision(dtype, device):
    needed = {"tf32": (8, 0), "bfloat16": (8, 0), "float16": (5, 3)}.get(dtype, (0, 0))
    found = torch.cuda.get_device_capability(device)
    if found < needed:
        raise Unsupported(
            "%s needs compute capability %d.%d, %s has %d.%d"
            % ((dtype,) + needed + (torch.cuda.get_device_name(device),) + found)
        )


def join(place, device):
    """Enter the process group, if there is more than one process."""
    if place.size > 1:
        backend = "nccl" if device.type == "cuda" else "gloo"
        torch.distributed.init_process_group(backend, rank=place.rank, world_size=place.size)


def set_threads(settings):
    """Use --threads, else this process's share of the CPUs; return how many."""
    threads = settings.threads or ranks.share_of_cpus()
    torch.set_num_threads(threads)
    return threads


def set_precision(dtype, cudnn_benchmark):
    """Set the arithmetic of float32, and whether cuDNN tries its algorithms."""
    releases.allow_tf32(dtype == "tf32")
    torch.backends.cudnn.benchmark = cudnn_benchmark


def facts(device):
    """The features of this PyTorch on this device."""
    version = release.numbers(torch.__version__)
    arguments = inspect.signature(torch.optim.SGD.__init__).parameters
    gpu = device.type == "cuda"
    return Facts(
        version=version,
        # Fused SGD came to GPUs in 2.3 and to CPUs in 2.4.
        fused_sgd="fused" in arguments and (gpu or version >= (2, 4)),
        foreach_sgd="foreach" in arguments,
        compiler=_has_compiler(gpu),
        cuda_graphs=gpu and hasattr(torch.cuda, "CUDAGraph"),
        # Python 3.14 broke TorchScript, and nobody will fix it.
        torchscript=version >= (1, 13) and sys.version_info < (3, 14),
        tensor_cores=gpu and torch.cuda.get_device_capability(device) >= (7, 0),
    )


def _has_compiler(gpu):
    if gpu:
        try:
            import triton  # noqa: F401 - only to see if it is there
        except ImportError:
            return False
        return any(shutil.which(name) for name in ("cc", "gcc", "clang"))
    return any(shutil.which(name) for name in ("g++", "clang++"))


class DeviceJob(job.Job):
    """Clock, barrier and memory for one device per process."""

    def __init__(self, settings, place, device):
        """Call `join` first."""
        super(DeviceJob, self).__init__()
        self.place = place
        self.device = device
        self.leader = place.rank == 0
        self.rank, self.processes = place.rank, place.size
        self.samples = settings.batch * place.size
        self.device_names = self._names()
        self._events = []
        self._ready = []
        if self._gpu:
            self.timing = "device events recorded between steps; blocks by the host clock"
            releases.reset_peak_memory(device)

    @property
    def _gpu(self):
        return self.device.type == "cuda"

    def _names(self):
        mine = torch.cuda.get_device_name(self.device) if self._gpu else machine.cpu_name()
        if self.place.size == 1:
            return [mine]
        if not hasattr(torch.distributed, "all_gather_object"):  # 1.7
            return [mine] * self.place.size
        names = [None] * self.place.size
        torch.distributed.all_gather_object(names, mine)
        return names

    def synchronize(self):
        """Wait for this device, the current one, then for all the others."""
        if self._gpu:
            torch.cuda.synchronize()
        if self.place.size > 1:
            torch.distributed.barrier()
            if self._gpu:
                torch.cuda.synchronize()

    def mark(self, index):
        """On a GPU an event in the stream, which takes microseconds and does not wait."""
        if index == 0:
            self._ready = []
        if not self._gpu:
            super(DeviceJob, self).mark(index)
            return
        if index == len(self._events):
            self._events.append(torch.cuda.Event(enable_timing=True))
        self._events[index].record()

    def intervals(self, count):
        """Seconds between marks."""
        if not self._gpu:
            return super(DeviceJob, self).intervals(count)
        events = self._events
        return [events[i].elapsed_time(events[i + 1]) / 1e3 for i in range(count)]

    def note_last_gradient(self, parameter):
        """Note in every step when the gradient of the first layer is there, always the last one.

        It has not been exchanged then.
        """
        parameter.register_hook(self._note_ready)

    def _note_ready(self, _gradient):
        if not self._gpu:
            self._ready.append(time.perf_counter())
            return
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        self._ready.append(event)

    def own(self, count):
        """Until the last gradient, if gradients are exchanged."""
        if len(self._ready) != count:
            return super(DeviceJob, self).own(count)
        if self._gpu:
            pairs = zip(self._events, self._ready)
            return statistics.median(begin.elapsed_time(ready) / 1e3 for begin, ready in pairs)
        return statistics.median(ready - begin for begin, ready in zip(self._marks, self._ready))

    def share(self, numbers):
        """Gather every process's numbers."""
        if self.place.size == 1:
            return super(DeviceJob, self).share(numbers)
        mine = torch.tensor(list(numbers), dtype=torch.float64, device=self.device)
        boxes = [torch.zeros_like(mine) for _ in range(self.place.size)]
        torch.distributed.all_gather(boxes, mine)
        return [box.tolist() for box in boxes]

    def agree(self, number):
        """Broadcast the leader's number."""
        if self.place.size == 1:
            return number
        box = torch.tensor([number], dtype=torch.float64, device=self.device)
        torch.distributed.broadcast(box, 0)
        return box.item()

    def peak_memory(self):
        """Allocated tensors' peak on this GPU, or the process's on a CPU."""
        if self._gpu:
            return torch.cuda.max_memory_allocated(self.device)
        return super(DeviceJob, self).peak_memory()

    def close(self):
        """Leave the process group."""
        if self.place.size > 1:
            torch.distributed.destroy_process_group()
