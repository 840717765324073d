import math
import random
import statistics
import time
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator import stats

TIMES = st.lists(st.floats(min_value=0, max_value=1e6), min_size=1, max_size=50)


def noisy(count, seconds=0.1, noise=0.001, seed=1):
    source = random.Random(seed)
    return [seconds + source.gauss(0, noise) for _ in range(count)]


@pytest.mark.slow
@given(TIMES, st.floats(min_value=0, max_value=100))
def test_percentile_is_numpys(values, percent):
    numpy = pytest.importorskip("numpy")
    expected = float(numpy.percentile(values, percent))
    assert stats.percentile(sorted(values), percent) == pytest.approx(expected, abs=1e-9)


@pytest.mark.slow
@given(TIMES)
def test_summary_agrees_with_the_standard_library(values):
    summary = stats.summarize(values)
    assert summary.mean == pytest.approx(statistics.fmean(values))
    assert summary.median == pytest.approx(statistics.median(values))
    expected = statistics.stdev(values) if len(values) > 1 else 0.0
    assert summary.stdev == pytest.approx(expected, abs=1e-9)
    assert summary.min <= summary.median <= summary.p90 <= summary.p99 <= summary.max


def test_no_values_have_no_percentile():
    with pytest.raises(ValueError, match="no values"):
        stats.percentile([], 50)


def test_outliers_are_found_if_the_standard_deviation_would_hide_them():
    values = noisy(50)
    values[7] = values[33] = 9.0
    assert stats.outliers(values) == [7, 33]
    assert stats.outliers([0.1] * 20) == []
    assert stats.outliers([0.1] * 20 + [0.1005]) == []


def test_interval_holds_the_throughput_and_is_repeatable():
    values = noisy(10_000, noise=0.01)
    low, high = stats.throughput_interval(values, 8000)
    assert low < 8000 / sum(values) < high
    assert (low, high) == stats.throughput_interval(values, 8000)
    # standard error of the mean: 10 % / sqrt(10000) = 0.1 %; 95 % is about 2 of them either side
    assert (high - low) / low == pytest.approx(4 * 0.1 / math.sqrt(10_000), rel=0.5)


def test_an_interval_of_independent_steps_is_hardly_wider_than_students():
    widths = []
    for seed in range(100):
        low, high = stats.throughput_interval(noisy(100, noise=0.01, seed=seed), 100)
        widths.append((high - low) / low)
    assert stats.median(widths) < 1.35 * 2 * 1.984 * 0.1 / math.sqrt(100)


def test_steps_like_the_one_before_widen_the_interval():
    values = noisy(100, noise=0.01)
    alike = sorted(values[:50]) + sorted(values[50:], reverse=True)
    (low, high), (lower, higher) = (
        stats.throughput_interval(steps, 100) for steps in (values, alike)
    )
    assert higher - lower > 3 * (high - low)


def test_an_interval_is_turned_and_scaled_with_its_steps():
    values = noisy(50, noise=0.01)
    low, high = stats.throughput_interval(values, 100)
    for changed, samples in (([2 * v for v in values], 200), (values[::-1], 100)):
        assert stats.throughput_interval(changed, samples) == pytest.approx((low, high))


@pytest.mark.slow
@given(st.lists(st.just(0.0) | st.floats(1e-9, 1e9), min_size=10, max_size=150))
def test_any_steps_have_an_interval_or_a_reason(values):
    try:
        low, high = stats.throughput_interval(values, len(values))
    except stats.NoInterval:
        return
    throughput = len(values) / math.fsum(values)
    assert 0 < low <= throughput * (1 + 1e-9)
    assert throughput * (1 - 1e-9) <= high < math.inf


def test_equal_steps_have_an_interval_without_width():
    assert stats.throughput_interval([0.5] * 20, 40) == pytest.approx((4, 4))


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ([], "no time"),
        ([0.0, 0.0], "no time"),
        ([1.0] * 9, "9 steps are too few for an interval: raise --steps to 10 or more"),
        ([0.001] * 10 + [5.0] * 10, "the step times vary so much"),
    ],
)
def test_if_there_is_no_interval_the_reason_is_reported(values, why):
    with pytest.raises(stats.NoInterval, match=why):
        stats.throughput_interval(values, 1)


def test_a_short_run_says_what_its_interval_covers():
    assert "only what the 20 steps of this run showed" in stats.within_run([1.0] * 20)[0]
    assert stats.within_run([1.0] * 9) == stats.within_run([1.0] * 1000) == []


def test_a_steady_run_raises_no_doubt():
    assert stats.doubts(noisy(100)) == []
    assert stats.doubts([]) == []


@pytest.mark.parametrize(
    ("seconds", "word"),
    [
        (noisy(5, seconds=1.0), "too few timed steps (5)"),
        (noisy(20, seconds=0.01, noise=1e-5), "timed for only 200.0 ms"),
        ([0.5, *noisy(99)], "the first timed step took 5.0 times"),
        (noisy(100, noise=0.02), "standard deviation of the step time is"),
        (noisy(60) + noisy(60, seconds=0.12), "steps became 20 % slower"),
        (noisy(60, seconds=0.12) + noisy(60), "raise --warmup"),
        ([*noisy(90), *[0.4] * 10] * 3, "outliers, the slowest 4.0 times"),
        (
            [1 + 0.01 * step for step in range(30)],
            "30 steps say no more than 2 independent steps: raise",
        ),
    ],
)
def test_doubts_in_words(seconds, word):
    assert [doubt for doubt in stats.doubts(seconds) if word in doubt], stats.doubts(seconds)


def test_noise_is_not_a_drift():
    for seed in range(30):
        assert not [d for d in stats.doubts(noisy(60, noise=0.009, seed=seed)) if "became" in d]


def test_the_window_counts_if_it_is_known():
    assert stats.doubts(noisy(20, seconds=0.01, noise=1e-5), window=5.0) == []


@given(st.lists(st.floats(min_value=0, max_value=1e9), max_size=60))
def test_any_times_can_be_doubted(seconds):
    assert all(isinstance(doubt, str) for doubt in stats.doubts(seconds))


@pytest.mark.slow
def test_many_steps_take_seconds_at_most():
    source = random.Random(1)
    values = array("d", (source.random() for _ in range(200_000)))
    start = time.process_time()
    stats.throughput_interval(values * 5, 1e6)
    assert time.process_time() - start < 1
    stats.summarize(values)
    stats.doubts(values)
    assert time.process_time() - start < 10


def test_the_interval_of_a_few_runs_is_students():
    low, high = stats.mean_interval([9.0, 10.0, 11.0])
    assert high - 10 == pytest.approx(4.303 / math.sqrt(3), rel=1e-6)
    assert low == pytest.approx(20 - high)
    with pytest.raises(ValueError, match="one value"):
        stats.mean_interval([1.0])


def test_the_interval_beyond_the_table_of_students_t_goes_on_smoothly():
    many = [1.0, 2.0] * 15  # 29 degrees of freedom: t = 2.045
    low, high = stats.mean_interval(many)
    error = stats.standard_deviation(many) / math.sqrt(30)
    assert (high - low) / 2 == pytest.approx(2.045 * error, rel=1e-3)


def test_the_interval_of_a_difference_has_the_freedom_of_the_smaller_side():
    low, high = stats.difference_interval([9.0, 10.0, 11.0], [5.0] * 8)
    assert (low + high) / 2 == pytest.approx(5)
    assert (high - low) / 2 == pytest.approx(4.303 / math.sqrt(3), rel=1e-6)
    with pytest.raises(ValueError, match="one value"):
        stats.difference_interval([1.0, 2.0], [1.0])
