"""What a parser makes of each log in tests/logs, by its index."""

import pytest

from orchestrator.parsers import ParseHints, parse
from tests.support import sample_logs
from tests.support.sample_logs import INDEX, LOGS, path


def measured(name, **hints):
    return parse(INDEX[name]["program"], path(name), sample_logs.hints(name, **hints))


def value(found, metric="throughput"):
    return found.metrics[metric].value


@pytest.mark.slow
@pytest.mark.parametrize("name", INDEX)
def test_a_log_gives_its_figure_its_scope_and_its_doubt(name):
    row = INDEX[name]
    found = measured(name)
    metrics, begin = row.get("metrics", {}), row.get("begin", {})
    assert {metric: value(found, metric) for metric in metrics} == pytest.approx(metrics)
    assert {fact: found.begin.stated()[fact] for fact in begin} == begin
    assert row.get("warning", "") in "\n".join(found.warnings)
    if "failure" in row:
        assert found.failure is not None
        assert row["failure"] in found.failure.message
        assert "throughput" not in found.metrics
        return
    assert found.failure is None
    assert value(found) == pytest.approx(row["throughput"], rel=1e-3)
    assert found.begin.scope == row["scope"]
    lines = path(name).read_text().splitlines()
    assert found.begin.evidence
    for number, text in found.begin.evidence:
        assert lines[number - 1].rstrip().endswith(text.lstrip()[-20:]) or "\t" in lines[number - 1]


def test_every_log_is_in_the_index():
    assert {*LOGS.rglob("*.txt")} == {path(name) for name in INDEX}


@pytest.mark.parametrize(
    "name",
    [
        "caffe-time-no-backward",
        "imagenet-2018",
        "trtexec-5-quote",
        "trtexec-7-quote",
        "trtexec-8-quote",
    ],
)
def test_a_log_that_does_not_tell_its_batch_needs_the_option_and_keeps_its_times(name):
    mute = measured(name, batch=None)
    assert "--batch" in mute.failure.message
    assert mute.metrics
    assert mute.metrics == {
        key: metric
        for key, metric in measured(name).metrics.items()
        if not key.startswith("throughput")
    }


def test_without_a_batch_nothing_is_left_of_rates_that_leave_out_the_wait_for_data():
    mute = measured("torchvision-quote", batch=None)
    assert "img/s leaves out the wait for data: use --batch" in mute.failure.message
    assert mute.metrics == {}


@pytest.mark.parametrize("name", ["trtexec-5-quote", "trtexec-7-quote", "trtexec-8-quote"])
def test_the_throughput_grows_with_the_batch_of_a_query(name):
    assert value(measured(name, batch=16)) == pytest.approx(4 * value(measured(name)))


def test_a_networks_definition_is_of_the_run_that_it_begins():
    found = measured("caffe-time-three-runs")
    times = [block["metrics"]["forward_backward"]["value"] for block in found.begin.blocks]
    assert times == pytest.approx([0.08, 0.16, 0.04])
    for block, time in enumerate(times, start=1):
        chosen = measured("caffe-time-three-runs", batch=32, block=block)
        assert value(chosen) == pytest.approx(32 / time)
    assert "--batch" in measured("caffe-time-three-runs", block=2).failure.message


def test_a_score_is_chosen_among_those_of_its_batch():
    found = measured("mxnet-score-cpu")
    assert [
        (block["model"], block["batch"], block["metrics"]["throughput"]["value"])
        for block in found.begin.blocks
    ] == [
        ("alexnet", 1, 120.25),
        ("alexnet", 32, 340.5),
        ("vgg-16", 1, 25.125),
        ("vgg-16", 32, 40.75),
    ]
    assert value(measured("mxnet-score-cpu", batch=32, block=2)) == 40.75


def test_dlbs_finds_its_own_result_in_a_log_of_nvtfcnn_and_the_other_way_round():
    own = parse("dlbs", path("nvtfcnn-in-dlbs"), ParseHints())
    assert (value(own), value(own, "step_time_mean")) == (99.5, pytest.approx(8 / 99.5))
    table = parse("nvtfcnn", path("dlbs-nvtfcnn"), ParseHints())
    assert value(table, "throughput_mean_of_rates") == 128.25
    assert value(table) == pytest.approx(4 / (1 / 128.5 + 1 / 127.5 + 1 / 128 + 1 / 129))
