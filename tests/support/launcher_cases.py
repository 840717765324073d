"""What launcher scripts are rendered from, by the name of the golden file."""

from dataclasses import fields, replace
from pathlib import Path, PurePosixPath

from orchestrator.parity.plan import ParityContext
from orchestrator.parity.readers import ReadingContext
from orchestrator.run.launcher import LauncherContext
from tests.support import inference_and_caffe_cases, vendor_cases

GOLDEN = Path(__file__).parent.parent / "golden"

RUN = PurePosixPath("/benchdock/run")

PLAIN = LauncherContext(
    run_id="20260101T000000-pytorch-resnet50-abc123",
    work_folder=RUN,
    log=RUN / "log.txt",
    module_path=(PurePosixPath("/opt/benchdock"),),
    model="resnet50",
    phase="training",
    dtype="float32",
    batch=8,
    device="cpu",
    devices=1,
    steps=20,
    warmup=3,
    threads=4,
)

PARITY = ParityContext(
    **{field.name: getattr(PLAIN, field.name) for field in fields(PLAIN)},
    backend="backends.mxnet",
    levels=("P1", "P3"),
    models=("resnet50", "vgg11", "alexnet"),
)

READING = ReadingContext(
    **{field.name: getattr(PLAIN, field.name) for field in fields(PLAIN)},
    backend="backends.mxnet",
)

NASTY = 'it\'s "x" $(touch pwned) `touch pwned` $HOME \\ ; & | * ~ # é 漢 '

OWN = PurePosixPath("/benchdock/model/my net's.onnx")

CASES = {
    "pytorch-cpu": PLAIN,
    "pytorch-ranks": replace(PLAIN, devices=2, threads=1),
    "pytorch-gpu-4": replace(
        PLAIN,
        device="gpu",
        devices=4,
        phase="inference",
        dtype="bfloat16",
        threads=None,
        warmup_seconds=2.5,
        seed=7,
        data=PurePosixPath("/benchdock/data"),
        options={"compile": "yes", "layout": "channels_last"},
        environment={"NCCL_DEBUG": "WARN"},
    ),
    "pytorch-nasty": replace(
        PLAIN,
        run_id=NASTY,
        work_folder=PurePosixPath("/run/-" + NASTY),
        log=PurePosixPath("/run/" + NASTY),
        module_path=(PurePosixPath("/a b"), PurePosixPath("/c'd")),
        model=NASTY,
        data=PurePosixPath("-" + NASTY),
        options={"a": NASTY, "b": "-x"},
        environment={"A": NASTY},
    ),
    "mxnet-cpu": replace(PLAIN, options={"optimizer": "plain"}),
    "mxnet-gpu-4": replace(PLAIN, device="gpu", devices=4, dtype="tf32", threads=None),
    "mxnet-ranks": replace(PLAIN, devices=2, threads=1),
    "tensorflow-ranks": replace(PLAIN, devices=2, threads=1),
    "tensorflow-cpu": replace(PLAIN, options={"xla": "on"}),
    "tensorflow-gpu-4": replace(PLAIN, device="gpu", devices=4, threads=None),
    "onnxruntime-cpu": replace(PLAIN, phase="inference", options={"io_binding": "off"}),
    "onnxruntime-file": replace(PLAIN, phase="inference", model="my_net", model_file=OWN),
    "tensorrt-file": replace(
        PLAIN,
        device="gpu",
        phase="inference",
        threads=None,
        warmup_seconds=2.0,
        model="my_net",
        model_file=OWN,
        options={"release": "10", "cuda_graph": "off", "transfers": "on", "streams": "4"},
    ),
    "caffe2-cpu": replace(PLAIN, options={"net_type": "simple"}),
    "bvlc_caffe-cpu": PLAIN,
    "nvidia_caffe-gpu": replace(PLAIN, device="gpu", dtype="float16", threads=None),
    "intel_caffe-cpu": PLAIN,
    "openvino-cpu": replace(PLAIN, phase="inference", options={"hint": "throughput"}),
    "parity-cpu": PARITY,
    "parity-ranks": replace(
        PARITY, backend="backends.pytorch", levels=("P4",), devices=2, processes=2, threads=1
    ),
    "parity-gpu": replace(
        PARITY,
        device="gpu",
        dtype="float16",
        threads=None,
        options={"cudnn_tune": "off"},
        environment={"ONEDNN_VERBOSE": "1"},
        prefix=("taskset", "-c", "0-7"),
    ),
    "reading-cpu": replace(READING, data=PurePosixPath("/benchdock/data"), threads=None),
    **inference_and_caffe_cases.cases(PLAIN),
    **vendor_cases.cases(PLAIN),
}
