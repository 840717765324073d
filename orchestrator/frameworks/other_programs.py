"""Programs of several frameworks: NVIDIA's MXNet examples, Horovod's, and the user's."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.frameworks.record import Framework, Option, StepRules, VendorProgram

if TYPE_CHECKING:
    from orchestrator.request import Device, Dtype, Phase


def _all_dtypes() -> dict[tuple[Device, Phase], tuple[Dtype, ...]]:
    devices: tuple[Device, ...] = ("cpu", "gpu")
    phases: tuple[Phase, ...] = ("training", "inference")
    dtypes: tuple[Dtype, ...] = ("float32", "tf32", "float16", "bfloat16", "int8")
    return {(device, phase): dtypes for device in devices for phase in phases}


# The user decides what dtype, phase and model mean: the command is theirs.
CUSTOM = Framework(
    name="custom",
    title="any program",
    ours=False,
    program="custom",
    launcher="custom",
    dtypes=_all_dtypes(),
    images={},
    any_network=True,
    vendor=VendorProgram(refuses={"seed": "put it into the command"}),
)

MXNET_EXAMPLES = Framework(
    name="deeplearningexamples_mxnet",
    title="NVIDIA DeepLearningExamples, MXNet",
    ours=False,
    program="deeplearningexamples",
    launcher="deeplearningexamples_mxnet",
    package="mxnet",
    backend="backends.stand_ins",  # for dllogger
    processes="always",
    dtypes={
        ("gpu", "training"): ("float32", "tf32", "float16"),
        ("gpu", "inference"): ("float32", "tf32", "float16"),
    },
    images={"gpu": "ngc-mxnet-24-06"},
    networks={"resnet50_v1.5": "resnetv15", "resnet50": "resnetv1"},
    options={"display_every": Option("steps between two printed rates", "20")},
    step_rules=StepRules(least_steps=20),
    vendor=VendorProgram(
        source_help="the folder MxNet/Classification/RN50v1.5 of "
        "github.com/NVIDIA/DeepLearningExamples (April 2021 or later)",
        entry="runner",
        home="/workspace/rn50",
        ignores={"warmup": "it leaves out the first tenth of its steps"},
        flags=True,
    ),
)

# It times ten steps at once; single ones would only time how fast work is queued.
_HOROVOD_STEPS = StepRules(block=10)
_HOROVOD = VendorProgram(
    source_help="the folder examples of github.com/horovod/horovod",
    refuses={"data": "it generates them"},
    ignores={"seed": "its weights and data are random"},
    flags=True,
)

HOROVOD_TENSORFLOW = Framework(
    name="horovod_tensorflow",
    title="Horovod's synthetic benchmark, TensorFlow 2",
    ours=False,
    program="horovod",
    launcher="horovod_tensorflow",
    package="horovod",
    processes="always",
    dtypes={("cpu", "training"): ("float32",), ("gpu", "training"): ("float32", "tf32")},
    images={"gpu": "ngc-tensorflow-25-02"},
    # Its images are 224 wide, so no networks that need 299.
    networks={
        **{f"vgg{n}": f"VGG{n}" for n in (16, 19)},
        **{f"resnet{n}": f"ResNet{n}" for n in (50, 101, 152)},
        **{f"resnet{n}_v2": f"ResNet{n}V2" for n in (50, 101, 152)},
    },
    options={"fp16_allreduce": Option("send gradients as float16", "off", ("on", "off"))},
    step_rules=_HOROVOD_STEPS,
    vendor=replace(_HOROVOD, entry="tensorflow2/tensorflow2_synthetic_benchmark.py"),
)

HOROVOD_PYTORCH = Framework(
    name="horovod_pytorch",
    title="Horovod's synthetic benchmark, PyTorch",
    ours=False,
    program="horovod",
    launcher="horovod_pytorch",
    package="horovod",
    processes="always",
    ranks=True,
    dtypes=HOROVOD_TENSORFLOW.dtypes,
    images={"cpu": "horovod-cpu"},
    # torchvision's, except googlenet and inception_v3, which have several outputs in training.
    networks={
        "alexnet_owt": "alexnet",
        **{f"vgg{n}": f"vgg{n}" for n in (11, 13, 16, 19)},
        **{f"resnet{n}": f"resnet{n}" for n in (18, 34)},
        **{f"resnet{n}_v1.5": f"resnet{n}" for n in (50, 101, 152)},
    },
    options=HOROVOD_TENSORFLOW.options,
    step_rules=_HOROVOD_STEPS,
    vendor=replace(_HOROVOD, entry="pytorch/pytorch_synthetic_benchmark.py"),
)

ENTRIES = (MXNET_EXAMPLES, HOROVOD_TENSORFLOW, HOROVOD_PYTORCH, CUSTOM)
