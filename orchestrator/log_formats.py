"""The programs whose logs can be parsed. Imports nothing, because `--help` lists them."""

# A program's id is the name of its module in `orchestrator.parsers`, which is imported on demand: a
# run needs only one, and not before its container has started.
LOG_FORMATS = (
    "benchdock",
    "parity",
    "reading",
    "probe",
    "tf_cnn_benchmarks",
    "nvcnn",
    "nvtfcnn",
    "tf_official_models",
    "deeplearningexamples",
    "caffe_time",
    "caffe_train",
    "caffe2_trainer",
    "caffe2_net",
    "mxnet_train_imagenet",
    "mxnet_score",
    "pytorch_imagenet",
    "torchvision_references",
    "torchbench",
    "timm",
    "trtexec",
    "horovod",
    "onnxruntime_perf_test",
    "openvino_benchmark_app",
    "nccl_tests",
    "nvbandwidth",
    "iperf3",
    "dlbs",
    "custom",
)
