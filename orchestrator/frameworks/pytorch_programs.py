"""Others' PyTorch programs: PyTorch's, torchvision's, timm's and NVIDIA's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.frameworks.record import Framework, Option, StepRules, Unfit, VendorProgram

if TYPE_CHECKING:
    from orchestrator.request import Dtype

_ON_OFF = ("on", "off")
_GPU: tuple[Dtype, ...] = ("float32", "tf32", "float16")

DEEPLEARNINGEXAMPLES = Framework(
    name="deeplearningexamples_pytorch",
    title="NVIDIA DeepLearningExamples, PyTorch",
    ours=False,
    program="deeplearningexamples",
    launcher="deeplearningexamples_pytorch",
    package="torch",
    backend="backends.stand_ins",  # for dllogger
    processes="always",
    dtypes={("gpu", "training"): _GPU, ("gpu", "inference"): _GPU},
    images={"gpu": "ngc-pytorch-24-06"},
    networks={
        "resnet50_v1.5": "resnet50",
        "resnext101_32x4d": "resnext101-32x4d",
        "se_resnext101_32x4d": "se-resnext101-32x4d",
    },
    options={
        "memory_format": Option("layout", "nchw", ("nchw", "nhwc")),
        "data_backend": Option(
            "what reads --data", "dali-cpu", ("dali-cpu", "dali-gpu", "pytorch")
        ),
        "loss_scale": Option("static loss scale of float16; auto: dynamic", "128"),
        "mixup": Option("how much each batch is mixed with itself; 0.0: not at all", "0.0"),
        "optimizer_batch": Option(
            "samples of all GPUs per update of the weights; step: an update after each step", "step"
        ),
        "label_smoothing": Option("label smoothing", "0.1"),
    },
    step_rules=StepRules(
        # Its rate is the mean over all iterations, including the slow first ones.
        warmup=0,
    ),
    vendor=VendorProgram(
        source_help="the folder PyTorch/Classification/ConvNets of "
        "github.com/NVIDIA/DeepLearningExamples (27 June 2020 or later)",
        entry="main.py",
        home="/workspace/rn50",
        remark="deeplearningexamples_pytorch leaves out no warm-up: its rate includes the first "
        "iterations",
        flags=True,
    ),
)

_TORCHVISION = {
    "alexnet_owt": "alexnet",
    "googlenet": "googlenet",
    **{f"vgg{n}": f"vgg{n}" for n in (11, 13, 16, 19)},
    **{f"resnet{n}": f"resnet{n}" for n in (18, 34)},
    **{f"resnet{n}_v1.5": f"resnet{n}" for n in (50, 101, 152)},
    "densenet121": "densenet121",
    "mobilenet_v2": "mobilenet_v2",
}
_GOOGLENET = {"googlenet": "has batch normalisation, no LRN, and 3x3 filters in place of 5x5"}
_SEVERAL_OUTPUTS = (
    Unfit(
        networks=("googlenet",),
        phases=("training",),
        why="torchvision's version has several outputs in training, which the program does not "
        "support",
    ),
)

# It has no flag for the number of steps; its launcher ends the loader of the batches instead.
PYTORCH_IMAGENET = Framework(
    name="pytorch_imagenet",
    title="PyTorch's examples/imagenet",
    ours=False,
    program="pytorch_imagenet",
    launcher="pytorch_imagenet",
    package="torch",
    processes="always",
    dtypes={
        ("cpu", "training"): ("float32",),
        ("cpu", "inference"): ("float32",),
        ("gpu", "training"): ("float32", "tf32"),
        ("gpu", "inference"): ("float32", "tf32"),
    },
    images={"cpu": "extras-cpu", "gpu": "ngc-pytorch-24-06"},
    # Its images are 224 wide, so not inception_v3, which needs 299.
    networks=_TORCHVISION,
    unfit=_SEVERAL_OUTPUTS,
    options={
        "epoch": Option(
            "steps: an epoch ends after --steps batches; whole: 1,281,167 synthetic images in "
            "training, 50,000 in inference, whatever --steps is",
            "steps",
            ("steps", "whole"),
        ),
        "display_every": Option("steps between two printed lines", "1"),
        "workers": Option("processes that generate data", "4"),
    },
    vendor=VendorProgram(
        differs=_GOOGLENET,
        source_help="the folder imagenet of github.com/pytorch/examples",
        entry="main.py",
        home="/workspace/examples/imagenet",
        ignores={
            "warmup": "its mean is over all steps",
            "seed": "a seed would turn on deterministic, slower kernels",
        },
        remark="pytorch_imagenet's mean includes the first steps, and a fast GPU waits for the "
        "processes that generate its images (--option workers)",
        flags=True,
    ),
)

TIMM = Framework(
    name="timm",
    title="timm's benchmark.py",
    ours=False,
    program="timm",
    launcher="timm",
    package="torch",
    dtypes={
        ("cpu", "training"): ("float32", "bfloat16"),
        ("cpu", "inference"): ("float32", "bfloat16"),
        ("gpu", "training"): (*_GPU, "bfloat16"),
        ("gpu", "inference"): (*_GPU, "bfloat16"),
    },
    # It needs torchvision and huggingface_hub beside torch.
    images={"cpu": "extras-cpu", "gpu": "extras-gpu"},
    networks={
        "inception3": "inception_v3",
        "inception4": "inception_v4",
        "inception_resnet_v2": "inception_resnet_v2",
        **{f"vgg{n}": f"vgg{n}" for n in (11, 13, 16, 19)},
        **{f"resnet{n}": f"resnet{n}" for n in (18, 34)},
        **{f"resnet{n}_v1.5": f"resnet{n}" for n in (50, 101, 152, 200)},
    },
    multi_gpu=False,
    options={
        "amp": Option("float16 and bfloat16 by autocast, not by conversion", "on", _ON_OFF),
        "layout": Option("memory format", "contiguous", ("contiguous", "channels_last")),
        "img_size": Option(
            "image size; zoo: 224, for Inceptions 299; network: the size that timm tests the "
            "network with, such as 288",
            "zoo",
        ),
        "optimizer": Option("of training", "sgd"),
    },
    step_rules=StepRules(least_steps=5),
    vendor=VendorProgram(
        source_help="the folder of github.com/huggingface/pytorch-image-models (2023 or later)",
        entry="benchmark.py",
        refuses={"data": "it generates its images"},
        ignores={"seed": "its weights and data are random"},
        flags=True,
    ),
)  # fmt: skip

TORCHVISION_REFERENCES = Framework(
    name="torchvision_references",
    title="torchvision's references/classification",
    ours=False,
    program="torchvision_references",
    launcher="torchvision_references",
    package="torchvision",
    processes="always",
    dtypes={
        ("cpu", "training"): ("float32",),
        ("cpu", "inference"): ("float32",),
        ("gpu", "training"): _GPU,
        # Its evaluation is never in half precision.
        ("gpu", "inference"): ("float32", "tf32"),
    },
    images={"cpu": "extras-cpu", "gpu": "extras-gpu"},
    # It trains on images of 224, so not inception_v3, which needs 299.
    networks=_TORCHVISION,
    unfit=_SEVERAL_OUTPUTS,
    options={
        "workers": Option("processes that read or generate data", "4"),
        "image_size": Option("image size without --data", "224"),
    },
    vendor=VendorProgram(
        differs=_GOOGLENET,
        source_help="the folder references/classification of github.com/pytorch/vision",
        entry="train.py",
        ignores={
            "warmup": "its times are means of 20 steps; the first 20, or of fewer the first one, "
            "are left out",
            "seed": "its weights and data are random",
        },
        flags=True,
    ),
)

TORCHBENCH = Framework(
    name="torchbench",
    title="TorchBench's run.py",
    ours=False,
    program="torchbench",
    launcher="torchbench",
    package="torch",
    dtypes={
        ("cpu", "training"): ("float32",),
        ("cpu", "inference"): ("float32",),
        ("gpu", "training"): ("float32", "tf32"),
        ("gpu", "inference"): _GPU,
    },
    images={"cpu": "extras-cpu", "gpu": "extras-gpu"},
    networks={
        "alexnet_owt": "alexnet",
        "vgg16": "vgg16",
        "resnet18": "resnet18",
        "resnet50_v1.5": "resnet50",
        "resnet152_v1.5": "resnet152",
        "densenet121": "densenet121",
        "mobilenet_v2": "mobilenet_v2",
        "squeezenet1.1": "squeezenet1_1",
        "resnext50_32x4d": "resnext50_32x4d",
        "mnasnet1_0": "mnasnet1_0",
        "shufflenet_v2_x1_0": "shufflenet_v2_x1_0",
    },
    multi_gpu=False,
    options={
        "weights": Option(
            "random: nothing is downloaded; pretrained: those in --data, a folder that was "
            "TORCH_HOME when TorchBench's install.py ran",
            "random",
            ("random", "pretrained"),
        ),
    },
    step_rules=StepRules(warmup=3, steps=10),
    vendor=VendorProgram(
        source_help="the folder of github.com/pytorch/benchmark (2023 or later)",
        entry="run.py",
        ignores={"seed": "it sets its seed"},
        flags=True,
    ),
)

ENTRIES = (DEEPLEARNINGEXAMPLES, PYTORCH_IMAGENET, TORCHVISION_REFERENCES, TIMM, TORCHBENCH)
