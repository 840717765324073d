"""Variants of each vendor program's output."""

import io
import json
import re
import signal
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import RequestError
from orchestrator.parsers import ParseHints, parse, slow_search, vendor
from orchestrator.parsers.literals import longest_literal
from tests.support.vendor_samples import (
    CUSTOM,
    DLBS,
    DLBS_MXNET,
    DLE_JSON,
    DLE_PYTORCH,
    IMAGENET,
    NVCNN,
    NVTFCNN,
    TF_CNN,
    TIMM,
    TIMM_TRAIN,
    TORCHBENCH,
)


def measure(program, data, **hints):
    return parse(program, io.BytesIO(data), ParseHints(**hints))


def value(found, metric="throughput"):
    return found.metrics[metric].value if metric in found.metrics else None


def test_tf_cnn_benchmarks_knows_workers_by_the_total():
    found = measure("tf_cnn_benchmarks", TF_CNN.replace(b"398.50", b"3190.10"))
    assert found.begin.workers == 8
    assert value(found) == 3190.1
    assert value(found, "throughput_recomputed") == pytest.approx(3200)


def test_tf_cnn_benchmarks_takes_one_of_the_totals_that_ranks_print():
    again = b"total images/sec: 399.00\n"
    found = measure("tf_cnn_benchmarks", TF_CNN + again)
    assert value(found) == 398.5
    assert "printed again as 399" in found.warnings[0]
    assert "of one rank only" in found.warnings[1]
    other = measure("tf_cnn_benchmarks", TF_CNN + b"total images/sec: 80.03\n")
    assert "two results" in other.failure.message


def test_tf_cnn_benchmarks_evaluation_prints_other_windows():
    log = b"10\t80.0 examples/sec\n20\t120.0 examples/sec\ntotal images/sec: 95.00\n"
    found = measure("tf_cnn_benchmarks", log)
    assert value(found) == 95
    assert value(found, "throughput_recomputed") == pytest.approx(96)
    assert found.begin.mode == "evaluation"


def test_tf_cnn_benchmarks_with_steps_of_no_use():
    means = {0: b"1.0", 1: b"nan", 5: b"10.0", 10: b"400.0"}
    row = b"%d\timages/sec: %s +/- 0.0 (jitter = 0.0)\t1\n"
    rows = b"".join(row % item for item in means.items())
    found = measure("tf_cnn_benchmarks", rows + b"total images/sec: 95.00\n")
    assert value(found) == 95
    assert found.begin.windows["count"] == 1


def test_tf_cnn_benchmarks_with_a_step_of_zero_seconds():
    log = b"10\t0.0 examples/sec\ntotal images/sec: 95.00\n"
    assert value(measure("tf_cnn_benchmarks", log)) == 95


@pytest.mark.parametrize(
    ("lines", "batch"),
    [
        (b"Batch size:  129 global\nDevices:     ['a', 'b']\n", None),
        (b"Devices:     ['a', 'b']\nBatch size:  128 global\n", 64),
        (b"Devices:     []\nBatch size:  128 global\n", None),
        (b"Batch size:  128 global\n             32 per device\nDevices:     ['a', 'b']\n", 32),
    ],
)
def test_batch_per_device_in_a_header(lines, batch):
    found = measure("tf_cnn_benchmarks", lines + TF_CNN[TF_CNN.index(b"Done") :])
    assert found.begin.batch == batch


def test_nvcnn_that_was_too_short_or_out_of_memory():
    head = NVCNN[: NVCNN.index(b"    30 ")]
    short = measure("nvcnn", head + b"No results, did not get past burn-in phase (20 steps)\n")
    assert short.failure.kind == "no_result"
    assert "burn-in" in short.failure.message
    full = measure("nvcnn", head + b"Out of memory error detected, exiting\n")
    assert full.failure.kind == "out_of_memory"


def test_nvcnn_leaves_out_the_burn_in_steps_that_its_header_tells():
    head = b"Burn-in steps:  10\nModel:"
    found = measure("nvcnn", NVCNN.replace(b"Model:", head))
    assert found.begin.windows["dropped_first"] == 2
    assert found.begin.windows["why"] == "the program's 10 burn-in steps"
    assert measure("nvcnn", NVCNN).begin.windows["dropped_first"] == 3


def test_nvcnn_compares_its_mean_with_no_row_of_its_burn_in_steps():
    short = NVCNN[: NVCNN.index(b"    30 ")] + NVCNN[NVCNN.index(b"---") :]
    found = measure("nvcnn", short)
    assert value(found) == value(measure("nvcnn", NVCNN))
    assert "throughput_recomputed" not in found.metrics
    assert "warm-up" not in "".join(found.warnings)


@pytest.mark.parametrize(
    ("title", "model", "kind"),
    [
        (b"AlexNet", "alexnet_owt", "contradiction"),
        (b"AlexNet", None, None),
        (b"AlexNetOWT", "alexnet_owt", None),
        (b"", "alexnet_owt", None),
    ],
)
def test_nvcnn_says_which_alexnet_it_ran(title, model, kind):
    told = b"Model:      alexnet\n" + (title and b'__exp.model_title__="%s"\n' % title)
    log = NVCNN.replace(b"Model:       resnet50\n", told)
    found = measure("nvcnn", log, model=model, network="alexnet", planned=True)
    assert (found.failure and found.failure.kind) == kind
    assert not kind or "AlexNet with LRN, not alexnet_owt" in found.failure.message


NOT_COMPILED = (
    b"2026-11-29 18:23:53.1: W tensorflow/compiler/jit/mark_for_compilation_pass.cc:1586] "
    b"(One-time warning): Not using XLA:CPU for cluster because envvar "
    b"TF_XLA_FLAGS=--tf_xla_cpu_global_jit was not set.  If you want XLA:CPU, set it\n"
)


@pytest.mark.parametrize(
    ("device", "xla", "kind", "doubts"),
    [
        ("cpu", True, "contradiction", 0),
        ("cpu", None, None, 1),
        ("gpu", True, None, 0),
        (None, True, None, 0),
    ],
)
def test_xla_that_compiled_nothing_on_the_cpu_is_found_out(device, xla, kind, doubts):
    log = TF_CNN.replace(b"Running warm up\n", NOT_COMPILED + b"Running warm up\n")
    if device == "cpu":
        log = log.replace(b"gpu:", b"cpu:")
    found = measure("tf_cnn_benchmarks", log, device=device, xla=xla)
    assert (found.failure and found.failure.kind) == kind
    if kind:
        assert "XLA compiled nothing on the CPU" in found.failure.message
        assert "Not using XLA:CPU" in found.begin.evidence[0][1]
    assert sum("XLA compiled nothing" in text for text in found.warnings) == doubts


def test_nvtfcnn_that_stopped_early():
    found = measure("nvtfcnn", NVTFCNN[: NVTFCNN.index(b"    40 ")])
    assert "stopped after step 30 of 51" in found.failure.message
    few = measure("nvtfcnn", b"".join(NVTFCNN.splitlines(keepends=True)[10:12]))
    assert "cannot be separated" in few.warnings[0]
    assert value(few) == 68.3


@pytest.mark.parametrize("arguments", [NVTFCNN, NVTFCNN[NVTFCNN.index(b"  Step ") :]])
def test_nvtfcnn_leaves_a_last_row_out_only_if_it_is_of_fewer_steps(arguments):
    rows = measure("nvtfcnn", arguments)
    assert value(rows) == pytest.approx(4 / (3 / 100 + 1 / 200))
    assert value(rows, "throughput_mean_of_rates") == 125
    assert rows.begin.estimator == "harmonic_mean"
    short = measure("nvtfcnn", arguments + b"    53  53.0    20.0  0.095  1.063 0.74420\n")
    assert value(short) == value(rows)
    assert short.begin.windows["dropped_last"] == 1


@pytest.mark.parametrize(
    ("told", "asked", "doubt"),
    [
        (b"--use_xla True", {"xla": False}, "--use_xla True, but --option xla=off"),
        (b"--use_xla False", {"xla": True}, "--use_xla False, but --option xla=on"),
        (b"--use_xla True", {"xla": True}, ""),
        (b"--use_xla True", {}, ""),
        (b"--use_xla", {"xla": False}, ""),
        (b"--dali_cpu False", {"xla": True}, ""),
        (b"--precision fp32", {"dtype": "tf32"}, ""),
        (b"--precision fp16", {"dtype": "float16"}, ""),
        (b"--precision manual", {"dtype": "float16"}, ""),
    ],
)
def test_nvtfcnn_doubts_other_arguments_than_it_was_given(told, asked, doubt):
    log = NVTFCNN.replace(b"  --layers 50\n", b"  --layers 50\n  " + told + b"\n")
    found = measure("nvtfcnn", log, **asked)
    plain = measure("nvtfcnn", NVTFCNN)
    assert (found.failure, found.metrics) == (None, plain.metrics)
    new = [warning for warning in found.warnings if warning not in plain.warnings]
    assert len(new) == bool(doubt)
    assert doubt in "".join(new)
    if told.startswith(b"--use_xla "):
        assert found.begin.xla is told.endswith(b"True")


MXNET = b"""2020-05-06 10:11:12,123:INFO: Batch [20]\tSpeed: 50.00 samples/sec\taccuracy=0.1
2020-05-06 10:11:12,123:INFO: Batch [20]\tSpeed: 50.00 samples/sec\taccuracy=0.1
2020-05-06 10:11:13,123:INFO: Batch [40]\tSpeed: 100.00 samples/sec\taccuracy=0.1
2020-05-06 10:11:13,123:INFO: Batch [60]\tSpeed: 100.00 samples/sec\taccuracy=0.1
2020-05-06 10:11:14,123:INFO: Batch [20]\tSpeed: 100.00 samples/sec\taccuracy=0.1
DLL 2020-05-06 10:11:14.5 - Summary: train.ips : 99.5 images/s val.latency_avg : 0.25 s
"""


def test_deeplearningexamples_mxnet():
    found = measure("deeplearningexamples", MXNET)
    assert value(found) == 99.5
    assert value(found, "throughput_recomputed") == 100
    assert value(found, "latency_mean") == 0.25
    assert found.begin.windows["count"] == 4
    unfinished = measure("deeplearningexamples", MXNET[: MXNET.index(b"DLL")])
    assert "no summary" in unfinished.failure.message


def test_deeplearningexamples_inference():
    log = b"""DLL 2020-03-03 18:53:11.5 - Epoch: 0 Validation Iteration: 1 val.total_ips : 4.0 img/s
DLL 2020-03-03 18:53:11.5 - Epoch: 0 Validation Iteration: 2  val.total_ips : 90.0 img/s
DLL 2020-03-03 18:53:11.5 - Epoch: 0 Validation Iteration: 3  val.total_ips : 100.0 img/s
DLL 2020-03-03 18:53:11.5 - Summary: train.total_ips : None img/s val.total_ips : 99.0 img/s
DLL 2020-03-03 18:53:11.5 - Summary: val.compute_latency_at99 : 0.5 s
"""
    found = measure("deeplearningexamples", log)
    assert value(found) == 99
    assert value(found, "throughput_recomputed") == 100
    assert value(found, "latency_p99") == 0.5
    assert found.begin.phase == "inference"
    validated = DLE_PYTORCH.replace(b"98\n", log[: log.index(b"DLL", 9)], 1)
    assert measure("deeplearningexamples", validated).begin.phase == "training"


def test_deeplearningexamples_tensorflow_latencies_are_milliseconds():
    log = b"DLL 2020-06-20 01:22:56.3 - () eval_throughput : 99.5 eval_latency_p99 : 12.5\n"
    assert value(measure("deeplearningexamples", log), "latency_p99") == 0.0125


def test_deeplearningexamples_prefers_json_over_text():
    log = b"DLL 2020-03-03 18:54:30.5 - Summary: train.total_ips : 64.0 img/s\n"
    found = measure("deeplearningexamples", DLE_JSON + log)
    assert value(found) == 64.5
    assert "DLLL" in found.begin.evidence[0][1]


@pytest.mark.parametrize(
    "line",
    [
        b'DLLL {"type": "LOG", "step": [], "data": 5}',
        b'DLLL {"type": "LOG", "step": "odd", "data": {}}',
        b'DLLL {"type": "LOG", "step": ["a", 1], "data": {"train.total_ips": 5}}',
        b'DLLL {"type": "LOG", "step": [0, 1], "data": {"train.total_ips": true}}',
        b'DLLL {"type": "LOG", "step": [0, 1], "data": {"train.total_ips": 1' + b"0" * 999 + b"}}",
        b'DLLL {"type": "LOG", "step": [0, 1], "data": {"train.loss": 1}}',
        b'DLLL {"type": "LOG", "step": }',
        b"DLLL {" + b"[" * 60000 + b"}",
        b"DLL 2020-03-03 18:54:30.5 - Something else : 5",
        b"DLL 2020-03-03 18:54:30.5 - Summary: train.total_ips : None",
        b"DLL 2020-03-03 18:54:30.5 - PARAMETER batch_size : 0",
        b"DLL 2020-03-03 18:54:30.5 - PARAMETER batch_size : many",
    ],
)
def test_deeplearningexamples_skips_what_it_does_not_know(line):
    assert measure("deeplearningexamples", line + b"\n").metrics == {}
    assert value(measure("deeplearningexamples", line + b"\n" + DLE_JSON)) == 64.5


def test_deeplearningexamples_with_a_compute_rate_of_zero():
    found = measure("deeplearningexamples", DLE_PYTORCH.replace(b"99.25", b"0.0"))
    assert "throughput_compute" not in found.metrics


def dlbs(*lines, without=()):
    kept = [line for line in DLBS.splitlines() if not any(word in line for word in without)]
    return measure("dlbs", b"\n".join([*kept, *lines]) + b"\n")


def test_dlbs_that_failed_or_does_not_say():
    failed = dlbs(b'__exp.status__="failure"')
    assert "experiment failed" in failed.failure.message
    silent = dlbs(without=[b"success"])
    assert value(silent) == 120.5
    assert "does not show the end of the experiment" in silent.warnings[-1]
    for end in (b'__results.end_time__= "2026-11-10:06:55:37:607"', b"__results.proc_pid__= 777"):
        assert not any(
            "the end of the experiment" in text for text in dlbs(end, without=[b"success"]).warnings
        )
    assert "no __results.throughput__" in dlbs(without=[b"throughput"]).failure.message


def test_dlbs_later_values_win():
    assert value(dlbs(b"__results.throughput__=130.5")) == 130.5


@pytest.mark.parametrize("text", [b'"n/a"', b"[1]", b"null", b"0", b"-1.0", b"1e999", b"NaN"])
def test_dlbs_refuses_what_is_not_a_throughput(text):
    found = dlbs(b"__results.throughput__=" + text)
    assert found.failure.kind == "no_result"
    assert "throughput" not in found.metrics


def test_dlbs_tensorrt_has_a_prefix():
    found = dlbs(
        b'__exp.framework__="tensorrt"',
        b"__results.inference_throughput__= 400.0",
        b"__results.inference_time__= 40.0",
        b"__results.inference_time_min__= 0.0",
        without=[b"results."],
    )
    assert value(found) == 400
    assert value(found, "throughput_recomputed") == pytest.approx(400)
    assert value(found, "step_time_mean") == 0.04
    assert "step_time_min is left out" in found.warnings[0]
    two = dlbs(
        b"__results.inference_throughput__=4.0",
        b"__results.total_throughput__=5.0",
        without=[b"throughput"],
    )
    assert "several throughputs" in two.failure.message


def test_dlbs_says_where_it_cuts_a_throughput():
    found = dlbs(b'__exp.framework__="mxnet"', b"__results.throughput__=500")
    assert value(found) == 500
    assert any("to a whole number" in text for text in found.warnings)


@pytest.mark.parametrize("framework", [b"mxnet", b"pytorch", b"caffe2"])
def test_dlbs_with_a_cut_throughput_is_computed_from_the_time(framework):
    log = DLBS_MXNET.replace(b'work__="mxnet', b'work__="' + framework)
    found = measure("dlbs", log.replace(b'family__="mxnet', b'family__="' + framework))
    assert found.failure is None
    assert value(found) == pytest.approx(2 / 1.25)
    assert found.begin.estimator == "mean_time"
    assert [text for text in found.warnings if "DLBS" in text] == [
        "DLBS prints 1, cut to a whole number: it is computed from the time"
    ]
    assert not any("the end of the experiment" in text for text in found.warnings)


def test_dlbs_prints_a_throughput_of_zero_for_a_good_run():
    log = DLBS_MXNET.replace(b"1250.0", b"12500.0").replace(b"[1000.0, 1500.0]", b"[1e4, 1.5e4]")
    found = measure("dlbs", log.replace(b"throughput__=1\n", b"throughput__=0\n"))
    assert found.failure is None
    assert value(found) == pytest.approx(0.16)


def test_dlbs_of_mxnet_leaves_out_the_time_that_holds_the_warm_up():
    log = DLBS_MXNET.replace(b'"training"', b'"inference"').replace(b"batches__=1", b"batches__=6")
    log = log.replace(b"[1000.0, 1500.0]", b"[1750.0, 250.0, 250.0]").replace(b"1250.0", b"750.0")
    found = measure("dlbs", log.replace(b"throughput__=1\n", b"throughput__=2\n"))
    assert found.failure is None
    assert value(found) == value(found, "throughput_recomputed") == pytest.approx(8)
    assert value(found, "step_time_mean") == pytest.approx(0.25)
    assert value(found, "throughput_with_warmup") == pytest.approx(2 / 0.75)
    assert (
        "the first of 3 times includes the 6 warm-up batches too: it is left out" in found.warnings
    )
    assert found.begin.windows["dropped_first"] == 1
    trained = measure("dlbs", log.replace(b'"inference"', b'"training"'))
    assert trained.begin.windows["dropped_first"] == 0


@pytest.mark.parametrize(
    ("lines", "estimator"),
    [
        ([b'__exp.framework__="bvlc_caffe"', b'__exp.framework_family__="caffe"'], "mean_time"),
        ([b'__exp.framework__="intel_caffe"'], "mean_time"),
        ([b'__exp.framework__="mxnet"'], "mean_time"),
        ([b'__exp.framework__="tensorflow"'], "total"),
        ([b'__exp.framework__="mine"'], "unknown"),
    ],
)
def test_dlbs_has_an_estimator_for_each_family_of_frameworks(lines, estimator):
    assert dlbs(*lines).begin.estimator == estimator


def test_dlbs_skips_lines_without_json():
    found = dlbs(
        b"__exp.model__=" + b"[" * 60000,
        b"__exp.effective_batch__=true",
        b'__results.time_data__="many"',
        b'__results.time_data__=[0, "x", 1e300]',
        without=[b"effective_batch", b"time_data"],
    )
    assert value(found) == 120.5
    assert "throughput_recomputed" not in found.metrics
    assert found.begin.model == "resnet50"


def test_imagenet_validation_and_ranks():
    test = IMAGENET.replace(b"Epoch: [0][", b"Test: [").replace(b"=> creating", b"=> loading")
    found = measure("pytorch_imagenet", test, batch=32)
    assert found.begin.phase == "inference"
    assert value(found) == pytest.approx(32 * 990 / 989.01)
    both = measure("pytorch_imagenet", IMAGENET + test, batch=32)
    assert both.begin.phase == "training"
    assert value(both) == pytest.approx(32 * 990 / 989.01)
    doubled = b"".join(line * 2 for line in IMAGENET.splitlines(keepends=True))
    ranks = measure("pytorch_imagenet", doubled, batch=32)
    assert "2 ranks print the same, the figure is of one: use --devices" in ranks.warnings
    lines = IMAGENET.splitlines(keepends=True)
    other = [line.replace(b"Time  1.000", b"Time  1.001") for line in lines]
    differ = b"".join(a + b for a, b in zip(lines, other, strict=True))
    ranks = measure("pytorch_imagenet", differ, batch=32)
    assert value(ranks) == pytest.approx(64 * 990 / 989.01)
    assert "2 ranks print, one device each: use --devices if there were more" in ranks.warnings


def test_imagenet_with_times_of_no_use():
    zero = b"Epoch: [0][0/9]\tTime 0.000 (0.000)\tData\n"
    assert "not plausible" in measure("pytorch_imagenet", zero, batch=32).failure.message
    cut = b"Epoch: [0][0/9]\tTime 0.1 (0.1)\nEpoch: [0][1/9]\tTime 0.1 (nan)"
    assert measure("pytorch_imagenet", cut, batch=32).failure.kind == "no_result"
    row = b"Epoch: [0][%d/9]\tTime 0.1 (%s)\n"
    falling = b"".join(row % (i, mean) for i, mean in enumerate((b"0.9", b"0.9", b"0.1")))
    assert "throughput_recomputed" not in measure("pytorch_imagenet", falling, batch=32).metrics


def test_torchvision_without_rates():
    row = b"Epoch: [0]  [0/9]  eta: 1:00  lr: 0.1  img/s: 0.0  loss: 7\n"
    assert measure("pytorch_imagenet", row).failure.kind == "no_result"


def test_torchbench_on_a_cpu_and_in_the_words_of_2022():
    cpu = b"CPU Total Wall Time:  20.0 milliseconds\nCPU Dispatch Time: 1.5 milliseconds\n"
    found = measure("torchbench", cpu, batch=4)
    assert value(found) == pytest.approx(200)
    assert value(found, "cpu_dispatch_time") == 0.0015
    assert value(measure("torchbench", cpu, batch=4, devices=2)) == pytest.approx(400)
    train = TORCHBENCH.replace(b"Running eval", b"Running train").replace(
        b" with input batch size 32.", b"."
    )
    found = measure("torchbench", train)
    assert found.begin.phase == "training"
    assert "--batch" in found.failure.message
    zero = measure("torchbench", TORCHBENCH.replace(b"12.500", b"0.000"))
    assert "not plausible" in zero.failure.message
    header = measure("torchbench", TORCHBENCH.splitlines(keepends=True)[0])
    assert "no time per batch" in header.failure.message


def timm_result(**changes):
    result = {"model": "resnet50", "infer_samples_per_sec": 100.5, "infer_step_time": 10.5}
    return {**result, **changes}


@pytest.mark.parametrize("indent", [4, None])
def test_timm_inference_and_training_are_two_runs(indent):
    both = timm_result(train_samples_per_sec=30.5, train_batch_size=16)
    log = b"--result\n" + json.dumps([both], indent=indent).encode() + b"\n"
    assert "--block 2" in measure("timm", log).failure.message
    training = measure("timm", log, block=2)
    assert value(training) == 30.5
    assert training.begin.phase == "training"
    assert training.begin.model == "resnet50"
    assert training.begin.batch == 16
    assert value(measure("timm", log, block=1)) == 100.5


@pytest.mark.parametrize("indent", [4, None])
def test_timm_several_models(indent):
    models = [timm_result(), timm_result(model="vgg16", infer_samples_per_sec=50.5)]
    log = b"--result\n" + json.dumps(models, indent=indent).encode() + b"\n"
    assert value(measure("timm", log, block=2)) == 50.5
    assert measure("timm", log, block=2).begin.model == "vgg16"


@pytest.mark.parametrize("indent", [4, None])
def test_timm_errors(indent):
    for message, kind in (("CUDA out of memory.", "out_of_memory"), ("bad", "no_result")):
        log = json.dumps({"model": "a", "error": message}, indent=indent).encode() + b"\n"
        found = measure("timm", log)
        assert found.failure.kind == kind
        assert message in found.failure.message


@pytest.mark.parametrize(
    "line",
    [
        b'{"a": 5, }',
        b"[" * 60000 + b'": ]',
        b'[5, "b": 1]',
        b'["a", "c\\": "]',
        b'{"infer_samples_per_sec": true, "model": 5, "error": 6, "infer_batch_size": 0}',
        b'    "infer_samples_per_sec": 12,34,',
    ],
)
def test_timm_skips_what_it_does_not_know(line):
    assert measure("timm", line + b"\n").metrics == {}


def test_timm_without_model_or_with_a_cut_figure():
    no_model = b'"infer_samples_per_sec": 5.0,\n"train_samples_per_sec": 6.0,\n'
    assert "2 runs" in measure("timm", no_model).failure.message
    assert measure("timm", b'"infer_samples_per_sec": 5.0').metrics == {}
    assert measure("timm", b'"infer_batch_size": 0\n').metrics == {}
    assert value(measure("timm", TIMM, devices=2)) == 4701


def test_timm_training_of_many_ranks_is_of_all_of_them():
    doubled = b"".join(line * 2 for line in TIMM_TRAIN.splitlines(keepends=True))
    assert measure("timm", doubled).metrics == measure("timm", TIMM_TRAIN).metrics


SPEEDS = b"speed=10.0\nother\nspeed=30.0\n"
TIMES = b"step 100 ms\nstep 300 ms\n"


@pytest.mark.parametrize(("estimator", "expected"), [("last", 30), ("mean", 20), ("harmonic", 15)])
def test_custom_estimators(estimator, expected):
    found = measure("custom", SPEEDS, pattern=r"speed=(\S+)", estimator=estimator)
    assert value(found) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("estimator", "expected"), [("last", 2 * 8 / 0.3), ("mean", 80), ("harmonic", 80)]
)
def test_custom_times(estimator, expected):
    hints = {"pattern": r"step (?P<value>\S+) ms", "unit": "ms", "estimator": estimator}
    found = measure("custom", TIMES, batch=8, devices=2, **hints)
    assert value(found) == pytest.approx(expected)
    assert value(found, "step_time_mean") == pytest.approx(0.2)
    assert "--batch" in measure("custom", TIMES, **hints).failure.message
    nothing = measure("custom", b"hello\n", **hints)
    assert nothing.failure.message == "the log contains no result of custom"


def test_custom_numbers_that_differ_or_are_none():
    differ = measure("custom", SPEEDS, pattern=r"speed=(\S+)")
    assert "--estimator" in differ.failure.message
    words = measure("custom", CUSTOM + b"speed=fast\n", pattern=r"speed=(\S+)")
    assert value(words) == 64.5
    assert "not a number" in words.warnings[0]
    zero = measure("custom", b"step 0 ms\n", pattern=r"step (\S+) ms", unit="ms", batch=8)
    assert zero.failure.message == "the pattern finds 0, which is not a plausible figure"
    for estimator in ("mean", "harmonic"):
        none = measure("custom", b"fps=0\n", pattern=r"fps=(\S+)", estimator=estimator)
        assert none.failure.kind == "no_result"
        assert "throughput" not in none.metrics
    unfinished = measure("custom", b"fps=1", pattern=r"fps=(\S+)")
    assert unfinished.failure.kind == "no_result"
    grouped = measure("custom", b"fps=1,234.5\n", pattern=r"fps=(\S+)")
    assert grouped.failure.kind == "no_result"
    assert "'1,234.5'" in grouped.warnings[0]


def test_lines_that_match_are_not_all_made_fit_for_a_terminal(monkeypatch):
    made = []

    def shown(text):
        made.append(text)
        return str(text)

    monkeypatch.setattr(vendor, "shown", shown)
    assert value(measure("custom", b"fps=3\n" * 1000, pattern="fps=(.+)")) == 3
    assert len(made) < 10


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_a_pattern_that_would_never_end_is_given_up(monkeypatch):
    monkeypatch.setattr(slow_search, "TICK_SECONDS", 0.1)
    before = signal.getsignal(signal.SIGVTALRM)
    bad = b"a" * 60 + b"b\n"
    found = measure("custom", b"aaa\n" + bad * 1000 + bad[:-1], pattern="(a+)+$")
    assert "a repeat within a repeat" in found.failure.message
    assert found.failure.evidence == bad.decode().strip()
    assert not found.metrics
    assert signal.getsignal(signal.SIGVTALRM) is before
    assert signal.getitimer(signal.ITIMER_VIRTUAL) == (0.0, 0.0)


@pytest.mark.slow
def test_searches_that_take_long_together_are_given_up_after_a_while(monkeypatch):
    monkeypatch.setattr(slow_search, "TICK_SECONDS", 0.01)
    monkeypatch.setattr(slow_search, "MOST_TICKS", 1_000_000)
    log = b"fps=3\n" * 50_000
    assert value(measure("custom", log, pattern="fps=(.+)")) == 3
    monkeypatch.setattr(slow_search, "MOST_TICKS", 3)
    slow = (b"a" * 16 + b"b\n") * 2000  # nearly all the time is spent in searches
    assert "too slow" in measure("custom", slow, pattern="(a+)+$").failure.message


@pytest.mark.parametrize(
    ("hints", "words"),
    [
        ({}, "--pattern"),
        ({"pattern": "("}, "not a regular expression"),
        ({"pattern": "fps=.*"}, "has no group"),
        ({"pattern": "(a)", "unit": "image/s"}, "did you mean 'images/s'"),
        ({"pattern": "(a)", "estimator": "men"}, "did you mean 'mean'"),
        ({"pattern": "(a)", "unit": "furlongs"}, "use one of samples/s, images/s, s, ms, us"),
    ],
)
def test_custom_arguments_that_are_wrong(hints, words):
    with pytest.raises(RequestError, match=words.replace("(", r"\(")):
        measure("custom", b"", **hints)


@pytest.mark.parametrize(
    ("pattern", "literal"),
    [
        (r"speed=(\S+)", "speed="),
        (r"^\s*total: fps\.(\d+)", "total: fps."),
        (r"colou?r=(\d+)", "colo"),
        (r"x{2}yy*z+(\d)", "y"),
        (r"[a-z]long(\d)", "long"),
        (r"a|b(\d)", ""),
        (r"(?i)speed=(\d)", ""),
        (r"(\d+) fps", ""),
        (r"\d+ fps(?P<value>x)", " fps"),
    ],
)
def test_what_every_match_contains(pattern, literal):
    assert longest_literal(pattern) == literal


@pytest.mark.slow
@given(st.from_regex(r"[ab.\\d*+?{}()\[\]^$|1]{0,8}"), st.text(alphabet="ab1.d", max_size=8))
def test_the_literal_is_in_every_match(pattern, text):
    try:
        with warnings.catch_warnings(action="ignore"):
            found = re.search(pattern, text)
    except re.error:
        return
    if found is not None:
        assert longest_literal(pattern) in text


def indented(log):
    return b"".join(b"    " + line for line in log.splitlines(keepends=True))


def test_tf_cnn_benchmarks_reads_an_indented_quote():
    plain, quoted = (measure("tf_cnn_benchmarks", log) for log in (TF_CNN, indented(TF_CNN)))
    assert quoted.metrics == plain.metrics
    assert quoted.begin.batch == plain.begin.batch


def test_nvtfcnn_reads_an_indented_quote():
    plain, quoted = (measure("nvtfcnn", log) for log in (NVTFCNN, indented(NVTFCNN)))
    assert quoted.metrics == plain.metrics
    assert quoted.begin.layers == plain.begin.layers


def test_tf_cnn_benchmarks_takes_one_of_the_logs_that_workers_wrote():
    worker = TF_CNN.replace(b"398.50", b"1595.00")  # four times what the steps tell
    found = measure("tf_cnn_benchmarks", worker * 3 + worker.replace(b"1595.00", b"1596.00"))
    assert value(found) == 1595
    assert "4 workers print one after the other: the first one counts" in found.warnings
    few = measure("tf_cnn_benchmarks", worker * 3)
    assert "contains 3 runs" in few.failure.message
    unlike = measure("tf_cnn_benchmarks", worker * 3 + worker.replace(b"1595.00", b"1700.00"))
    assert "contains 4 runs" in unlike.failure.message
    broken = measure("tf_cnn_benchmarks", worker * 3 + worker.split(b"-----")[0])
    assert "contains 4 runs" in broken.failure.message


def test_a_hint_that_the_log_contradicts_is_a_failure():
    assert measure("tf_cnn_benchmarks", TF_CNN, batch=64, devices=2).failure is None
    wrong = measure("tf_cnn_benchmarks", TF_CNN, batch=32, devices=2)
    assert wrong.failure.kind == "contradiction"
    assert wrong.failure.message == (
        "the log says batch 64 per device, not batch 32 as requested: use --batch 64"
    )
    assert "64 per device" in wrong.failure.evidence
    assert "throughput" not in wrong.metrics
    fewer = measure("tf_cnn_benchmarks", TF_CNN, devices=3).failure
    assert fewer.message == "the log says 2 devices, not 3 devices as requested: use --devices 2"


KERAS = b"""Iter #0: 40.0 img/sec per GPU
Iter #1: 80.0 img/sec per GPU
Iter #2: 84.0 img/sec per GPU
Img/sec per GPU: 82.0 +-3.9
Total img/sec on 2 GPU(s): 164.0 +-7.8
"""


def test_horovod_leaves_out_what_the_keras_program_leaves_out():
    found = measure("horovod", KERAS)
    assert value(found, "throughput_min") == 160
    assert found.begin.windows["dropped_first"] == 1
    whole = KERAS.replace(b"82.0", b"68.0").replace(b"164.0", b"136.0")
    assert value(measure("horovod", whole), "throughput_min") == 80


def test_horovod_tells_runs_apart_that_name_no_model():
    one = b"Running benchmark...\n" + KERAS
    other = one.replace(b"164.0", b"166.0")
    assert "contains 2 runs" in measure("horovod", one + other).failure.message
    assert value(measure("horovod", one + other, block=2)) == 166


def test_pytorch_imagenet_does_not_take_an_epochs_first_line_for_its_mean():
    log = b"".join(
        b"Epoch: [0][%3d/500]\tTime  0.200 ( %s)\tData  0.001 ( 0.010)\n" % (step, mean)
        for step, mean in ((0, b"9.000"), (10, b"1.000"), (490, b"0.220"))
    )
    next_epoch = b"Epoch: [1][  0/500]\tTime  5.000 ( 5.000)\tData  4.800 ( 4.800)\n"
    found = measure("pytorch_imagenet", log + next_epoch, batch=11)
    assert value(found, "throughput_running_mean") == pytest.approx(50)
    steady = 11 * 480 / (491 * 0.22 - 11)
    assert value(found) == pytest.approx(steady)
    second = b"Epoch: [1][ 10/500]\tTime  0.200 ( 0.440)\tData  0.001 ( 0.400)\n"
    found = measure("pytorch_imagenet", log + next_epoch + second, batch=11)
    assert value(found, "throughput_running_mean") == pytest.approx(25)
    assert value(found) == pytest.approx(steady, rel=0.05)


def test_pytorch_imagenet_counts_steps_from_0_or_from_1():
    def log(first):
        # 2 s in the first step, 0.1 s in each of the others.
        return b"".join(
            b"Epoch: [0][%d/5000]\tTime 0.100 (%.3f)\tData 0.0 (0.0)\n"
            % (first + step, (2 + 0.1 * step) / (step + 1))
            for step in (0, 10, 3000)
        )

    for first in (0, 1):
        found = measure("pytorch_imagenet", log(first), batch=1)
        assert value(found, "throughput_recomputed") == pytest.approx(10, rel=0.02)


def test_timm_training_does_not_take_an_epochs_first_line_for_its_mean():
    before = measure("timm", TIMM_TRAIN)
    line = b"Train: 1 [   0/1251 (  0%)]  Time: 5.0s,   51.20/s  (5.0s,   51.20/s)\n"
    assert value(measure("timm", TIMM_TRAIN + line)) == value(before)


def test_deeplearningexamples_names_what_the_summary_of_another_network_holds():
    log = b"DLL 2026-01-02 03:04:05.6 - () med_img/sec : 12.5  time : 3.5 s  time : 3.6 s\n"
    assert measure("deeplearningexamples", log).failure.message == (
        "the summary has no rate of images, only med_img/sec, time"
    )
    many = b"DLL 2026-01-02 03:04:05.6 - () " + b" ".join(b"m%d : 1.0" % i for i in range(20))
    assert measure("deeplearningexamples", many + b"\n").failure.message.endswith("m6, m7")
    known = b"DLL 2026-01-02 03:04:05.6 - () train_loss : 1.0 train_throughput : 40.0\n"
    assert value(measure("deeplearningexamples", known)) == 40
    assert "others" not in measure("deeplearningexamples", known).begin.stated()


def test_dlbs_programs_tell_their_failure_themselves():
    log = b'__exp.framework__="mxnet"\n__results.status__="failure"\n'
    assert "the experiment failed" in measure("dlbs", log).failure.message
