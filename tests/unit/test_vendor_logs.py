"""Excerpts of real logs, read in place, against what is known of them (INDEX.tsv)."""

from pathlib import Path

import pytest

from orchestrator.parsers import ParseHints, parse

LOGS = Path(__file__).parents[2] / ".." / "shared" / "logs"
BATCH_256, BATCH_32 = ParseHints(batch=256), ParseHints(batch=32)

# program, log, hints, metrics
KNOWN = [
    ("tf_cnn_benchmarks", "tf_cnn_benchmarks-1", None, {"throughput": 15996.69}),
    ("tf_cnn_benchmarks", "tf_cnn_benchmarks-3", None, {"throughput": 3206.05}),
    ("nvtfcnn", "ngc_tf_resnet-1", None, {"throughput": 120.3}),
    ("nvtfcnn", "ngc_tf_resnet-2", None, {"throughput": 206.45}),
    ("nvtfcnn", "ngc_tf_resnet-4", None, {"throughput_min": 206.7, "throughput_max": 214.0}),
    ("nvtfcnn", "dlbs_keyvalue-1", None, {"throughput": 165.775}),
    ("dlbs", "ngc_tf_resnet-1", None, {"throughput": 120.3}),
    ("dlbs", "ngc_tf_resnet-2", None, {"throughput": 206.45}),
    ("dlbs", "dlbs_keyvalue-1", None, {"throughput": 165.775, "step_time_mean": 0.096516363}),
    (
        "deeplearningexamples",
        "dle_pytorch_rn50-1",
        None,
        {"throughput": 226.67, "throughput_compute": 227.05},
    ),
    (
        "deeplearningexamples",
        "dle_pytorch_rn50-2",
        None,
        {"throughput": 22081.53, "throughput_compute": 22088.44},
    ),
    (
        "deeplearningexamples",
        "dle_tf_rn50-1",
        None,
        {"throughput": 6638.003508038038, "throughput_recomputed": 6536.16740979821},
    ),
    ("horovod", "horovod_synthetic-1", None, {"throughput": 432.8}),
    ("horovod", "horovod_synthetic-2", None, {"throughput": 4801.4}),
    (
        "pytorch_imagenet",
        "pytorch_imagenet-1",
        BATCH_256,
        {"step_time_mean": 2.652, "throughput": 256 / 2.652},
    ),
    (
        "pytorch_imagenet",
        "torchvision_references-1",
        BATCH_32,
        {"throughput": 32 / 10.3179, "throughput_compute": 18.12335051358464},
    ),
    (
        "torchbench",
        "torchbench-1",
        BATCH_32,
        {"gpu_time": 0.012097, "cpu_wall_time": 0.012137, "throughput": 32 / 0.012097},
    ),
]
# program, log, hints, metrics that stand in spite of the failure
NO_RESULT = [
    ("tf_cnn_benchmarks", "tf_cnn_benchmarks-4", None, {}),
    ("tf_cnn_benchmarks", "tf_cnn_benchmarks-6", None, {}),
    ("deeplearningexamples", "dle_pytorch_rn50-4", None, {"throughput_max": 11124.52}),
    ("pytorch_imagenet", "pytorch_imagenet-1", None, {"step_time_mean": 2.652}),
    ("pytorch_imagenet", "torchvision_references-1", None, {}),  # half the step is reading data
    ("torchbench", "torchbench-1", None, {"gpu_time": 0.012097, "cpu_wall_time": 0.012137}),
]


def measured(program, name, hints):
    log = LOGS / f"{name}.txt"
    if not log.exists():
        pytest.skip(f"the excerpt {name} of a real log is not on this machine")
    return parse(program, log, hints)


@pytest.mark.parametrize(("program", "name", "hints", "known"), KNOWN)
def test_a_real_log_gives_its_known_figure(program, name, hints, known):
    found = measured(program, name, hints)
    assert found.failure is None
    values = {metric: found.metrics[metric].value for metric in known}
    assert values == pytest.approx(known, rel=1e-12)


@pytest.mark.parametrize(("program", "name", "hints", "known"), NO_RESULT)
def test_a_real_log_without_result_gives_none(program, name, hints, known):
    found = measured(program, name, hints)
    assert found.failure.kind == "no_result"
    assert "throughput" not in found.metrics
    values = {metric: found.metrics[metric].value for metric in known}
    assert values == pytest.approx(known)


def test_the_banner_in_a_real_log():
    found = measured("nvtfcnn", "ngc_tf_resnet-1", None)
    assert found.begin["image_release"] == "18.07"
    assert "RTX 2080 SUPER" in found.warnings[0]
