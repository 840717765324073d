"""PyTorch programs of others: PyTorch's own example, timm and NVIDIA's examples."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.framework import Framework, Option, Unfit

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
    processes="always",
    dtypes={("gpu", "training"): _GPU, ("gpu", "inference"): _GPU},
    images={"gpu": "ngc-pytorch-24-06"},
    networks={
        "resnet50_v1.5": "resnet50",
        "resnext101_32x4d": "resnext101-32x4d",
        "se_resnext101_32x4d": "se-resnext101-32x4d",
    },
    source="the folder PyTorch/Classification/ConvNets of "
    "github.com/NVIDIA/DeepLearningExamples (June 2020 or later)",
    entry="main.py",
    home="/workspace/rn50",
    # Its rate is the mean over all iterations, the slow first ones among them.
    warmup=0,
    remark="deeplearningexamples_pytorch leaves out no warm-up: its rate holds the first "
    "iterations too",
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
    flags=True,
)

# It has no flag for the number of steps; its launcher ends what hands out the batches instead.
PYTORCH_IMAGENET = Framework(
    name="pytorch_imagenet",
    title="PyTorch's examples/imagenet",
    ours=False,
    program="pytorch_imagenet",
    launcher="pytorch_imagenet",
    processes="always",
    dtypes={
        ("cpu", "training"): ("float32",),
        ("cpu", "inference"): ("float32",),
        ("gpu", "training"): ("float32", "tf32"),
        ("gpu", "inference"): ("float32", "tf32"),
    },
    images={"gpu": "ngc-pytorch-24-06"},
    networks={
        "alexnet_owt": "alexnet",
        "googlenet": "googlenet",
        **{f"vgg{n}": f"vgg{n}" for n in (11, 13, 16, 19)},
        **{f"resnet{n}": f"resnet{n}" for n in (18, 34)},
        **{f"resnet{n}_v1.5": f"resnet{n}" for n in (50, 101, 152)},
        "densenet121": "densenet121",
        "mobilenet_v2": "mobilenet_v2",
    },
    # Its images are 224 wide: not inception_v3, which takes 299.
    unfit=(
        Unfit(
            networks=("googlenet",),
            phases=("training",),
            why="in training torchvision's has several outputs, which the program does not take",
        ),
    ),
    differs={"googlenet": "has batch normalisation, no LRN, and 3x3 filters in place of 5x5"},
    source="the folder imagenet of github.com/pytorch/examples",
    entry="main.py",
    home="/workspace/examples/imagenet",
    options={
        "epoch": Option(
            "steps: an epoch ends after --steps batches; whole: 1,281,167 made images in training, "
            "50,000 in inference, whatever --steps is",
            "steps",
            ("steps", "whole"),
        ),
        "display_every": Option("steps between two printed lines", "1"),
        "workers": Option("processes that make data", "4"),
    },
    ignores={
        "warmup": "its mean is over all steps",
        "seed": "a seed would turn on deterministic, slower kernels",
    },
    remark="pytorch_imagenet's mean holds the first steps, and a fast GPU waits for the processes "
    "that make its images (--option workers); releases before August 2022 need --data",
    flags=True,
)

TIMM = Framework(
    name="timm",
    title="timm's benchmark.py",
    ours=False,
    program="timm",
    launcher="timm",
    dtypes={
        ("cpu", "training"): ("float32", "bfloat16"),
        ("cpu", "inference"): ("float32", "bfloat16"),
        ("gpu", "training"): (*_GPU, "bfloat16"),
        ("gpu", "inference"): (*_GPU, "bfloat16"),
    },
    # It needs torchvision and huggingface_hub beside torch: no image here has all three.
    images={},
    networks={
        "inception3": "inception_v3",
        "inception4": "inception_v4",
        "inception_resnet_v2": "inception_resnet_v2",
        **{f"vgg{n}": f"vgg{n}" for n in (11, 13, 16, 19)},
        **{f"resnet{n}": f"resnet{n}" for n in (18, 34)},
        **{f"resnet{n}_v1.5": f"resnet{n}" for n in (50, 101, 152, 200)},
    },
    multi_gpu=False,
    source="the folder of github.com/huggingface/pytorch-image-models (2023 or later)",
    entry="benchmark.py",
    least_steps=5,
    options={
        "amp": Option("float16 and bfloat16 by autocast, not whole", "on", _ON_OFF),
        "layout": Option("memory format", "contiguous", ("contiguous", "channels_last")),
        "img_size": Option(
            "side of the images; zoo: 224, of Inceptions 299; network: what timm tests the network "
            "with, such as 288",
            "zoo",
        ),
        "optimizer": Option("of training", "sgd"),
    },
    refuses={"data": "it makes its own"},
    ignores={"seed": "its weights and data are random"},
    flags=True,
)  # fmt: skip

ROWS = (DEEPLEARNINGEXAMPLES, PYTORCH_IMAGENET, TIMM)
