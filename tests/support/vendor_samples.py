"""Logs in the format of vendors' programs, with our figures."""

from orchestrator.parsers import ParseHints
from tests.support.sample_logs import log, sample

TF_CNN = log("tf-cnn-benchmarks")
NVCNN = log("nvcnn")
NVTFCNN = log("nvtfcnn")
TF2_STEPS = log("tf2-steps")
TF2_SPANS = log("tf2-spans")
TF2_BATCHES = log("tf2-batches")
TF_HOOK = log("tf-hook")
TF_HOOK_OLD = log("tf-hook-old")
NVIDIA_TF2 = log("nvidia-tf2")
DLE_PYTORCH = log("dle-pytorch")
DLE_TF = log("dle-tensorflow")
DLE_JSON = log("dle-json")
DLE_MXNET = log("dle-mxnet")
HOROVOD = log("horovod")
DLBS = log("dlbs")

# Its programs print throughput cut to a whole number; the status stays "ok", set before the run.
DLBS_MXNET = log("dlbs-mxnet")
IMAGENET = log("imagenet")
TORCHVISION = log("torchvision")

# Every step is printed: the mean time gives that of the steps after the first.
TORCHVISION_RUN = log("torchvision-run")
TORCHVISION_TEST = log("torchvision-test")
TORCHBENCH = log("torchbench")
TIMM = log("timm")
TIMM_TRAIN = log("timm-train")
CUSTOM = log("custom")

# What the entrypoints of NVIDIA's images print before the program.
NGC_BANNER = """\
================
== PyTorch ==
================

NVIDIA Release 19.08 (build 7700777)
PyTorch Version 1.2.0a0+abc1234

Container image Copyright (c) 2019, NVIDIA CORPORATION.  All rights reserved.
ERROR: No supported GPU(s) detected to run this container

NOTE: MOFED driver was detected, but nv_peer_mem driver was not detected.
      Multi-node communication performance may be reduced.
"""
NGC_GPU_TOO_OLD = """\
ERROR: Detected NVIDIA Tesla K40m GPU, which is not supported by this container
ERROR: No NVIDIA supported GPU(s) detected to run this container
"""
NGC_GPU_TOO_NEW = """\
WARNING: Detected NVIDIA NVIDIA GeForce RTX 4080 GPU, which is not yet supported in this version \
of the container
ERROR: No supported GPU(s) detected to run this container
"""

HINTS = ParseHints(batch=32, devices=2)
NONE = ParseHints()


SAMPLES = {
    name: sample(name)
    for name in (
        "tf-cnn-benchmarks",
        "nvcnn",
        "nvtfcnn",
        "tf2-steps",
        "tf2-spans",
        "tf2-batches",
        "tf-hook",
        "tf-hook-old",
        "nvidia-tf2",
        "dle-pytorch",
        "dle-tensorflow",
        "dle-json",
        "dle-mxnet",
        "horovod",
        "dlbs",
        "imagenet",
        "torchvision",
        "torchvision-run",
        "torchvision-test",
        "torchbench",
        "timm",
        "timm-train",
        "custom",
    )
}
