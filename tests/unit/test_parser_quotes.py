"""Runs that are quoted one after the other, without their first lines, are recognized."""

import io

import pytest

from orchestrator.parsers import ParseHints, parse
from tests.support.framework_samples import CAFFE_TIME, TRTEXEC_8
from tests.support.vendor_samples import HOROVOD


def measured(program, log, **hints):
    return parse(program, io.BytesIO(log), ParseHints(**hints))


def rates(program, log, **hints):
    """Return the throughput of each run in a log that holds several."""
    found = measured(program, log, **hints)
    assert found.failure is not None
    assert "choose one with --block" in found.failure.message
    return [block["metrics"]["throughput"]["value"] for block in found.begin.blocks]


def summary(qps, heading=True):
    stamp = b"[05/06/2024-07:08:09] [I] "
    milliseconds = 1000 / qps
    return b"".join(
        stamp + line + b"\n"
        for line in (
            *([b"=== Performance summary ==="] if heading else []),
            b"Throughput: %g qps" % qps,
            b"Latency: min = %g ms, max = %g ms, mean = %g ms, median = %g ms"
            % ((milliseconds,) * 4),
            b"GPU Compute Time: min = %g ms, max = %g ms, mean = %g ms, median = %g ms"
            % ((milliseconds,) * 4),
            b"Total Host Walltime: 3.5 s",
        )
    )


@pytest.mark.parametrize("heading", [True, False])
def test_two_summaries_of_trtexec_are_two_runs(heading):
    log = b"INT8:\n" + summary(900.5, heading) + b"\nFP16:\n" + summary(450.25, heading)
    assert rates("trtexec", log, batch=2) == [1801.0, 900.5]
    second = measured("trtexec", log, batch=2, block=2)
    assert second.failure is None
    assert second.metrics["throughput"].value == 900.5
    assert second.begin.evidence[0][1].endswith("Throughput: 450.25 qps")


def test_the_summary_of_a_whole_log_begins_no_run():
    assert b"=== Performance summary ===" in TRTEXEC_8
    assert "blocks" not in measured("trtexec", TRTEXEC_8).begin.stated()
    assert len(rates("trtexec", TRTEXEC_8 + summary(450.25), batch=4)) == 2


def ending(milliseconds, layers=b""):
    stamp = b"I0506 07:08:09.123456  77 caffe.cpp:400] "
    lines = (
        *([layers] if layers else []),
        b"Average Forward pass: %g ms." % milliseconds,
        b"Average Backward pass: %g ms." % (2 * milliseconds),
        b"Average Forward-Backward: %g ms." % (3 * milliseconds),
        b"Total Time: %g ms." % (30 * milliseconds),
        b"*** Benchmark ends ***",
    )
    return b"".join(stamp + line + b"\n" for line in lines)


@pytest.mark.parametrize("layers", [b"", b"     conv1\tforward: 1.5 ms."])
def test_two_ends_of_caffe_time_are_two_runs(layers):
    log = b"with cuDNN\n" + ending(4, layers) + b"without\n" + ending(8, layers)
    assert rates("caffe_time", log, batch=12) == [1000.0, 500.0]
    assert measured("caffe_time", log, batch=12, block=2).metrics["throughput"].value == 500.0


def test_the_end_of_a_whole_log_of_caffe_time_begins_no_run():
    assert "blocks" not in measured("caffe_time", CAFFE_TIME).begin.stated()
    assert len(rates("caffe_time", CAFFE_TIME + ending(4), batch=64)) == 2


def test_horovods_totals_of_two_machines_may_differ_a_little():
    other = HOROVOD[HOROVOD.index(b"Img/sec") :].replace(b"800.0", b"801.5")
    found = measured("horovod", HOROVOD + other)
    assert found.failure is None
    assert found.metrics["throughput"].value == 800.0
    assert any("801.5" in warning for warning in found.warnings)
    assert (
        "two results"
        in measured("horovod", HOROVOD + other.replace(b"801", b"890")).failure.message
    )
