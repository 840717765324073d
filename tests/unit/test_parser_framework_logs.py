"""Real logs of frameworks' benchmark programs, read in place where they are to be had."""

from pathlib import Path

import pytest

from orchestrator.parsers import ParseHints, parse

LOGS = Path(__file__).parents[2] / ".." / "shared" / "logs"
MS = 1e-3


def measure(program, name, **hints):
    log = LOGS / f"{name}.txt"
    if not log.exists():
        pytest.skip(f"the sample log {log.name} is not on this machine")
    return parse(program, log, ParseHints(**hints))


def numbers(found):
    return {name: metric.value for name, metric in found.metrics.items()}


CAFFE_TIME = {
    "caffe_time_bvlc-1": {
        "forward": 42.405 * MS,
        "backward": 86.2657 * MS,
        "forward_backward": 128.729 * MS,
        "total_time": 1287.29 * MS,
        "throughput": 128 / (42.405 * MS),  # no layer needs backward computation: no loss
        "throughput_inference": 128 / (42.405 * MS),
    },
    "caffe_time_bvlc-2": {
        "forward": 146.263 * MS,
        "forward_backward": 484.671 * MS,
        "total_time": 4846.71 * MS,
    },
    "caffe_time_bvlc-4": {
        "forward": 2493.78 * MS,
        "backward": 375.324 * MS,
        "forward_backward": 2870.7 * MS,
    },
    "caffe_time_nvidia-1": {
        "forward": 0.982514 * MS,
        "backward": 0.0005854 * MS,
        "forward_backward": 0.98334 * MS,
        "total_time": 49.167,
        "throughput": 128 / (0.982514 * MS),
    },
}


@pytest.mark.parametrize("name", CAFFE_TIME)
def test_caffe_time(name):
    found = measure("caffe_time", name, batch=128)
    assert found.failure is None
    expected = CAFFE_TIME[name]
    assert {key: numbers(found)[key] for key in expected} == pytest.approx(expected, rel=1e-12)
    mute = measure("caffe_time", name)
    assert "--batch" in mute.failure.message
    assert {k: v for k, v in numbers(found).items() if "throughput" not in k} == numbers(mute)


def test_caffe_time_of_intel():
    found = measure("caffe_time", "caffe_time_intel-1", batch=256)
    assert numbers(found)["total_time"] == pytest.approx(30.845)
    assert numbers(found)["forward_min"] == pytest.approx(1.0268)
    assert "number of iterations" in found.failure.message
    quote = measure("caffe_time", "caffe_time_intel-2", batch=256)
    assert quote.metrics == {}
    assert "3.68935e+11 ms: the clock is broken" in quote.warnings[0]


def test_several_caffe_runs_in_a_log():
    times = [294.302, 542.572, 289.315, 53.3169, 58.1233]
    found = measure("caffe_time", "caffe_time_multirun-1")
    assert "5 runs" in found.failure.message
    shown = [block["metrics"]["forward_backward"]["value"] for block in found.begin["blocks"]]
    assert shown == pytest.approx([time * MS for time in times])
    # The first network's definition is in the log, the others' are elided.
    assert found.begin["blocks"][0]["metrics"]["throughput"]["value"] == pytest.approx(
        128 / 0.294302
    )
    for block, time in enumerate(times, start=1):
        chosen = measure("caffe_time", "caffe_time_multirun-1", batch=128, block=block)
        assert numbers(chosen)["throughput"] == pytest.approx(128 / (time * MS))


def test_caffe_train():
    found = measure("caffe_train", "caffe_train_nvidia-1")
    assert numbers(found)["throughput"] == 16861
    assert numbers(found)["throughput_recomputed"] == pytest.approx(17032.9, rel=1e-5)
    assert (found.begin["batch"], found.begin["devices"]) == (128, 8)
    assert found.begin["windows"]["dropped_first"] == 1
    quote = measure("caffe_train", "caffe_train_bvlc-1")
    assert "--batch" in quote.failure.message
    assert numbers(quote)["iterations_max"] == 0.268776
    assert numbers(quote)["iterations_min"] == 0.268126
    # The middle one is 0.268353.
    mean = 120 / (148.823 + 149.184 + 149.058)
    assert numbers(quote)["iterations_mean"] == pytest.approx(mean, rel=1e-4)
    assert numbers(quote)["step_time_mean"] == pytest.approx(1 / mean, rel=1e-4)


def test_caffe2_trainer():
    found = measure("caffe2_trainer", "caffe2_resnet50_trainer-1")
    harmonic = 3 / (1 / 549.62 + 1 / 574.50 + 1 / 572.76)
    assert numbers(found)["throughput"] == pytest.approx(harmonic)
    assert numbers(found)["throughput_mean_of_rates"] == pytest.approx(1696.88 / 3)
    assert "iteration 5 of 1562" in found.warnings[0]


def test_mxnet():
    found = measure("mxnet_train_imagenet", "mxnet_train_imagenet-1")
    assert numbers(found)["throughput"] == 540.0266666666666
    assert numbers(found)["throughput_recomputed"] == pytest.approx(540.0241, abs=1e-4)
    assert found.begin["windows"]["used"] == 24
    assert (found.begin["model"], found.begin["devices"]) == ("alexnet", 2)
    scores = measure("mxnet_score", "mxnet_benchmark_score-1")
    assert "5 runs" in scores.failure.message
    assert [
        (block["model"], block["batch"], block["metrics"]["throughput"]["value"])
        for block in scores.begin["blocks"]
    ] == [
        ("alexnet", 1, 248.445345),
        ("alexnet", 32, 690.425029),
        ("alexnet", 64, 729.949982),
        ("vgg-16", 1, 53.914065),
        ("vgg-16", 32, 78.701371),
    ]
    vgg = measure("mxnet_score", "mxnet_benchmark_score-1", batch=32, block=2)
    assert numbers(vgg)["throughput"] == 78.701371


TENSORRT = {
    "giexec-1": {"gpu_time_mean": 11.50986 * MS, "throughput": 64 / (11.50986 * MS)},
    "trtexec4-1": {"gpu_time_mean": 16.21413 * MS, "throughput": 16 / (16.21413 * MS)},
    "trtexec5-1": {
        "gpu_time_mean": 10.1428 * MS,
        "latency_mean": 10.2007 * MS,
        "gpu_time_p99": 10.8505 * MS,
        "throughput": 64 / (10.1428 * MS),
    },
}
TENSORRT_QUOTES = {
    "trtexec5-3": {"latency_mean": (0.811777 + 0.821822 + 0.809204) / 3 * MS},
    "trtexec7-1": {"gpu_time_mean": 643.169 * MS, "latency_median": 643.202 * MS},
    "trtexec7-3": {"gpu_time_mean": 0.5 * MS, "throughput": 2.96622 / 0.5e-3 / 3.00142},
    "trtexec8-1": {
        "queries_per_second": 234.19,
        "throughput": 234.19,
        "latency_mean": 4.29966 * MS,
        "latency_median": 4.29718 * MS,
        "latency_p90": 4.30725 * MS,
        "latency_p95": 4.31128 * MS,
        "latency_p99": 4.32874 * MS,
    },
    "trtexec10-1": {
        "queries_per_second": 130.298,
        "throughput": 130.298,
        "gpu_time_mean": 7.58404 * MS,
        "latency_mean": 7.60628 * MS,
        "latency_median": 7.16092 * MS,
        "latency_p90": 10.2996 * MS,
        "latency_p95": 10.8698 * MS,
        "latency_p99": 12.9675 * MS,
    },
}


@pytest.mark.parametrize("name", TENSORRT)
def test_tensorrt_that_tells_its_batch(name):
    found = measure("trtexec", name)
    assert found.failure is None
    expected = TENSORRT[name]
    assert {key: numbers(found)[key] for key in expected} == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", TENSORRT_QUOTES)
def test_tensorrt_that_does_not_tell_its_batch(name):
    found = measure("trtexec", name, batch=1)
    assert found.failure is None
    expected = TENSORRT_QUOTES[name]
    assert {key: numbers(found)[key] for key in expected} == pytest.approx(expected, rel=1e-9)
    larger = measure("trtexec", name, batch=16)
    assert numbers(larger)["throughput"] == pytest.approx(16 * numbers(found)["throughput"])
    assert "--batch" in measure("trtexec", name).failure.message


def test_openvino():
    found = measure("openvino_benchmark_app", "openvino_benchmark_app-1")
    assert numbers(found)["throughput"] == 3028.72
    assert numbers(found)["latency_median"] == pytest.approx(1.25 * MS)
    assert found.begin["iterations"] == 181728
    assert numbers(found)["duration"] == pytest.approx(60.00153)
    quote = measure("openvino_benchmark_app", "openvino_benchmark_app-2")
    assert numbers(quote)["throughput"] == pytest.approx(1413 / 15.00832)
    for name, milliseconds in {"median": 10.45, "mean": 10.62, "min": 8.79, "max": 16.95}.items():
        assert numbers(quote)[f"latency_{name}"] == pytest.approx(milliseconds * MS)
    assert "batch 1 is assumed" in quote.warnings[0]
