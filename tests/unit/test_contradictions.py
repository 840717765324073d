"""A log that contradicts the request is a failed run; a missing statement is not."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.frameworks import catalogue
from orchestrator.parsers import ParseHints, agreement, parser_for
from orchestrator.run.hints import hints_of
from tests.fakes import plan
from tests.support import framework_samples, vendor_samples

NVCNN = vendor_samples.NVCNN.replace(
    b"  Step Epoch", b"Data format: NCHW\nData type:   fp16\n  Step Epoch"
)
TIMM = vendor_samples.TIMM
DLE_PYTORCH = vendor_samples.DLE_PYTORCH.replace(
    b"batch_size : 32", b"batch_size : 32  amp : True  evaluate : False  world_size : 1"
)
IMAGENET = vendor_samples.IMAGENET
TRTEXEC_8 = framework_samples.TRTEXEC_8.replace(
    b"[I] Batch: Explicit",
    b"[I] Precision: FP32+FP16\n[10/01/2024-13:21:44] [I] Batch: Explicit",
    1,
)
TRTEXEC_5 = framework_samples.TRTEXEC_5.replace(b"[I] batch: 64", b"[I] batch: 64\n[I] int8")
OPENVINO = framework_samples.OPENVINO.replace(
    b"[ INFO ] First",
    b"[ INFO ]   INFERENCE_PRECISION_HINT: <Type: 'bfloat16'>\n[ INFO ] First",
)
CAFFE_TIME = (
    b"I0228 23:01:58.106209 24487 caffe.cpp:339] Use CPU.\n"
    + framework_samples.CAFFE_TIME.replace(
        b"I0228 23:01:59.456549",
        b"I0228 23:01:59.456548 24487 net.cpp:200] conv1 needs backward computation.\n"
        b"I0228 23:01:59.456549",
    )
)
NVCAFFE_TIME = CAFFE_TIME.replace(
    b'name: "alexnet"\n', b'name: "alexnet"\ndefault_forward_type: FLOAT16\n'
)
BENCHDOCK = (
    b'::benchdock {"event":"begin","framework":"f","model":"vgg16","fingerprint":"1234",'
    b'"phase":"training","dtype":"tf32","batch":2,"devices":1,"device":"gpu","steps":2}\n'
    b'::benchdock {"event":"steps","first":0,"seconds":[1.0,1.0],"samples":2}\n'
    b'::benchdock {"event":"end","samples":4,"seconds":2.0}\n'
)

# Everything that the program's log states: program, log, and hints that agree with all of it.
STATED: dict[str, tuple[str, bytes, dict[str, Any]]] = {
    "tf_cnn_benchmarks": (
        *("tf_cnn_benchmarks", vendor_samples.TF_CNN),
        {"model": "resnet50", "phase": "training", "batch": 64, "devices": 2, "device": "gpu"},
    ),
    "nvcnn": (
        *("nvcnn", NVCNN),
        {"model": "resnet50", "dtype": "float16", "batch": 8, "devices": 2, "device": "gpu"},
    ),
    "nvtfcnn": (
        "nvtfcnn",
        vendor_samples.NVTFCNN.replace(b"  --layers", b"  --precision fp16\n  --layers"),
        {"network": "resnet.py --layers=50", "dtype": "float16", "batch": 8},
    ),
    "dle_pytorch": (
        *("deeplearningexamples", DLE_PYTORCH),
        {
            **{"model": "resnet50_v1.5", "network": "resnet50", "phase": "training"},
            **{"dtype": "float16", "batch": 32, "devices": 1},
        },
    ),
    "dle_tensorflow": (
        "deeplearningexamples",
        vendor_samples.DLE_TF.replace(b"\n  precision", b"  precision"),
        {
            **{"model": "resnet50_v1.5", "network": "resnet50", "phase": "training"},
            **{"dtype": "float16", "batch": 256, "devices": 8},
        },
    ),
    "dle_mxnet": (
        *("deeplearningexamples", vendor_samples.DLE_MXNET),
        {
            **{"model": "resnet50_v1.5", "network": "resnetv15", "phase": "training"},
            **{"dtype": "float32", "batch": 32, "devices": 4},
        },
    ),
    "horovod": (
        *("horovod", vendor_samples.HOROVOD),
        {"model": "resnet50", "batch": 32, "devices": 4, "device": "gpu"},
    ),
    "pytorch_imagenet": (
        *("pytorch_imagenet", IMAGENET),
        {"model": "resnet18", "phase": "training"},
    ),
    "torchbench": (
        *("torchbench", vendor_samples.TORCHBENCH),
        {"model": "resnet50", "phase": "inference", "batch": 32, "device": "gpu"},
    ),
    "timm": (
        *("timm", TIMM),
        {"model": "resnet50", "phase": "inference", "dtype": "float32", "batch": 256},
    ),
    "dlbs": ("dlbs", vendor_samples.DLBS, {"model": "resnet50", "batch": 16}),
    "tf_official_models": (
        *("tf_official_models", vendor_samples.NVIDIA_TF2),
        {"phase": "training", "dtype": "float16", "batch": 32},
    ),
    "caffe_time": (
        *("caffe_time", NVCAFFE_TIME),
        {"model": "alexnet", "dtype": "float16", "batch": 64, "devices": 1, "device": "cpu"},
    ),
    "caffe_train": (
        *("caffe_train", framework_samples.CAFFE_TRAIN),
        {"phase": "training", "batch": 32, "devices": 2, "device": "gpu"},
    ),
    "nvcaffe_train": (
        *("caffe_train", framework_samples.NVCAFFE_TRAIN),
        {"phase": "training", "batch": 64, "devices": 2, "device": "gpu"},
    ),
    "caffe2_trainer": (
        *("caffe2_trainer", framework_samples.CAFFE2_TRAINER),
        {"phase": "training", "devices": 2},
    ),
    "caffe2_net": (
        *("caffe2_net", framework_samples.CAFFE2_NET),
        {"model": "alexnet_owt", "network": "AlexNet", "phase": "training", "devices": 1},
    ),
    "mxnet_train_imagenet": (
        *("mxnet_train_imagenet", framework_samples.MXNET_TRAIN),
        {
            **{"model": "resnet50_v2", "network": "resnet 50", "phase": "training"},
            **{"dtype": "float16", "batch": 32, "devices": 2, "device": "gpu"},
        },
    ),
    "mxnet_score": (
        *("mxnet_score", framework_samples.MXNET_SCORE),
        {
            **{"model": "alexnet", "phase": "inference", "dtype": "float32"},
            **{"batch": 32, "devices": 1, "device": "gpu"},
        },
    ),
    "trtexec_5": (
        *("trtexec", TRTEXEC_5),
        {"phase": "inference", "dtype": "int8", "batch": 64, "devices": 1},
    ),
    "trtexec_8": (
        *("trtexec", TRTEXEC_8),
        {"phase": "inference", "dtype": "float16", "batch": 4, "devices": 1},
    ),
    "openvino": (
        *("openvino_benchmark_app", OPENVINO),
        {"phase": "inference", "dtype": "bfloat16", "batch": 8, "devices": 1},
    ),
    "benchdock": (
        *("benchdock", BENCHDOCK),
        {
            **{"model": "vgg16", "fingerprint": "1234", "phase": "training", "dtype": "tf32"},
            **{"batch": 2, "devices": 1, "device": "gpu"},
        },
    ),
}
OTHER: dict[str, tuple[Any, str]] = {
    "model": ("overfeat", "model"),
    "network": ({"resnet.py --layers=50": "resnet.py --layers=18", "resnet 50": "resnet 18"}, "50"),
    "fingerprint": ("beef", "network 1234"),
    "phase": ({"training": "inference", "inference": "training"}, ""),
    "dtype": ({"float32": "float16"}, ""),
    "batch": (7, "batch"),
    "devices": (3, "device"),
    "device": ({"cpu": "gpu", "gpu": "cpu"}, "it ran on the"),
}
# What fills in for facts that a log does not state.
NEEDED = {"pytorch_imagenet": {"batch": 32}, "caffe2_net": {"batch": 8}}


def measure(program, log, **hints):
    parser = parser_for(program, ParseHints(planned=True, **hints))
    parser.feed(log)
    return parser.finish()


def cases():
    for name, (_, _, hints) in STATED.items():
        for fact in hints:
            # A network's name without layers is one more name for the model.
            if fact != "network" or " " in hints[fact]:
                yield name, fact


@pytest.mark.parametrize("name", STATED)
def test_a_log_that_says_what_was_requested_is_a_result(name):
    program, log, hints = STATED[name]
    found = measure(
        program, log, **{**hints, "model": hints.get("model", "m"), **NEEDED.get(name, {})}
    )
    assert found.failure is None


@pytest.mark.parametrize(("name", "fact"), [*cases()], ids=lambda value: value)
def test_each_fact_that_a_log_states_must_be_as_asked_for(name, fact):
    program, log, hints = STATED[name]
    asked = {**hints, "model": hints.get("model", "m"), **NEEDED.get(name, {})}
    other, said = OTHER[fact]
    asked[fact] = other.get(asked[fact], "float32") if isinstance(other, dict) else other
    if fact == "model":
        asked.pop("network", None)
        asked.pop("fingerprint", None)
    found = measure(program, log, **asked)
    assert found.failure is not None
    assert "throughput" not in found.metrics
    if (program, fact) in FILTERED:
        assert "no rate of what was requested, only of batch 32, float32, gpu(0)" in str(
            found.failure
        )
        return
    assert found.failure.kind == "contradiction"
    assert found.failure.message.startswith("the log says ")
    assert said in found.failure.message
    assert len(found.failure.message.splitlines()) == 1
    if fact not in ("phase", "devices"):  # these may be known from the format itself
        assert found.failure.evidence.encode() in log


# The program times several of these, so that a hint chooses among them.
FILTERED = {
    *(("mxnet_score", fact) for fact in ("batch", "dtype", "device")),
}


@pytest.mark.parametrize("name", STATED)
def test_silence_is_not_a_contradiction(name):
    program, log, _ = STATED[name]
    if program != "benchdock":
        assert measure(program, log, **NEEDED.get(name, {})).failure is None


@pytest.mark.parametrize(
    ("printed", "model", "network", "agrees"),
    [
        ("lenet5", "lenet", "lenet", True),
        ("official_resnet_50_v1", "official_resnet50", "official_resnet50", True),
        ("official_resnet_50_v2", "official_resnet50_v2", "official_resnet50_v2", True),
        ("official_resnet_50_v2", "official_resnet50", "official_resnet50", False),
        ("resnet50", "resnet50_v1.5", "resnet50_v1.5", False),
        ("resnet50_v1.5", "resnet50", "resnet50", False),
        ("lenet5", "trivial", "trivial", False),
    ],
)
def test_tf_cnn_benchmarks_has_names_of_its_own(printed, model, network, agrees):
    log = vendor_samples.TF_CNN.replace(b"resnet50", printed.encode())
    found = measure("tf_cnn_benchmarks", log, model=model, network=network, batch=64, devices=2)
    assert (found.failure is None) is agrees


def test_every_name_of_every_row_agrees_with_itself():
    for row in catalogue.FRAMEWORKS.values():
        for model, network in (row.networks or {}).items():
            hints = ParseHints(model=model, network=network)
            word = network.split()[0]
            assert agreement.contradiction({"model": word}, hints) == ("", "")
            assert agreement.contradiction({"model": model}, hints) == ("", "")


def test_hints_of_a_plan_hold_the_programs_own_name():
    found = hints_of(plan(framework="horovod_tensorflow", model="resnet50_v2", program="horovod"))
    assert (found.model, found.network, found.planned) == ("resnet50_v2", "ResNet50V2", True)
    own = plan(framework="caffe_time", model="mine", options={"prototxt": "x.prototxt"})
    assert hints_of(own).model is None


def test_a_plan_names_what_to_type_and_what_may_have_changed_it():
    log = vendor_samples.TF_CNN
    found = measure("tf_cnn_benchmarks", log, model="resnet50", batch=2, devices=2)
    assert found.failure.message == (
        "the log says batch 64 per device, not batch 2 as requested: "
        "use --batch 64, or remove what changes it"
    )
    forward = log.replace(b"Mode:        training", b"Mode:        forward only")
    found = measure("tf_cnn_benchmarks", forward, phase="training")
    assert "'forward only', which is inference, not training as requested" in found.failure.message
    assert "use --phase inference" in found.failure.message
    assert found.failure.evidence == "Mode:        forward only"


def test_an_old_release_under_horovod_prints_the_devices_of_one_process():
    log = vendor_samples.TF_CNN.replace(
        b"Devices:     ['/gpu:0', '/gpu:1']", b"Devices:     ['/gpu:0']\nVariables:   horovod"
    )
    assert measure("tf_cnn_benchmarks", log, batch=64, devices=8).failure is None
    assert measure("tf_cnn_benchmarks", log, batch=32, devices=8).failure.kind == "contradiction"


def test_python_3_divides_a_batch_into_a_fraction():
    log = NVCNN.replace(b" 8 per device", b" 8.0 per device")
    assert measure("nvcnn", log, batch=8, devices=2).failure is None
    assert "batch 8 per device" in measure("nvcnn", log, batch=4).failure.message


def test_a_run_that_broke_off_is_not_said_to_contradict():
    cut = vendor_samples.TF_CNN[: vendor_samples.TF_CNN.index(b"-----")]
    assert measure("tf_cnn_benchmarks", cut, batch=2).failure.kind == "no_result"


LOSSLESS = CAFFE_TIME.replace(b" needs backward", b" does not need backward")
NO_LOSS_TRAIN = framework_samples.CAFFE_TRAIN.replace(
    b"I0411 20:19:02.100000",
    b"I0411 20:19:02.050000  9236 net.cpp:202] fc does not need backward computation.\n"
    b"I0411 20:19:02.100000",
)


def test_a_network_without_loss_is_never_reported_as_training():
    found = measure("caffe_time", LOSSLESS, phase="training")
    assert found.failure.kind == "unsupported"
    assert "the network has no loss, so it is not trained; use --phase" in found.failure.message
    unasked = measure("caffe_time", LOSSLESS)
    assert unasked.begin.phase == "inference"
    assert unasked.metrics["throughput"].value == pytest.approx(64 / 20e-3)
    assert "throughput_training" not in unasked.metrics
    trained = measure("caffe_time", CAFFE_TIME, phase="training")
    assert trained.failure is None
    assert trained.begin.phase == "training"


def test_training_without_loss_is_not_a_result():
    found = measure("caffe_train", NO_LOSS_TRAIN)
    assert found.failure.kind == "unsupported"
    assert "the network has no loss" in found.failure.message
    some = NO_LOSS_TRAIN.replace(
        b"I0411 20:19:02.100000",
        b"I0411 20:19:02.060000  9236 net.cpp:200] fc needs backward computation.\n"
        b"I0411 20:19:02.100000",
    )
    assert measure("caffe_train", some).failure is None


@pytest.mark.slow
@given(
    st.dictionaries(
        st.sampled_from(["model", "mode", "phase", "dtype", "device"]), st.text(max_size=20)
    )
)
def test_no_word_of_a_log_stops_the_comparison(stated):
    hints = ParseHints(model="a", phase="training", dtype="tf32", device="gpu", batch=1, devices=1)
    fact, said = agreement.contradiction(stated, hints)
    assert bool(fact) is bool(said)
    assert agreement.contradiction(stated, replace(ParseHints(), planned=True)) == ("", "")
