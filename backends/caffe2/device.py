"""Where nets run: devices, the copies of a network on them, and threads."""

from collections import namedtuple

from caffe2.proto import caffe2_pb2
from caffe2.python import core, workspace

from backends.caffe2 import ideep, option_defaults
from backends.harness import blas, machine
from backends.harness.errors import Unsupported

Copy = namedtuple("Copy", "prefix device")
Copy.__doc__ = """A network on one of the devices.

`prefix` begins the names of its blobs; `device` is its DeviceOption, None for Caffe2's own
operators on the CPU.
"""

Place = namedtuple("Place", "gpu copies")
Place.__doc__ = """Where nets run: on GPUs or not, and the `Copy` of each device."""


def open_place(settings):
    """The `Place` and the options used; raises `Unsupported` for what cannot run."""
    if settings.dtype != "float32":
        raise Unsupported("Caffe2 does not support %s here; use float32" % settings.dtype)
    gpu = settings.device == "gpu"
    if gpu:
        _check_gpus(settings.devices)
    facts = option_defaults.Facts(ideep.available(), core.IsOperator("NCCLAllreduce"))
    used = option_defaults.resolve(settings, facts)
    kind = "gpu" if gpu else "ideep" if used["engine"] == option_defaults.IDEEP else "cpu"
    several = settings.devices > 1
    return Place(
        gpu,
        [
            Copy("%s_%d/" % (kind, index) if several else "", _device(kind, index))
            for index in range(settings.devices)
        ],
    ), used


def _device(kind, index):
    if kind == "gpu":
        return core.DeviceOption(caffe2_pb2.CUDA, index)
    return ideep.device() if kind == "ideep" else None


def _check_gpus(wanted):
    if not workspace.has_gpu_support:
        raise Unsupported("this Caffe2 was built without CUDA")
    # It was renamed when AMD's GPUs came, in 2018.
    count = getattr(workspace, "NumGpuDevices", None) or workspace.NumCudaDevices
    if count() < wanted:
        raise Unsupported("this Caffe2 sees %d GPUs, %d were requested" % (count(), wanted))


def start(settings):
    """Initialize Caffe2 and clear its workspace; return the algebra library and the threads.

    The threads are those of each operator; Caffe2's default is one on any machine. Several copies
    on the CPU get equal shares.
    """
    workspace.ResetWorkspace()
    sharing = settings.devices if settings.device == "cpu" else 1
    threads = settings.threads or max(1, machine.cpus() // sharing)
    core.GlobalInit(
        [
            "caffe2",
            "--caffe2_log_level=3",
            "--caffe2_omp_num_threads=%d" % threads,
            "--caffe2_mkl_num_threads=%d" % threads,
        ]
    )
    return blas.set_threads(threads)[0], threads
