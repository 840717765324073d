"""What can run where, and why not: frameworks, their phases, number types, images and gaps.

Pure data and pure functions; nothing here looks at the machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from orchestrator.errors import RequestError, unknown

if TYPE_CHECKING:
    from backends.zoo.graph import Graph
    from orchestrator.request import Device, Dtype, Phase, Request


@dataclass(frozen=True, kw_only=True)
class Framework:
    """One row of the framework table.

    `dtypes` tells per device and phase what the backend can do; `gaps` names the models that it
    cannot draw, with the reason; `images` and `defaults` are per device.
    """

    name: str
    title: str
    program: str
    launcher: str
    backend: str
    dtypes: Mapping[tuple[Device, Phase], tuple[Dtype, ...]]
    images: Mapping[Device, str]
    aliases: tuple[str, ...] = ()
    gaps: Mapping[str, str] = field(default_factory=dict)
    multi_gpu: bool = True


@dataclass(frozen=True, kw_only=True)
class Defaults:
    """What benchdock chooses where the request is silent. Warm-up ends by steps and by seconds."""

    batch: int
    steps: int
    warmup: int
    warmup_seconds: float


DEFAULTS: Mapping[Device, Defaults] = {
    "cpu": Defaults(batch=8, steps=20, warmup=3, warmup_seconds=0.0),
    "gpu": Defaults(batch=32, steps=100, warmup=20, warmup_seconds=2.0),
}

PYTORCH = Framework(
    name="pytorch",
    title="PyTorch",
    program="benchdock",
    launcher="pytorch",
    backend="backends.pytorch",
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
    backend="backends.tensorflow",
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
    backend="backends.caffe2",
    dtypes={(d, p): f for d in ("cpu", "gpu") for p, f in _FLOAT32.items()},
    images={"cpu": "legacy-cpu", "gpu": "ngc-caffe2-18-08"},
    gaps={"deep_speech2": _NO_CTC},
    multi_gpu=False,
)

BVLC_CAFFE = Framework(
    name="bvlc_caffe",
    aliases=("caffe",),
    title="BVLC Caffe",
    program="benchdock",
    launcher="bvlc_caffe",
    backend="backends.bvlc_caffe",
    # The public GPU image, bvlc/caffe:gpu, has pycaffe for Python 2 only.
    dtypes={("cpu", p): f for p, f in _FLOAT32.items()},
    images={"cpu": "legacy-cpu"},
    gaps={"deep_speech2": _NO_CTC},
    multi_gpu=False,
)

NVIDIA_CAFFE = Framework(
    name="nvidia_caffe",
    title="NVIDIA Caffe",
    program="benchdock",
    launcher="nvidia_caffe",
    backend="backends.nvidia_caffe",
    dtypes={("gpu", p): (*f, "float16") for p, f in _FLOAT32.items()},
    images={"gpu": "ngc-caffe-20-03"},
    gaps={"deep_speech2": _NO_CTC},
    multi_gpu=False,
)

# Intel published recipes for images and no image that is still to be had: --image names one's own.
INTEL_CAFFE = Framework(
    name="intel_caffe",
    title="Intel Caffe",
    program="benchdock",
    launcher="intel_caffe",
    backend="backends.intel_caffe",
    dtypes={("cpu", p): f for p, f in _FLOAT32.items()},
    images={},
    gaps={"deep_speech2": _NO_CTC},
    multi_gpu=False,
)

# Its CPU kernels for half precision are few, and training with it is another package.
ONNXRUNTIME = Framework(
    name="onnxruntime",
    title="ONNX Runtime",
    program="benchdock",
    launcher="onnxruntime",
    backend="backends.onnxruntime",
    dtypes={("cpu", "inference"): ("float32",)},
    images={"cpu": "onnxruntime-cpu"},
    multi_gpu=False,
)

# Which of the dtypes a processor has instructions for is asked when it runs.
OPENVINO = Framework(
    name="openvino",
    title="OpenVINO",
    program="benchdock",
    launcher="openvino",
    backend="backends.openvino",
    dtypes={("cpu", "inference"): ("float32", "bfloat16", "float16")},
    images={"cpu": "openvino-cpu"},
    multi_gpu=False,
)

# trtexec times an ONNX file that our writer makes, which needs NumPy and onnx: NVIDIA's PyTorch
# image has both beside TensorRT, its TensorRT image neither. int8 without calibration is right in
# time and wrong in values.
TENSORRT = Framework(
    name="tensorrt",
    title="TensorRT",
    program="trtexec",
    launcher="tensorrt",
    backend="backends.onnx",
    dtypes={("gpu", "inference"): ("float32", "tf32", "float16", "bfloat16", "int8")},
    images={"gpu": "ngc-pytorch-24-06"},
    multi_gpu=False,
)

MXNET = Framework(
    name="mxnet",
    title="MXNet",
    program="benchdock",
    launcher="mxnet",
    backend="backends.mxnet",
    dtypes={
        ("cpu", "training"): ("float32",),
        ("cpu", "inference"): ("float32",),
        ("gpu", "training"): ("float32", "tf32", "float16"),
        ("gpu", "inference"): ("float32", "tf32", "float16"),
    },
    images={"cpu": "mxnet-cpu", "gpu": "ngc-mxnet-24-06"},
)

FRAMEWORKS: Mapping[str, Framework] = {
    row.name: row
    for row in (
        PYTORCH,
        TENSORFLOW,
        MXNET,
        CAFFE2,
        BVLC_CAFFE,
        NVIDIA_CAFFE,
        INTEL_CAFFE,
        ONNXRUNTIME,
        OPENVINO,
        TENSORRT,
    )
}


def framework(name: str) -> Framework:
    """Look a framework up by its id or an alias. Raises RequestError with the nearest name."""
    for row in FRAMEWORKS.values():
        if name == row.name or name in row.aliases:
            return row
    known = [word for row in FRAMEWORKS.values() for word in (row.name, *row.aliases)]
    raise unknown("framework", name, known, listing="benchdock frameworks")


def draw(name: str) -> Graph:
    """Draw a model of the zoo. Raises RequestError with the nearest name."""
    from backends import zoo

    if name not in zoo.names():
        raise unknown("model", name, zoo.names(), listing="benchdock models")
    return zoo.draw(name)


def frameworks_for(model: str) -> list[str]:
    """Name the frameworks that can draw a model."""
    return [row.name for row in FRAMEWORKS.values() if model not in row.gaps]


def check_devices(row: Framework, count: int) -> None:
    """Refuse more than one GPU where a backend uses one."""
    if count > 1 and not row.multi_gpu:
        raise RequestError(
            f"{row.name} uses one GPU here, {count} were asked for", hint="use --gpus 0"
        )


def check(row: Framework, request: Request, device: Device) -> None:
    """Refuse a pair of model and framework, phase or dtype that cannot be, saying what can."""
    if request.model in row.gaps:
        others = ", ".join(frameworks_for(request.model)) or "no framework"
        raise RequestError(
            f"{row.name} cannot draw {request.model}: {row.gaps[request.model]}",
            hint=f"{others} can",
        )
    phases = [phase for (where, phase) in row.dtypes if where == device]
    if request.phase not in phases:
        can = " and ".join(phases) or "nothing"
        raise RequestError(
            f"{row.name} does no {request.phase} on the {device}", hint=f"it does {can} there"
        )
    dtypes = row.dtypes[device, request.phase]
    if request.dtype not in dtypes:
        raise RequestError(
            f"{row.name} {request.phase} on the {device} has no dtype {request.dtype!r}",
            hint=f"use one of {', '.join(dtypes)}",
        )


def check_counts(request: Request, device: Device) -> tuple[int, int, int]:
    """Return (batch, steps, warm-up steps), chosen where the request is silent.

    Raises RequestError where the warm-up would take every step that is asked for.
    """
    chosen = DEFAULTS[device]
    steps = request.steps if request.steps is not None else chosen.steps
    warmup = request.warmup if request.warmup is not None else min(chosen.warmup, steps - 1)
    if warmup >= steps:
        raise RequestError(
            f"a warm-up of {warmup} steps leaves nothing of {steps} timed steps to be trusted",
            hint=f"use --warmup {max(0, min(chosen.warmup, steps - 1))} or more --steps",
        )
    return request.batch or chosen.batch, steps, warmup
