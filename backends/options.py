"""The options of every backend, `--option key=value`, by framework.

Like the zoo this needs no framework, so the host has it too and refuses a mistyped option before
anything starts. Each backend decides what "auto" means (`option_defaults`).
"""

from collections import namedtuple

Option = namedtuple("Option", "name values help")
Option.__doc__ = """An option of a backend; `values` are what may be typed besides "auto"."""

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
_FOLD = Option("fold_batch_norm", ON_OFF, "inference: normalization inside convolutions")

BY_FRAMEWORK = {
    "pytorch": (
        Option("layout", ("contiguous", "channels_last"), "memory order of images"),
        _FOLD,
        Option("freeze", ON_OFF, "inference: TorchScript with constant weights"),
        Option(
            "optimize",
            ("fusion", "layouts", "off"),
            "CPU inference: the frozen network fused by oneDNN Graph, or in oneDNN's layouts "
            "(optimize_for_inference)",
        ),
        Option("compile", ("off", "default", "max-autotune"), "torch.compile"),
        Option("cuda_graphs", ON_OFF, "GPU: replay the whole step as one graph"),
        Option("optimizer", ("fused", "foreach", "plain"), "training: how SGD updates"),
        Option("cudnn_benchmark", ON_OFF, "GPU: try convolution algorithms in warm-up"),
    ),
    "tensorflow": (
        Option("execution", ("function", "session"), "a traced function (TF 2) or a v1 session"),
        Option("layout", ("channels_last", "channels_first"), "memory order of images"),
        Option("xla", ON_OFF, "compile with XLA (a function whole, a session in clusters)"),
        _FOLD,
        Option("freeze", ON_OFF, "inference: weights as constants of the graph"),
    ),
    "mxnet": (
        Option("subgraph", ON_OFF, "CPU inference: MXNet's fusion of operators for oneDNN"),
        _FOLD,
        Option(
            "optimizer", ("aggregated", "plain"), "training: update many arrays at a time, or one"
        ),
        Option(
            "cudnn_tune",
            ("limited_workspace", "fastest", "off"),
            "GPU: try convolution algorithms in warm-up, within 1 GiB each or without limit",
        ),
    ),
    "caffe2": (
        Option(
            "net_type",
            ("simple", "dag", "async_scheduling"),
            "one operator after the other, or those at a time that can be",
        ),
        Option("engine", ("ideep", "native"), "CPU: Intel's operators on oneDNN, or Caffe2's own"),
        _FOLD,
    ),
    "bvlc_caffe": (
        Option(
            "blas_kernel",
            ("library",) + BLAS_KERNELS,
            "OpenBLAS's code for a kind of CPU; auto: the best that this one supports",
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
