"""The backends that `test_conformance.py` compares: where each runs, and what is special to it."""

from __future__ import annotations

import importlib
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, NamedTuple, Tuple  # noqa: UP035 - read by Python 3.7

if TYPE_CHECKING:
    from backends.caffe import step as caffe
    from backends.harness.contract import Backend, FileBackend
    from backends.onnxruntime import step as onnxruntime
    from backends.openvino import step as openvino

    TAKE_FILES: tuple[FileBackend, ...] = (caffe.Backend("bvlc_caffe"), onnxruntime, openvino)

Pairs = Tuple[str, ...]  # noqa: UP006 - evaluated by Python 3.7
FEW = ("deep_mnist", "alexnet", "googlenet", "resnet18")
SPEECH = "deep_speech2"
MISSING = ({"data": "/nonexistent"}, "data", "not a folder")
HUGE = ({"batch": "99999999999"}, "out_of_memory", "")
MISTYPED = ({"model": "resnet5"}, "unsupported", "did you mean resnet50")


class Row(NamedTuple):
    """A backend in an image. `pairs` are options as "key=value"."""

    framework: str
    image: str
    module: str  # of the framework, to see whether it is here
    operators: str  # the module with the backend's table `OPERATORS`
    usual: dict[str, Any]  # arguments of every benchmark
    trains: tuple[str, ...] = ()  # models of P3
    shapes: bool = True  # of every model
    logits: tuple[str, ...] = FEW
    gaps: tuple[str, ...] = ()  # models that it cannot build
    options: tuple[Pairs, ...] = ()  # that must not change P2
    jobs: tuple[Pairs, ...] = ((),)  # kinds of jobs, each of which is fed and read
    halves: tuple[tuple[str, ...], ...] = ()  # level, model, dtype and pairs
    runs: tuple[dict[str, Any], ...] = ({},)  # benchmarks, by what they change
    failures: tuple[tuple[dict[str, Any], str, str], ...] = (MISSING,)
    ignores: tuple[str, ...] = ()  # warnings of the framework's own
    own: tuple[str, ...] = ()  # files of tests that are special to it


def load(framework: str) -> Backend:
    """Import the object or module that fulfils `backends/harness/contract.pyi`."""
    if framework == "bvlc_caffe":
        return importlib.import_module("backends.caffe.step").Backend(framework)
    return importlib.import_module(f"backends.{framework}.step")


TRAINING, INFERENCE = {"phase": "training"}, {"phase": "inference"}
BOTH = (TRAINING, INFERENCE)
OLD = ("ignore::DeprecationWarning",)  # of a library that was finished before its dependencies
SESSION, FUNCTION = ("execution=session",), ("execution=function",)

PYTORCH = Row(
    framework="pytorch",
    image="pytorch-cpu",
    module="torch",
    operators="backends.pytorch.build",
    usual=TRAINING,
    trains=("deep_mnist", "alexnet_owt", "resnet18"),
    options=(
        ("freeze=off",),
        ("freeze=off", "fold_batch_norm=off"),
        ("freeze=on", "fold_batch_norm=off"),
        ("freeze=on", "optimize=off"),
        ("freeze=on", "optimize=layouts"),
        ("freeze=on", "layout=contiguous"),
        ("freeze=off", "layout=contiguous"),
    ),
    halves=(
        ("P2", "deep_mnist", "bfloat16"),
        ("P2", "resnet18", "bfloat16"),
        ("P2", "alexnet", "bfloat16"),
        ("P3", "deep_mnist", "bfloat16"),
        ("P3", "resnet18", "bfloat16"),
    ),
    runs=tuple(dict(phase, dtype=dtype) for phase in BOTH for dtype in ("float32", "bfloat16")),
    failures=(
        (dict(INFERENCE, dtype="float16"), "unsupported", "needs a GPU"),
        (dict(INFERENCE, devices="2"), "unsupported", "backends.harness.ranks"),
        MISSING,
        HUGE,
    ),
    own=("test_pytorch.py",),
)
TENSORFLOW = Row(
    framework="tensorflow",
    image="tensorflow-cpu",
    module="tensorflow",
    operators="backends.tensorflow.build",
    usual=TRAINING,
    trains=("deep_mnist", "resnet18"),
    options=(
        ("freeze=off",),
        ("fold_batch_norm=off",),
        ("freeze=off", "fold_batch_norm=off"),
        SESSION,
        (*SESSION, "freeze=off", "fold_batch_norm=off"),
        ("xla=on",),
    ),
    jobs=(FUNCTION, SESSION, (*FUNCTION, "freeze=off"), (*SESSION, "freeze=off")),
    # P3 of AlexNet does not hold: eight bits are too few for the offsets of its weights.
    halves=(
        ("P2", "deep_mnist", "bfloat16", *SESSION),
        ("P3", "deep_mnist", "bfloat16", *SESSION),
        ("P2", "alexnet", "bfloat16", *FUNCTION),
        ("P2", "resnet18", "bfloat16", *FUNCTION),
        ("P3", "resnet18", "bfloat16", *FUNCTION),
    ),
    runs=tuple(
        dict(phase, dtype=dtype, option=option)
        for phase in BOTH
        for dtype in ("float32", "bfloat16")
        for option in (*FUNCTION, *SESSION)
    ),
    failures=(
        (dict(INFERENCE, dtype="float16"), "unsupported", "needs a GPU"),
        (dict(INFERENCE, devices="2"), "unsupported", "backends.harness.ranks"),
        (dict(INFERENCE, device="gpu"), "unsupported", "GPU"),
        MISSING,
        HUGE,
    ),
    own=("test_tensorflow.py",),
)
# The oldest release there is an image of, which has sessions only.
TENSORFLOW1 = TENSORFLOW._replace(
    own=(),
    image="tensorflow1-cpu",
    shapes=False,
    options=(),
    jobs=(SESSION, (*SESSION, "freeze=off")),
    halves=(),
    runs=tuple(dict(phase, option=option) for phase in BOTH for option in SESSION),
)
MXNET = Row(
    framework="mxnet",
    image="mxnet-cpu",
    module="mxnet",
    operators="backends.mxnet.build",
    usual=TRAINING,
    trains=("deep_mnist", "resnet18"),
    options=(
        ("subgraph=off", "fold_batch_norm=off"),
        ("subgraph=off",),
        ("fold_batch_norm=on",),
    ),
    runs=BOTH,
    failures=(
        ({"dtype": "bfloat16"}, "unsupported", "MXNet cannot be benchmarked in bfloat16"),
        ({"device": "gpu"}, "unsupported", "sees 0 GPUs"),
        ({"option": "subgrap=on"}, "unsupported", "did you mean subgraph"),
        MISSING,
        MISTYPED,
    ),
    ignores=OLD,
    own=("test_mxnet.py",),
)
CAFFE = Row(
    framework="bvlc_caffe",
    image="legacy-cpu",
    module="caffe",
    operators="backends.caffe.layers",
    usual=TRAINING,
    trains=FEW,
    logits=("deep_mnist", "alexnet", "googlenet", "resnet50_v1.5"),
    gaps=(SPEECH,),
    options=(("fold_batch_norm=off",),),
    runs=BOTH,
    ignores=OLD,
    own=("test_caffe.py",),
)
CAFFE2 = CAFFE._replace(
    own=("test_caffe2.py",),
    framework="caffe2",
    module="caffe2",
    operators="backends.caffe2.build",
    trains=("deep_mnist", "alexnet", "resnet18"),
    options=(("engine=native",), ("fold_batch_norm=off",)),
    jobs=(("engine=ideep",), ("engine=native",)),
    failures=(MISSING, HUGE),
)
ONNXRUNTIME = Row(
    framework="onnxruntime",
    image="onnxruntime-cpu",
    module="onnxruntime",
    operators="backends.onnx.build",
    usual=INFERENCE,
    options=(
        ("graph_optimization=off",),
        ("graph_optimization=basic", "io_binding=off"),
        ("graph_optimization=extended", "execution_mode=parallel", "spinning=off"),
    ),
    jobs=(("io_binding=on",), ("io_binding=off",)),
    runs=({"option": "io_binding=on"}, {"option": "io_binding=off"}),
    failures=(
        ({"phase": "training"}, "unsupported", "only supports inference"),
        ({"dtype": "bfloat16"}, "unsupported", "does not support bfloat16"),
        ({"device": "gpu"}, "unsupported", "on the CPU"),
        ({"devices": "2"}, "unsupported", "as one device"),
        ({"option": "io_bindin=on"}, "unsupported", "did you mean io_binding"),
        MISSING,
        HUGE,
        MISTYPED,
    ),
    own=("test_onnx.py",),
)
OPENVINO = ONNXRUNTIME._replace(
    framework="openvino",
    image="openvino-cpu",
    module="openvino",
    options=(),
    jobs=(("hint=latency",), ("hint=throughput",)),
    runs=({"option": "hint=latency"}, {"option": "hint=throughput"}),
    failures=(
        ({"phase": "training"}, "unsupported", "only supports inference"),
        ({"dtype": "int8"}, "unsupported", "does not support int8"),
        ({"device": "gpu"}, "unsupported", "on the CPU"),
        ({"devices": "2"}, "unsupported", "as one device"),
        ({"option": "hnt=latency"}, "unsupported", "did you mean hint"),
        MISSING,
        HUGE,
        MISTYPED,
    ),
    own=("test_openvino.py",),
)

ROWS = OrderedDict(
    [
        ("pytorch", PYTORCH),
        ("tensorflow", TENSORFLOW),
        ("tensorflow1", TENSORFLOW1),
        ("mxnet", MXNET),
        ("bvlc_caffe", CAFFE),
        ("caffe2", CAFFE2),
        ("onnxruntime", ONNXRUNTIME),
        ("openvino", OPENVINO),
    ]
)
