"""The scripts of MXNet's example/image-classification."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.frameworks.record import Framework, Option, StepRules, Unfit, VendorProgram

if TYPE_CHECKING:
    from orchestrator.request import Dtype

_FOLDER = "MXNet's example/image-classification"
_HOME = "/opt/mxnet/example/image-classification"
_GPU: tuple[Dtype, ...] = ("float32", "tf32", "float16")
_ALEXNET = "takes images of 224 x 224 and so has smaller layers than the zoo's, which takes 227"

MXNET_SCORE = Framework(
    name="mxnet_score",
    title="MXNet's benchmark_score.py",
    ours=False,
    program="mxnet_score",
    launcher="mxnet_score",
    package="mxnet",
    dtypes={("cpu", "inference"): ("float32",), ("gpu", "inference"): _GPU},
    images={"cpu": "mxnet-cpu", "gpu": "ngc-mxnet-24-06"},
    multi_gpu=False,
    # Its resnet-50 has pre-activation.
    networks={
        "alexnet": "alexnet",
        "vgg16": "vgg-16",
        "resnet50": "resnetv1-50",
        "resnet50_v2": "resnet-50",
        "resnet152_v2": "resnet-152",
        "inception-bn": "inception-bn",
        "inception3": "inception-v3",
        "inception4": "inception-v4",
        "inception_resnet_v2": "inception-resnet-v2",
        "mobilenet": "mobilenet",
        "densenet121": "densenet121",
        "squeezenet1.1": "squeezenet1.1",
    },
    # It prints "float16" for networks that stay in float32: their definitions ignore the type.
    unfit=(
        Unfit(
            networks=(
                *("alexnet", "inception-bn", "inception_resnet_v2", "mobilenet"),
                *("densenet121", "squeezenet1.1"),
            ),
            dtypes=("float16",),
            why="the program leaves it out, or computes in float32 and calls it float16",
        ),
    ),
    step_rules=StepRules(warmup=5, steps=10),
    vendor=VendorProgram(
        differs={
            "alexnet": _ALEXNET,
            "inception_resnet_v2": "gets images of 224 x 224, but the network is made for 299",
        },
        source_help=_FOLDER,
        entry="benchmark_score.py",
        home=_HOME,
        holds=("gpu",),
        refuses={"data": "it generates its inputs"},
        ignores={"seed": "the program has no option for it"},
    ),
)

MXNET_TRAIN_IMAGENET = Framework(
    name="mxnet_train_imagenet",
    title="MXNet's train_imagenet.py",
    ours=False,
    program="mxnet_train_imagenet",
    launcher="mxnet_train_imagenet",
    package="mxnet",
    dtypes={("cpu", "training"): ("float32",), ("gpu", "training"): _GPU},
    images={"cpu": "mxnet-cpu", "gpu": "ngc-mxnet-24-06"},
    networks={
        "alexnet": "alexnet",
        "googlenet": "googlenet",
        **{f"vgg{layers}": f"vgg {layers}" for layers in (11, 13, 16, 19)},
        **{f"resnet{layers}": f"resnet-v1 {layers}" for layers in (18, 34, 50, 101, 152, 200)},
        **{f"resnet{layers}_v2": f"resnet {layers}" for layers in (18, 34, 50, 101, 152, 200)},
        "inception-bn": "inception-bn",
        "inception3": "inception-v3",
        "inception4": "inception-v4",
        "inception_resnet_v2": "inception-resnet-v2",
        "mobilenet": "mobilenet",
    },
    unfit=(
        Unfit(
            networks=("googlenet", "inception-bn", "inception_resnet_v2", "mobilenet"),
            dtypes=("float16",),
            why="its definition ignores the type and stays in float32",
        ),
    ),
    options={
        "kv_store": Option(
            "where gradients are summed; local is the CPU",
            "device",
            ("device", "local", "nccl"),
        ),
        "optimizer": Option("optimizer", "sgd"),
        "momentum": Option("momentum of sgd", "0.9"),
        "records": Option("with --data: the file of records in it", "train.rec"),
    },
    step_rules=StepRules(windows=True, least_steps=2),
    vendor=VendorProgram(
        differs={"alexnet": _ALEXNET, "googlenet": "has no LRN"},
        source_help=_FOLDER,
        entry="train_imagenet.py",
        home=_HOME,
        holds=("gpu",),
        flags=True,
        ignores={"seed": "the program has no option for it"},
    ),
)

ENTRIES = (MXNET_SCORE, MXNET_TRAIN_IMAGENET)
