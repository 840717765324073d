"""What TensorFlow's official models print: rates of windows, and no total."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.parsers import ParseHints, parse
from tests.support.vendor_samples import (
    NVIDIA_TF2,
    TF2_BATCHES,
    TF2_SPANS,
    TF2_STEPS,
    TF_HOOK,
    TF_HOOK_OLD,
)


def measure(data, program="tf_official_models", **hints):
    return parse(program, io.BytesIO(data), ParseHints(**hints))


def value(found, metric="throughput"):
    return found.metrics[metric].value if metric in found.metrics else None


STEP = "BenchmarkMetric: {{'global step':{end}, 'time_taken': 1,'examples_per_second': {rate!r}}}\n"
SPAN = "TimeHistory: 1.00 seconds, {rate!r} examples/second between steps {start} and {end}\n"
NVIDIA = "global_step: {end} images_per_sec: {rate!r}\n"
HOOK = "INFO:tensorflow:Average examples/sec: 1 ({rate!r}), step = {end}\n"

seconds = st.floats(min_value=1e-3, max_value=1e3)


@pytest.mark.slow
@pytest.mark.parametrize(("wording", "warm_up"), [(STEP, 1), (NVIDIA, 1), (HOOK, 0)])
@given(times=st.lists(seconds, min_size=2, max_size=30), batch=st.integers(1, 4096))
def test_the_figure_is_all_samples_over_the_time_of_all_timed_windows(
    wording, warm_up, times, batch
):
    log = "".join(
        wording.format(end=10 * (index + 1), rate=10 * batch / time)
        for index, time in enumerate(times)
    )
    found = measure(log.encode())
    assert found.failure is None
    timed = times[warm_up:]
    assert value(found) == pytest.approx(10 * batch * len(timed) / sum(timed), rel=1e-9)
    assert value(found, "throughput_recomputed") == value(found)
    assert value(found, "throughput_mean_of_rates") >= value(found) * (1 - 1e-9)
    assert found.begin.estimator == "harmonic_mean"
    assert found.begin.windows["dropped_first"] == warm_up


@pytest.mark.slow
@given(
    windows=st.lists(st.tuples(st.integers(1, 500), seconds), min_size=2, max_size=30),
    batch=st.integers(1, 4096),
    first=st.integers(0, 10**6),
)
def test_windows_of_any_number_of_steps_count_by_their_steps(windows, batch, first):
    log, start = "", first
    for steps, time in windows:
        log += SPAN.format(rate=steps * batch / time, start=start, end=start + steps)
        start += steps
    found = measure(log.encode())
    assert found.failure is None
    samples = batch * sum(steps for steps, _ in windows[1:])
    assert value(found) == pytest.approx(samples / sum(time for _, time in windows[1:]), rel=1e-9)


@pytest.mark.parametrize("log", [TF2_STEPS, TF2_SPANS, TF2_BATCHES])
def test_a_window_in_which_an_epoch_ended_is_left_out(log):
    found = measure(log)
    assert found.begin.windows_with_an_epochs_end == 1
    # Its rate is 10, as the first one's.
    assert value(found, "throughput_min") == 100
    # Without prefixes nothing tells ranks apart but that they print the same.
    ranks = b"".join(line * 2 for line in log.splitlines(keepends=True))
    assert measure(ranks).metrics == found.metrics
    assert "only of its devices" in measure(ranks).warnings[-1]
    assert "only of its devices" not in "".join(found.warnings)


def test_a_log_that_begins_with_an_epoch_loses_no_more_than_its_first_window():
    found = measure(TF2_BATCHES)
    assert found.begin.windows["count"] == 3
    assert found.begin.windows["dropped_first"] == 1


def test_the_estimators_hook_leaves_warm_up_out_itself():
    for log in (TF_HOOK, TF_HOOK_OLD):
        found = measure(log)
        assert found.begin.windows["used"] == 3
        assert found.begin.windows["why"] == "the program leaves warm-up out"


@pytest.mark.parametrize("log", [TF2_STEPS, TF2_SPANS, TF2_BATCHES, NVIDIA_TF2])
def test_only_a_window_of_warm_up_gives_no_result(log):
    lines = log.splitlines(keepends=True)
    rate = next(index for index, line in enumerate(lines) if b"second" in line or b"_sec" in line)
    found = measure(b"".join(lines[: rate + 1]))
    assert "has 1 window of steps, and the first is warm-up" in found.failure.message
    assert "throughput" not in found.metrics


def test_nvidias_program_tells_its_arguments():
    found = measure(NVIDIA_TF2, devices=2)
    told = found.begin
    assert (told.batch, told.dtype, told.framework_version) == (32, "fp16", "2.8.0")
    assert told.stated()["xla"] is False
    assert value(found, "step_time_mean") == pytest.approx(64 / (400 / 3))
    short = measure(NVIDIA_TF2[: NVIDIA_TF2.index(b"global_step: 30")].replace(b"=30", b"=90"))
    assert "stopped after step 20 of 90" in short.failure.message


def test_the_parser_of_tensorflow_1s_program_names_that_of_tensorflow_2s():
    found = measure(NVIDIA_TF2, "nvtfcnn")
    assert found.failure.kind == "unsupported"
    assert "use `benchdock parse tf_official_models`" in found.failure.message


def test_epochs_that_start_again_are_another_run():
    found = measure(TF2_BATCHES + TF2_BATCHES)
    assert "contains 2 runs" in found.failure.message
    assert value(measure(TF2_BATCHES + TF2_BATCHES, block=2)) == value(measure(TF2_BATCHES))
    # The number of the epoch is the same where each run has one.
    batches = b"BenchmarkMetric: {'num_batches':%d, 'time_taken': 1,'images_per_second': 100.0}\n"
    one = b"Epoch 1/1\n" + b"".join(batches % number for number in (10, 20, 30, 40))
    assert value(measure(one * 2, block=2)) == value(measure(one)) == 100


def test_processes_that_each_print_a_rate_are_a_doubt():
    log = b"".join(
        b"[1,%d]<stdout>:" % rank + line
        for line in TF2_SPANS.splitlines(keepends=True)
        for rank in (0, 1)
    )
    assert "only of its devices" in measure(log).warnings[-1]


@pytest.mark.parametrize(
    "log",
    [
        b"TimeHistory: 1.00 seconds, 5.00 examples/second between steps 20 and 20\n" * 3,
        STEP.format(end=10, rate=1.5).encode() + STEP.format(end=20, rate=0.0).encode(),
    ],
)
def test_windows_that_are_none_give_no_figure(log):
    found = measure(log)
    assert found.failure.kind == "no_result"
    assert "throughput" not in found.metrics
