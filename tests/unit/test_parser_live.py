"""A running benchmark shows the same kind of figure as its result, or another unit."""

from dataclasses import replace

import pytest

from orchestrator.parsers import ParseHints, parser_for
from orchestrator.ui import words
from tests.support.framework_samples import SAMPLES as FRAMEWORKS
from tests.support.vendor_samples import IMAGENET, TF_CNN
from tests.support.vendor_samples import SAMPLES as VENDORS

SAMPLES = {**VENDORS, **FRAMEWORKS}


def live(program, log, **hints):
    """Return the last rate that was shown and its unit, and the result."""
    parser = parser_for(program, ParseHints(**hints))
    shown = None
    for line in log.splitlines(keepends=True):
        parser.feed(line)
        if parser.progress.throughput is not None:
            shown = (parser.progress.throughput, parser.progress.unit)
    return shown, parser.finish()


@pytest.mark.parametrize("name", SAMPLES)
def test_the_live_rate_is_of_the_same_kind_as_the_result(name):
    program, log, hints, _, _ = SAMPLES[name]
    batch = hints.batch or 8
    shown, found = live(program, log, **vars(replace(hints, batch=batch)))
    if shown is None:
        assert program in {"caffe2_net", "mxnet_score", "openvino_benchmark_app"} | {
            "timm",
            "torchbench",
            "dlbs",
            "onnxruntime_perf_test",
        }
        return
    rate, unit = shown
    assert unit == "samples/s"
    if found.failure is None:
        low, high = (
            found.metrics.get(f"throughput_{end}", found.metrics["throughput"]).value
            for end in ("min", "max")
        )
        assert low / 15 < rate < high * 1.5


@pytest.mark.parametrize(
    ("name", "unit", "rate"),
    [
        ("caffe-time-nvidia", "iterations/s", 1000 / 3),
        ("caffe-train-old", "iterations/s", 20 / 6),
        ("trtexec-7", "batches/s", 2000),
        ("imagenet", "steps/s", 1.0),
    ],
)
def test_a_rate_without_its_batch_says_its_unit(name, unit, rate):
    program, log, _, _, _ = SAMPLES[name]
    (shown, shown_unit), _ = live(program, log)
    assert (shown, shown_unit) == (pytest.approx(rate), unit)


def test_what_is_shown_has_its_unit():
    parser = parser_for("pytorch_imagenet")
    parser.feed(IMAGENET)
    assert words.progress_words(parser.progress) == "timing, 1000 steps, 1.000 steps/s"


def test_a_worker_of_horovod_is_shown_as_all_of_them():
    log = TF_CNN.replace(b"'/gpu:", b"'horovod/gpu:").replace(b"398.50", b"797.00")
    (rate, unit), found = live("tf_cnn_benchmarks", log)
    assert (rate, unit) == (pytest.approx(800), "samples/s")
    assert found.metrics["throughput"].value == 797


def test_workers_are_shown_together():
    line = b"INFO:root:Epoch[0] Batch [%d]\tSpeed: %d.00 samples/sec\taccuracy=0.1\n"
    log = b"".join(line % (batch, rate) for batch in (10, 20) for rate in (30, 31, 32))
    assert live("mxnet_train_imagenet", log)[0] == (93, "samples/s")
