"""The options of every backend, `--option key=value`, by framework.

Like the zoo this needs no framework, so the host has it too and refuses a mistyped option before
anything starts. Each backend decides what "auto" means (`option_defaults`).
"""

from collections import namedtuple


class Option(namedtuple("Option", "name values help phase device")):
    """An option of a backend.

    `values` are what may be typed besides "auto"; `NUMBER` is any whole number from 1 to `MOST`.
    `phase` and `device` are the only ones for which it means something, None if it does for all.
    """

    __slots__ = ()

    def __new__(cls, name, values, help, phase=None, device=None):
        """Make an option."""
        return super(Option, cls).__new__(cls, name, values, help, phase, device)


# The best first; what they need is in `backends.harness.blas_kernel`.
BLAS_KERNELS = (
    "SkylakeX",
    "Cooperlake",
    "SapphireRapids",
    "Zen",
    "Haswell",
    "Sandybridge",
    "Nehalem",
    "Core2",
    "Prescott",
)
ON_OFF = ("on", "off")
NUMBER = ("N",)
MOST = 4096
_FOLD = Option(
    "fold_batch_norm", ON_OFF, "inference: normalization inside convolutions", "inference"
)
_ONLY_FOR = {
    "training": "only for training",
    "inference": "only for inference",
    "gpu": "only for GPUs",
    "cpu": "only for CPUs",
}


def why_not(option, phase, device):
    """Say why an option means nothing in a phase or on a device, "" if it does."""
    for wanted, given in ((option.phase, phase), (option.device, device)):
        if wanted not in (None, given):
            return _ONLY_FOR[wanted]
    return ""


def meaningless(framework, phase, device):
    """Option name -> why it means nothing in a phase or on a device."""
    reasons = ((one.name, why_not(one, phase, device)) for one in BY_FRAMEWORK[framework])
    return {name: reason for name, reason in reasons if reason}


BY_FRAMEWORK = {
    "pytorch": (
        Option("layout", ("contiguous", "channels_last"), "memory order of images"),
        _FOLD,
        Option("freeze", ON_OFF, "inference: TorchScript with constant weights", "inference"),
        Option(
            "optimize",
            ("fusion", "layouts", "off"),
            "CPU inference: the frozen network fused by oneDNN Graph, or in oneDNN's layouts "
            "(optimize_for_inference)",
            "inference",
            "cpu",
        ),
        Option("compile", ("off", "default", "max-autotune"), "torch.compile"),
        Option("cuda_graphs", ON_OFF, "GPU: replay the whole step as one graph", None, "gpu"),
        Option("optimizer", ("fused", "foreach", "plain"), "training: how SGD updates", "training"),
        Option(
            "cudnn_benchmark", ON_OFF, "GPU: try convolution algorithms in warm-up", None, "gpu"
        ),
    ),
    "tensorflow": (
        Option("execution", ("function", "session"), "a traced function (TF 2) or a v1 session"),
        Option("layout", ("channels_last", "channels_first"), "memory order of images"),
        Option("xla", ON_OFF, "compile with XLA (a function whole, a session in clusters)"),
        _FOLD,
        Option("freeze", ON_OFF, "inference: weights as constants of the graph", "inference"),
    ),
    "mxnet": (
        Option(
            "subgraph",
            ON_OFF,
            "CPU inference: MXNet's fusion of operators for oneDNN",
            "inference",
            "cpu",
        ),
        _FOLD,
        Option(
            "optimizer",
            ("aggregated", "plain"),
            "training: update many arrays at a time, or one",
            "training",
        ),
        Option(
            "cudnn_tune",
            ("limited_workspace", "fastest", "off"),
            "GPU: try convolution algorithms in warm-up, within 1 GiB each or without limit",
            None,
            "gpu",
        ),
    ),
    "caffe2": (
        Option(
            "net_type",
            ("simple", "dag", "async_scheduling"),
            "one operator after the other, or those at a time that can be",
        ),
        Option(
            "engine",
            ("ideep", "native"),
            "CPU: Intel's operators on oneDNN, or Caffe2's own",
            None,
            "cpu",
        ),
        _FOLD,
        Option(
            "nccl",
            ON_OFF,
            "training on several GPUs: NCCL sums gradients, or Caffe2's own copies and sums",
            "training",
            "gpu",
        ),
    ),
    "bvlc_caffe": (
        Option(
            "blas_kernel",
            ("library",) + BLAS_KERNELS,
            "OpenBLAS's code for a kind of CPU; auto: the best that this one supports",
            None,
            "cpu",
        ),
        _FOLD,
    ),
    "nvidia_caffe": (),
    "intel_caffe": (
        Option("engine", ("MKLDNN", "CAFFE", "MKL2017"), "the library that computes the layers"),
    ),
    "onnxruntime": (
        Option(
            "graph_optimization",
            ("all", "basic", "extended", "off"),
            "how far the graph is rewritten",
        ),
        Option(
            "execution_mode", ("parallel", "sequential"), "whether branches may run side by side"
        ),
        Option("io_binding", ON_OFF, "input and output arrays made once"),
        Option("spinning", ON_OFF, "waiting threads keep their CPU"),
    ),
    "openvino": (
        Option("hint", ("latency", "throughput"), "one batch at a time, or several side by side"),
    ),
}

# Options of the readers of images (`backends.harness.images`), for datasets that they read.
WORKERS = "workers"
AUGMENT = "augment"
_WORKERS = Option(WORKERS, NUMBER, "images: how many threads or processes decode")
_AUGMENT = Option(AUGMENT, ON_OFF, "training on images: crop at random, and mirror half of them")
READING = {
    "pytorch": (_WORKERS, _AUGMENT),
    "tensorflow": (_WORKERS, _AUGMENT),
    "mxnet": (_WORKERS, _AUGMENT),
    "caffe2": (_WORKERS, _AUGMENT),
    "bvlc_caffe": (_AUGMENT,),
    "nvidia_caffe": (_AUGMENT,),
    "intel_caffe": (_AUGMENT,),
    "onnxruntime": (_WORKERS,),
    "openvino": (_WORKERS,),
}
# Where a batch lies before the step that computes it.
DATA_PLACE = "data_place"
DEVICE, PAGEABLE, PINNED = "device", "pageable", "pinned"
PLACING = {
    "pytorch": (
        Option(
            DATA_PLACE,
            (DEVICE, PAGEABLE, PINNED),
            "where a batch lies before its step: on the device, or in the host's memory",
        ),
    ),
}


def feeding(framework):
    """The options of a framework that change how batches reach its steps."""
    return READING.get(framework, ()) + PLACING.get(framework, ())


def accepts(option, text):
    """Whether an option may have a value."""
    if text == "auto" or option.values != NUMBER:
        return text in ("auto",) + tuple(option.values)
    return is_number(text)


def is_number(text):
    """Whether text is a value of `NUMBER`."""
    return len(text) <= len(str(MOST)) and text.isdecimal() and 1 <= int(text) <= MOST


def misplaced(place, device, real, measure):
    """Why a batch cannot lie in a place before its step, or None.

    `real` says whether data is read, `measure` which part of a step is timed.
    """
    if place == PINNED and device == "cpu":
        return "pinned memory is copied to a GPU, and this run uses the CPU"
    if place != "auto" and measure == "input":
        return "a step that only reads puts its batch nowhere"
    held = not real or measure == "compute"
    if place == DEVICE and not held:
        return "real data is read to the host's memory in each step"
    if place in (PAGEABLE, PINNED) and measure == "compute":
        return "a step that only computes has its batch on the device"
    return None
