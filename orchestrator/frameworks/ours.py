"""The frameworks that have our backend: the zoo's networks, proven equal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from backends.options import BY_FRAMEWORK, feeding
from orchestrator.frameworks.record import Framework, Option

if TYPE_CHECKING:
    from orchestrator.request import Dtype, Phase


def _options(name: str) -> dict[str, Option]:
    options = (*BY_FRAMEWORK[name], *feeding(name))
    return {one.name: Option(one.help, "auto", ("auto", *one.values)) for one in options}


PYTORCH = Framework(
    name="pytorch",
    title="PyTorch",
    program="benchdock",
    launcher="pytorch",
    package="torch",
    processes="always",
    ranks=True,
    backend="backends.pytorch",
    options=_options("pytorch"),
    dtypes={
        ("cpu", "training"): ("float32", "bfloat16"),
        ("cpu", "inference"): ("float32", "bfloat16"),
        ("gpu", "training"): ("float32", "tf32", "bfloat16", "float16"),
        ("gpu", "inference"): ("float32", "tf32", "bfloat16", "float16"),
    },
    images={"cpu": "pytorch-cpu", "gpu": "pytorch-gpu"},
)

TENSORFLOW = Framework(
    name="tensorflow",
    title="TensorFlow",
    program="benchdock",
    launcher="tensorflow",
    package="tensorflow",
    processes="always",
    ranks=True,
    backend="backends.tensorflow",
    options=_options("tensorflow"),
    dtypes={
        ("cpu", "training"): ("float32", "bfloat16"),
        ("cpu", "inference"): ("float32", "bfloat16"),
        ("gpu", "training"): ("float32", "tf32", "bfloat16", "float16"),
        ("gpu", "inference"): ("float32", "tf32", "bfloat16", "float16"),
    },
    images={"cpu": "tensorflow-cpu", "gpu": "ngc-tensorflow-25-02"},
)

_FLOAT32: Mapping[Phase, tuple[Dtype, ...]] = {"training": ("float32",), "inference": ("float32",)}
_NO_CTC = "it has no CTC loss"

CAFFE2 = Framework(
    name="caffe2",
    title="Caffe2",
    program="benchdock",
    launcher="caffe2",
    package="caffe2",
    ranks=True,
    backend="backends.caffe2",
    options=_options("caffe2"),
    dtypes={(d, p): f for d in ("cpu", "gpu") for p, f in _FLOAT32.items()},
    images={"cpu": "legacy-cpu", "gpu": "ngc-caffe2-18-08"},
    gaps={"deep_speech2": _NO_CTC},
)

BVLC_CAFFE = Framework(
    name="bvlc_caffe",
    aliases=("caffe",),
    title="BVLC Caffe",
    program="benchdock",
    launcher="bvlc_caffe",
    package="caffe",
    backend="backends.bvlc_caffe",
    options=_options("bvlc_caffe"),
    # The public GPU image, bvlc/caffe:gpu, has pycaffe for Python 2 only.
    dtypes={("cpu", p): f for p, f in _FLOAT32.items()},
    images={"cpu": "legacy-cpu"},
    files=(".prototxt",),
    gaps={"deep_speech2": _NO_CTC},
    multi_gpu=False,
    on_several_gpus="caffe_train",
)

NVIDIA_CAFFE = Framework(
    name="nvidia_caffe",
    title="NVIDIA Caffe",
    program="benchdock",
    launcher="nvidia_caffe",
    package="caffe",
    backend="backends.nvidia_caffe",
    options=_options("nvidia_caffe"),
    dtypes={("gpu", p): (*f, "float16") for p, f in _FLOAT32.items()},
    images={"gpu": "ngc-caffe-20-03"},
    files=(".prototxt",),
    gaps={"deep_speech2": _NO_CTC},
    # Its pycaffe has no NCCL (NVIDIA/caffe#318); its `caffe` binary starts a solver on each GPU.
    multi_gpu=False,
    on_several_gpus="caffe_train",
)

# Intel published recipes for images, but no image that is still available: use --image with yours.
INTEL_CAFFE = Framework(
    name="intel_caffe",
    title="Intel Caffe",
    program="benchdock",
    launcher="intel_caffe",
    package="caffe",
    backend="backends.intel_caffe",
    options=_options("intel_caffe"),
    dtypes={("cpu", p): f for p, f in _FLOAT32.items()},
    images={},
    files=(".prototxt",),
    gaps={"deep_speech2": _NO_CTC},
    multi_gpu=False,
)

# It has few CPU kernels for half precision, and training with it is another package.
ONNXRUNTIME = Framework(
    name="onnxruntime",
    title="ONNX Runtime",
    program="benchdock",
    launcher="onnxruntime",
    package="onnxruntime",
    backend="backends.onnxruntime",
    options=_options("onnxruntime"),
    dtypes={("cpu", "inference"): ("float32",)},
    images={"cpu": "onnxruntime-cpu"},
    files=(".onnx",),
    multi_gpu=False,
)

# Which dtypes a processor has instructions for is checked at run time.
OPENVINO = Framework(
    name="openvino",
    title="OpenVINO",
    program="benchdock",
    launcher="openvino",
    package="openvino",
    backend="backends.openvino",
    options=_options("openvino"),
    dtypes={("cpu", "inference"): ("float32", "bfloat16", "float16")},
    images={"cpu": "openvino-cpu"},
    files=(".onnx",),
    multi_gpu=False,
)

MXNET = Framework(
    name="mxnet",
    title="MXNet",
    program="benchdock",
    launcher="mxnet",
    package="mxnet",
    ranks=True,
    backend="backends.mxnet",
    options=_options("mxnet"),
    dtypes={
        ("cpu", "training"): ("float32",),
        ("cpu", "inference"): ("float32",),
        ("gpu", "training"): ("float32", "tf32", "float16"),
        ("gpu", "inference"): ("float32", "tf32", "float16"),
    },
    images={"cpu": "mxnet-cpu", "gpu": "ngc-mxnet-24-06"},
)

ENTRIES = (
    PYTORCH,
    TENSORFLOW,
    MXNET,
    CAFFE2,
    BVLC_CAFFE,
    NVIDIA_CAFFE,
    INTEL_CAFFE,
    ONNXRUNTIME,
    OPENVINO,
)
