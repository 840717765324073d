"""Programs of Caffe and Caffe2: `caffe time`, `caffe train`, and Caffe2's two Python scripts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from backends.options import BLAS_KERNELS
from orchestrator.frameworks.record import Framework, Option, StepRules, VendorProgram

if TYPE_CHECKING:
    from orchestrator.request import Device, Dtype, Phase

_PHASES: tuple[Phase, ...] = ("training", "inference")
_FLOAT32: tuple[Dtype, ...] = ("float32",)
_NO_SEED = "the program has no option for it"
_OPTIONS = {
    "fork": Option("whose Caffe: they read different networks", values=("bvlc", "nvidia", "intel")),
    "round_mode": Option(
        "pooling's round_mode, of Caffe after August 2018: auto checks pycaffe",
        "auto",
        ("auto", "yes", "no"),
    ),
    "prototxt": Option("your network: a file in the folder of --source"),
}
# What only one fork has: an argument of its binary, or a BLAS that our image brings.
_FORKS_OPTIONS = {
    "bvlc": {
        "blas_kernel": Option(
            "OpenBLAS's code for a kind of CPU; auto: the best that this one supports",
            "auto",
            ("auto", "library", *BLAS_KERNELS),
        )
    },
    "intel": {
        "engine": Option(
            "the library that computes the layers; auto: the network's choice, or MKLDNN",
            "auto",
            ("auto", "MKLDNN", "CAFFE", "MKL2017"),
        )
    },
}


def _forks(base: Framework, skipped: Mapping[str, int | None]) -> Framework:
    """Return an entry with one variant per fork of Caffe; `skipped` are warm-up steps, if fixed."""
    phases = sorted({phase for _, phase in base.dtypes})
    on: dict[str, tuple[tuple[Device, ...], tuple[Dtype, ...]]] = {
        "bvlc": (("cpu", "gpu"), _FLOAT32),
        "nvidia": (("gpu",), ("float32", "float16")),
        "intel": (("cpu",), _FLOAT32),
    }
    images: dict[str, dict[Device, str]] = {
        "bvlc": {"cpu": "legacy-cpu"},
        "nvidia": {"gpu": "ngc-caffe-20-03"},
        "intel": {},
    }
    variants = {
        fork: replace(
            base,
            dtypes={(device, phase): dtypes for device in devices for phase in phases},
            images=images[fork],
            options={
                **base.options,
                **_FORKS_OPTIONS.get(fork, {}),
                "fork": Option(base.options["fork"].meaning, fork, base.options["fork"].values),
            },
            step_rules=replace(base.step_rules, warmup=skipped[fork]),
        )
        for fork, (devices, dtypes) in on.items()
    }
    return replace(base, variants=variants, variant_option="fork")


CAFFE_TIME = _forks(
    Framework(
        name="caffe_time",
        title="caffe time",
        ours=False,
        program="caffe_time",
        launcher="caffe_time",
        backend="backends.caffe",
        files=(".prototxt",),
        dtypes={
            **{("cpu", phase): _FLOAT32 for phase in _PHASES},
            **{("gpu", phase): ("float32", "float16") for phase in _PHASES},
        },
        images={"cpu": "legacy-cpu", "gpu": "ngc-caffe-20-03"},
        gaps={"deep_speech2": "Caffe has no CTC loss"},
        multi_gpu=False,
        on_several_gpus="caffe_train",
        options=_OPTIONS,
        vendor=VendorProgram(
            refuses={"data": "it times layers, on constants in memory"},
            ignores={"seed": _NO_SEED},
        ),
    ),
    {"bvlc": 1, "nvidia": 5, "intel": 6},
)

CAFFE_TRAIN = _forks(
    Framework(
        name="caffe_train",
        title="caffe train",
        ours=False,
        program="caffe_train",
        launcher="caffe_train",
        backend="backends.caffe",
        files=(".prototxt",),
        dtypes={("cpu", "training"): _FLOAT32, ("gpu", "training"): ("float32", "float16")},
        images={"cpu": "legacy-cpu", "gpu": "ngc-caffe-20-03"},
        gaps={"deep_speech2": "Caffe has no CTC loss"},
        options=_OPTIONS,
        step_rules=StepRules(
            windows=True,
            # At least one window of one step is left out, and two must remain.
            least_steps=2,
        ),
        vendor=VendorProgram(),
    ),
    # The performance that NVIDIA's prints leaves out three iterations.
    {"bvlc": None, "nvidia": 3, "intel": None},
)

CAFFE2_NET = Framework(
    name="caffe2_net",
    title="Caffe2's convnet_benchmarks.py",
    ours=False,
    program="caffe2_net",
    launcher="caffe2_net",
    package="caffe2",
    dtypes={(device, phase): _FLOAT32 for device in ("cpu", "gpu") for phase in _PHASES},
    images={"cpu": "legacy-cpu", "gpu": "ngc-caffe2-18-08"},
    multi_gpu=False,
    on_several_gpus="caffe2",
    networks={
        "alexnet_owt": "AlexNet",
        "googlenet": "Inception",
        "overfeat": "OverFeat",
        "vgg11": "VGGA",
        "mlp": "MLP",
    },
    options={
        "net_type": Option("how Caffe2 runs a network's operators", "dag", ("dag", "simple")),
        "num_workers": Option("operators at a time, if net_type is dag", "2"),
        "order": Option("layout of images", "NCHW", ("NCHW", "NHWC")),
        "engine": Option("the engine that every operator prefers, such as CUDNN"),
    },
    vendor=VendorProgram(
        refuses={"data": "it generates its inputs"},
        ignores={"seed": _NO_SEED},
    ),
)

CAFFE2_TRAINER = Framework(
    name="caffe2_trainer",
    title="Caffe2's resnet50_trainer.py",
    ours=False,
    program="caffe2_trainer",
    launcher="caffe2_trainer",
    package="caffe2",
    dtypes={
        ("cpu", "training"): _FLOAT32,
        ("gpu", "training"): ("float32", "float16"),
    },
    images={"cpu": "legacy-cpu", "gpu": "ngc-caffe2-18-08"},
    # Its stride is in the 3x3 convolution. Releases before PyTorch's, 0.8.1 and older, only have 50
    # layers.
    networks={
        "resnet18": "18",
        "resnet34": "34",
        "resnet50_v1.5": "50",
        "resnet101_v1.5": "101",
        "resnet152_v1.5": "152",
    },
    options={
        "nccl": Option("sum gradients with NCCL instead of Caffe2's copies", "off", ("off", "on")),
        "tensor_cores": Option("allow convolutions to use tensor cores", "off", ("off", "on")),
        "cudnn_workspace_mb": Option("memory for cuDNN's algorithms, in MB", "64"),
    },
    step_rules=StepRules(warmup=2),
    vendor=VendorProgram(ignores={"seed": _NO_SEED}),
)

ENTRIES = (CAFFE_TIME, CAFFE_TRAIN, CAFFE2_NET, CAFFE2_TRAINER)
