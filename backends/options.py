"""The options of every backend, `--option key=value`, by framework.

Like the zoo this needs no framework, so the host has it too and refuses a mistyped option before
anything starts. Each backend decides what "auto" means (`option_defaults`).
"""

from collections import namedtuple


class Option(namedtuple("Option", "name values help phase device")):
    """An option of a backend; `values` are what may be typed besides "auto".

    `phase` and `device` are the only ones for which it means something, None if it does for all.
    """

    __slots__ = ()

    def __new__(cls, name, values, help, phase=None, device=None):
        """Make an option."""
        return super(Option, cls).__new__(cls, name, values, help, phase, device)


ON_OFF = ("on", "off")
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


def misplaced(framework, phase, device):
    """Option name -> why it means nothing in a phase or on a device."""
    reasons = ((one.name, why_not(one, phase, device)) for one in BY_FRAMEWORK[framework])
    return {name: reason for name, reason in reasons if reason}


BY_FRAMEWORK = {
    "pytorch": (
        Option("layout", ("contiguous", "channels_last"), "memory order of images"),
        _FOLD,
        Option("freeze", ON_OFF, "inference: TorchScript with constant weights", "inference"),
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
    ),
    "bvlc_caffe": (),
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
