"""The hints that a run's plan gives a parser, if a program times more than requested."""

import io

import pytest

from orchestrator.frameworks import catalogue
from orchestrator.parsers import ParseHints, mxnet_score, parse

CAFFE_TIME = b"""\
I0101 10:00:00.000000    1 caffe.cpp:380] *** Benchmark begins ***
I0101 10:00:00.000000    1 caffe.cpp:381] Testing for 2 iterations.
I0101 10:00:00.300000    1 caffe.cpp:397] Iteration: 1 forward-backward time: 300 ms.
I0101 10:00:00.600000    1 caffe.cpp:397] Iteration: 2 forward-backward time: 300 ms.
I0101 10:00:00.600000    1 caffe.cpp:408] Average Forward pass: 100 ms.
I0101 10:00:00.600000    1 caffe.cpp:410] Average Backward pass: 200 ms.
I0101 10:00:00.600000    1 caffe.cpp:412] Average Forward-Backward: 300 ms.
I0101 10:00:00.600000    1 caffe.cpp:414] Total Time: 600 ms.
I0101 10:00:00.600000    1 caffe.cpp:415] *** Benchmark ends ***
"""
FORWARD_ONLY = b"""\
I0101 10:00:00.000000    1 caffe.cpp:380] *** Benchmark begins ***
I0101 10:00:00.000000    1 caffe.cpp:381] Testing for 1 iterations.
I0101 10:00:00.300000    1 caffe.cpp:397] Iteration: 1 forward time: 100 ms.
I0101 10:00:00.600000    1 caffe.cpp:408] Average Forward pass: 100 ms.
I0101 10:00:00.600000    1 caffe.cpp:414] Total Time: 100 ms.
I0101 10:00:00.600000    1 caffe.cpp:415] *** Benchmark ends ***
"""


def measure(program, log, **hints):
    return parse(program, io.BytesIO(log), ParseHints(**hints))


def value(found, metric="throughput"):
    return found.metrics[metric].value if metric in found.metrics else None


@pytest.mark.parametrize(
    ("phase", "headline", "again"), [("training", 10, 10), (None, 10, 10), ("inference", 30, None)]
)
def test_the_phase_chooses_among_the_passes_of_caffe_time(phase, headline, again):
    found = measure("caffe_time", CAFFE_TIME, batch=3, phase=phase)
    assert found.failure is None
    assert found.begin.phase == (phase or "training")
    assert value(found) == pytest.approx(headline)
    # The windows are of both passes.
    assert value(found, "throughput_recomputed") == (again and pytest.approx(again))


def test_training_is_not_measured_by_a_forward_pass():
    found = measure("caffe_time", FORWARD_ONLY, batch=3, phase="training")
    assert found.failure.message == (
        "the log has no backward pass, so it is inference; use --phase inference"
    )
    assert value(measure("caffe_time", FORWARD_ONLY, batch=3, phase="inference")) == 30


def caffe_train(first):
    """A log whose first line tells a rate that is whatever was in memory."""
    return (
        b"""\
I0101 10:00:00.000000    1 caffe.cpp:239] Starting Optimization
I0101 10:00:00.100000    1 solver.cpp:239] Iteration 0 (%s iter/s, 0.1s/2 iters), loss = 9.5
I0101 10:00:01.100000    1 solver.cpp:239] Iteration 2 (2 iter/s, 1s/2 iters), loss = 4
I0101 10:00:01.600000    1 solver.cpp:239] Iteration 4 (4 iter/s, 0.5s/2 iters), loss = 0.5
I0101 10:00:02.100000    1 solver.cpp:239] Iteration 6 (4 iter/s, 0.5s/2 iters), loss = 0.5
I0101 10:00:02.200000    1 solver.cpp:332] Optimization Done.
"""
        % first
    )


@pytest.mark.parametrize(
    "first", [b"0", b"-4.8e-40", b"3.86962e+26", b"2.56908e-07", b"3.5", b"inf"]
)
def test_no_rate_before_the_first_step_is_believed(first):
    found = measure("caffe_train", caffe_train(first), batch=8, devices=1)
    assert found.failure is None
    assert value(found) == pytest.approx(32)
    assert found.begin.windows["dropped_first"] == 1


def nvcaffe(*lines):
    head = b"I0101 10:00:00.000000    1 caffe.cpp:476] This is NVCaffe 0.17.3 started at x\n"
    end = b"I0101 10:00:09.000000    1 caffe.cpp:260] Optimization Done in 9s\n"
    prefix = b"I0101 10:00:08.000000    1 parallel.cpp:130] "
    return head + b"".join(prefix + line + b"\n" for line in lines) + end


ONE = b"Solver performance on device 0: 12.5 * 0 = 0 img/sec (100 itr in 8 sec)"
TWO = b"Solver performance on device 1: 12 * 0 = 0 img/sec (100 itr in 8 sec)"
OVERALL = b"Overall multi-GPU performance: 0 img/sec"


def test_nvcaffe_does_not_know_the_batch_of_a_network_without_data_layer():
    found = measure("caffe_train", nvcaffe(ONE), batch=64, devices=1)
    assert (found.failure, value(found)) == (None, 12.5 * 64)
    found = measure("caffe_train", nvcaffe(ONE, TWO, OVERALL), batch=64, devices=2)
    assert (found.failure, value(found)) == (None, 24.5 * 64)
    assert found.begin.devices == 2
    assert "counts" not in found.begin.stated()


def test_nor_do_we_without_a_hint():
    found = measure("caffe_train", nvcaffe(ONE))
    assert "--batch" in found.failure.message
    found = measure("caffe_train", nvcaffe(ONE, TWO), batch=64, devices=2)
    assert "no Overall multi-GPU performance" in found.failure.message


SCORES = b"""\
INFO:root:network: resnet-50
INFO:root:device: gpu(0)
INFO:root:batch size 32, dtype float32, images/sec: 100.000000
INFO:root:batch size 32, dtype float16, images/sec: 300.000000
INFO:root:device: cpu(0)
INFO:root:batch size 32, dtype float32, images/sec: 5.000000
"""


@pytest.mark.parametrize(
    ("device", "dtype", "rate"),
    [("gpu", "float32", 100), ("gpu", "tf32", 100), ("gpu", "float16", 300), ("cpu", "float32", 5)],
)
def test_device_and_number_type_leave_one_of_mxnets_scores(device, dtype, rate):
    found = measure("mxnet_score", SCORES, batch=32, device=device, dtype=dtype)
    assert (found.failure, value(found)) == (None, rate)
    assert found.begin.device.startswith(device)


@pytest.mark.parametrize("network", mxnet_score.ALWAYS_FLOAT32)
def test_a_score_of_a_network_that_stays_in_float32_says_so(network):
    log = SCORES.replace(b"resnet-50", network.encode())
    found = measure("mxnet_score", log, batch=32, device="gpu", dtype="float16")
    assert found.failure.message.startswith("the log says float32, not float16 as requested")
    assert found.begin.dtype == "float32"
    assert f"the log says float16, but MXNet's definition of {network}" in found.warnings[0]
    plain = measure("mxnet_score", log, batch=32, device="gpu", dtype="float32")
    assert (value(plain), plain.begin.dtype, plain.warnings) == (100, "float32", ())
    # Both are still told apart where both are there.
    every = measure("mxnet_score", log)
    assert [block["dtype"] for block in every.begin.blocks] == ["float32"] * 3
    assert "contains 3 runs" in every.failure.message


def test_a_score_in_float16_is_believed_for_a_network_that_uses_it():
    found = measure("mxnet_score", SCORES, batch=32, device="gpu", dtype="float16")
    assert (found.begin.dtype, found.warnings) == ("float16", ())


def test_a_run_is_refused_the_types_that_its_score_would_not_be_of():
    framework = catalogue.framework("mxnet_score")
    (unfit,) = framework.unfit
    left_out = {"alexnet", "inception-bn"}
    assert {framework.networks[name] for name in unfit.networks} - left_out == {
        *mxnet_score.ALWAYS_FLOAT32
    }


def test_a_score_that_is_not_there_is_a_failure():
    assert measure("mxnet_score", SCORES, batch=32, device="cpu", dtype="float16").failure
    assert "contains 3 runs" in measure("mxnet_score", SCORES, batch=32).failure.message
