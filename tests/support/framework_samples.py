"""Logs in the format of the frameworks' benchmark programs, with our figures."""

from orchestrator.parsers import ParseHints
from tests.support.sample_logs import log, sample

CAFFE_TIME = log("caffe-time")

# Intel's drops layers before it prints the network, and again when it loads weights.
CAFFE_TIME_INTEL = log("caffe-time-intel")
CAFFE_TIME_NVIDIA = log("caffe-time-nvidia")
CAFFE_TRAIN = log("caffe-train-two-gpus")

# Before release 1.0 no rate is printed.
CAFFE_TRAIN_OLD = log("caffe-train-old")
NVCAFFE_TRAIN = log("nvcaffe-train")
CAFFE2_TRAINER = log("caffe2-trainer")
CAFFE2_NET = log("caffe2-net")
MXNET_TRAIN = log("mxnet-train")

# Release 0.x: one line per metric.
MXNET_TRAIN_OLD = log("mxnet-train-old")

# Two inferences at a time: their times sum up to more than the run time.
ONNXRUNTIME = log("onnxruntime")
ONNXRUNTIME_2019 = log("onnxruntime-2019")
MXNET_SCORE = log("mxnet-score")
GIEXEC = log("giexec")
TRTEXEC_5 = log("trtexec-5")
TRTEXEC_6 = log("trtexec-6")
TRTEXEC_7 = log("trtexec-7")
TRTEXEC_8 = log("trtexec-8")
OPENVINO = log("openvino")
OPENVINO_2021 = log("openvino-2021")

NONE = ParseHints()

SAMPLES = {
    name: sample(name)
    for name in (
        "caffe-time",
        "caffe-time-nvidia",
        "caffe-train-two-gpus",
        "caffe-train-old",
        "nvcaffe-train",
        "caffe2-trainer",
        "caffe2-net",
        "mxnet-train",
        "mxnet-train-old",
        "mxnet-score",
        "giexec",
        "trtexec-5",
        "trtexec-6",
        "trtexec-7",
        "trtexec-8",
        "onnxruntime",
        "onnxruntime-2019",
        "openvino",
        "openvino-2021",
    )
}

# Their logs have no summary: what was printed so far is all there is.
ENDLESS = {
    "caffe-train-two-gpus",
    "caffe-train-old",
    "caffe2-trainer",
    "mxnet-train",
    "mxnet-train-old",
    "giexec",
}
