"""Vendors' timers for networks that are written for them: TensorRT's and OpenVINO's."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from backends.options import NUMBER
from orchestrator.frameworks.record import Framework, Option, StepRules, Unfit, VendorProgram

if TYPE_CHECKING:
    from orchestrator.request import Dtype

_RELEASES = ("3", "4", "5", "6", "7", "8", "9", "10", "11")
_RELEASE = Option("TensorRT's major release", values=_RELEASES)
_WORKSPACE = Option("memory for its algorithms, in MiB", "1024")
_OLD: tuple[Dtype, ...] = ("float32", "float16", "int8")
# How trtexec runs an engine; the flags differ between releases.
_RUNNING = {
    "cuda_graph": Option("launch all kernels of a batch at once, as a graph", "on", ("on", "off")),
    "transfers": Option(
        "copy input to the GPU and output from it for each batch: then both are in the throughput",
        "off",
        ("off", "on"),
    ),
    "streams": Option("batches computed side by side, each in a CUDA stream", "1", NUMBER),
}
# Release 11 has no flags such as --fp16, and does not choose types by itself.
_AS_WRITTEN = (
    Unfit(
        dtypes=("float16", "bfloat16", "int8"),
        files=True,
        why="TensorRT 11 computes in the types that your file is written in",
    ),
)
_NO_DATA = "it generates its inputs"

_TRTEXEC = VendorProgram(
    flags=True,
    refuses={"data": _NO_DATA},
    ignores={"warmup": "its warm-up has a fixed time"},
)
# trtexec times an ONNX file from our writer, which needs NumPy and onnx: NVIDIA's PyTorch image has
# both beside TensorRT, its TensorRT image has neither.
_TENSORRT = Framework(
    name="tensorrt",
    title="TensorRT",
    program="trtexec",
    launcher="tensorrt",
    backend="backends.onnx",
    dtypes={("gpu", "inference"): ("float32", "tf32", "float16", "bfloat16", "int8")},
    images={"gpu": "ngc-pytorch-25-02"},
    files=(".onnx",),
    multi_gpu=False,
    options={"release": _RELEASE},
    variant_option="release",
    vendor=_TRTEXEC,
)


def _onnx(release: str) -> Framework:
    """Return the entry of a release that reads ONNX as our writer writes it."""
    dtypes: tuple[Dtype, ...] = ("float32", "tf32", "float16", "int8")
    options = {"release": replace(_RELEASE, default=release), **_RUNNING}
    unfit = _AS_WRITTEN if release == "11" else ()
    if release == "8":
        # Before 8.4 the default is 16 MiB, too little for the fast algorithms.
        options["workspace"] = replace(_WORKSPACE, default="4096")
    else:
        dtypes = (*dtypes, "bfloat16")
    return replace(_TENSORRT, dtypes={("gpu", "inference"): dtypes}, options=options, unfit=unfit)


def _caffe(release: str) -> Framework:
    """Return the entry of a release that only reads older ONNX, and so gets a Caffe network."""
    cut = "its Caffe reader rounds the size of every pooling up"
    return replace(
        _TENSORRT,
        launcher="tensorrt_caffe",
        files=(),
        backend="backends.caffe",
        dtypes={("gpu", "inference"): _OLD},
        gaps={
            "acoustic_model": "its Caffe reader only accepts images",
            "deep_speech2": "Caffe has no CTC loss",
            **{f"resnet{layers}_v1.5": cut for layers in (50, 101, 152)},
        },
        options={
            "release": replace(_RELEASE, default=release),
            "workspace": _WORKSPACE,
        },
        # Before release 6 nothing is left out.
        step_rules=StepRules(warmup=0 if release in ("3", "4", "5") else None),
        vendor=replace(_TRTEXEC, ignores={**_TRTEXEC.ignores, "seed": "it generates its weights"}),
    )


TENSORRT = replace(
    _TENSORRT,
    variants={
        release: _caffe(release) if int(release) < 8 else _onnx(release) for release in _RELEASES
    },
)

OPENVINO_BENCHMARK_APP = Framework(
    name="openvino_benchmark_app",
    title="OpenVINO's benchmark_app",
    ours=False,
    program="openvino_benchmark_app",
    launcher="openvino_benchmark_app",
    backend="backends.onnx",
    dtypes={("cpu", "inference"): ("float32", "bfloat16", "float16")},
    images={"cpu": "openvino-cpu"},
    files=(".onnx",),
    multi_gpu=False,
    options={
        "hint": Option(
            "what OpenVINO chooses streams and requests for",
            "throughput",
            ("throughput", "latency", "none"),
        ),
        "api": Option("several requests at a time, or one", "async", ("async", "sync")),
        "requests": Option("inference requests at a time; default: OpenVINO decides"),
        "streams": Option("with hint=none: batches computed side by side", "1"),
        "input": Option("number type of the input; the program's default is u8", "f32"),
    },
    step_rules=StepRules(warmup=1),
    vendor=VendorProgram(refuses={"data": _NO_DATA}),
)

# No wheel of ONNX Runtime contains it; you have to build it.
ONNXRUNTIME_PERF_TEST = Framework(
    name="onnxruntime_perf_test",
    title="ONNX Runtime's onnxruntime_perf_test",
    ours=False,
    program="onnxruntime_perf_test",
    launcher="onnxruntime_perf_test",
    backend="backends.onnx",
    dtypes={("cpu", "inference"): ("float32",), ("gpu", "inference"): ("float32", "tf32")},
    images={"cpu": "onnxruntime-cpu", "gpu": "ngc-pytorch-24-06"},
    files=(".onnx",),
    multi_gpu=False,
    options={
        "provider": Option(
            "execution provider, such as dnnl or tensorrt; auto: cpu or cuda", "auto"
        ),
        "concurrent": Option("inferences at a time", "1"),
        "optimization": Option(
            "graph optimization: 0 none, 1 basic, 2 extended, 99 all",
            "99",
            ("0", "1", "2", "3", "99"),
        ),
    },
    step_rules=StepRules(warmup=1),
    vendor=VendorProgram(
        source_help="the folder of your build of github.com/microsoft/onnxruntime with "
        "onnxruntime_perf_test and its libraries",
        entry="onnxruntime_perf_test",
        refuses={"data": _NO_DATA},
    ),
)

ENTRIES = (TENSORRT, ONNXRUNTIME_PERF_TEST, OPENVINO_BENCHMARK_APP)
