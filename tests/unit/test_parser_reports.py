"""Reports of bandwidth: nccl-tests, nvbandwidth and iperf3, whole, wrong, cut off and damaged."""

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.cli import main_inner
from orchestrator.parsers import ParseHints, parse, parse_any
from tests.support.bandwidth_samples import (
    ALL_REDUCE,
    IPERF3,
    IPERF3_JSON,
    NVBANDWIDTH,
    NVBANDWIDTH_JSON,
    OLD_ALL_GATHER,
    SAMPLES,
)

# Figures that a report has once, and nothing else depends on.
SINGLE = ("jitter", "retransmits")
# What rounding hides: iperf3 prints three digits.
ROUNDING = 0.01


def read(program, log, hints=None):
    return parse(program, io.BytesIO(log), hints)


def values(found):
    return {name: metric.value for name, metric in found.metrics.items()}


@pytest.mark.parametrize("name", SAMPLES)
def test_a_report_has_its_figures(name):
    program, log, figures = SAMPLES[name]
    found = read(program, log)
    assert found.failure is None
    assert found.warnings == ()
    assert values(found) == pytest.approx(figures)
    assert parse_any(io.BytesIO(log)).program == program
    assert read(program, log.replace(b"\n", b"\r\n")).metrics == found.metrics


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.7, 0.8, 0.9])
def test_a_report_that_is_cut_off_has_none(name, share):
    program, log, _ = SAMPLES[name]
    end = log.rfind(b"\n", 0, int(len(log) * share)) + 1
    if program == "nvbandwidth" and log[:end].rstrip().endswith(b"0"):
        pytest.skip("a report ends after any of its tests")
    found = read(program, log[:end])
    assert found.metrics == {}
    assert found.failure is not None


@given(st.data())
def test_a_damaged_report_gives_no_other_figure_in_silence(data):
    name = data.draw(st.sampled_from(sorted(SAMPLES)))
    program, log, figures = SAMPLES[name]
    place = data.draw(st.integers(0, len(log) - 1))
    match data.draw(st.sampled_from(["cut", "digit", "drop", "line", "noise"])):
        case "cut":
            log = log[:place]
        case "digit":
            digit = data.draw(st.sampled_from([b"%d" % one for one in range(10)]))
            log = log[:place] + digit + log[place + 1 :]
        case "drop":
            log = log[:place] + log[place + data.draw(st.integers(1, 30)) :]
        case "line":
            lines = log.splitlines(keepends=True)
            del lines[data.draw(st.integers(0, len(lines) - 1))]
            log = b"".join(lines)
        case "noise":
            log = log[:place] + b"host:1:1 [0] NCCL INFO 0 1.50\n" + log[place:]
    found = read(program, log)
    if found.failure is not None:
        assert found.metrics == {}
    elif not found.warnings:
        for metric, value in values(found).items():
            if metric in SINGLE or metric not in figures:
                continue
            assert value == pytest.approx(figures[metric], rel=ROUNDING)


@pytest.mark.parametrize(
    ("program", "log", "kind", "told"),
    [
        (
            "nccl_tests",
            ALL_REDUCE.replace(b"198.00  297.00       0", b"198.00  297.00      12"),
            "contradiction",
            "12 values of a message of 268,435,456 bytes are wrong",
        ),
        (
            "nccl_tests",
            ALL_REDUCE.replace(b"values : 0 OK", b"values : 3 FAILED"),
            "contradiction",
            "3 results are out of bounds",
        ),
        (
            "nccl_tests",
            ALL_REDUCE[: ALL_REDUCE.index(b"# Out of")],
            "no_result",
            "no summary: the program did not finish",
        ),
        (
            "nccl_tests",
            ALL_REDUCE[: ALL_REDUCE.index(b"#       size")]
            + b"node-a7: Test NCCL failure common.cu:1012 'unhandled system error'\n",
            "crashed",
            "reports a failure",
        ),
        (
            "nccl_tests",
            ALL_REDUCE.replace(b" 24.00 ", b" 42.00 "),
            "contradiction",
            "a mean of 110.622 GB/s, the summary says 107.622",
        ),
        (
            "nccl_tests",
            ALL_REDUCE.replace(b"     time   algbw", b"  cputime   algbw"),
            "no_result",
            "those of the CPU",
        ),
        (
            "nvbandwidth",
            NVBANDWIDTH.replace(b"    41.30\n", b"    14.30\n"),
            "contradiction",
            "add up to 69.40, the log says 96.40",
        ),
        (
            "nvbandwidth",
            NVBANDWIDTH[: NVBANDWIDTH.index(b"SUM device")],
            "no_result",
            "has no sum: it is cut off",
        ),
        (
            "nvbandwidth",
            NVBANDWIDTH[: NVBANDWIDTH.index(b"memory latency")],
            "no_result",
            "host_device_latency_sm has no result",
        ),
        (
            "nvbandwidth",
            NVBANDWIDTH_JSON.replace(b'"Waived"', b'"Error"'),
            "crashed",
            "device_to_device_memcpy_read_ce did not pass: Error",
        ),
        ("nvbandwidth", NVBANDWIDTH_JSON[:-30], "no_result", "cut off or damaged"),
        (
            "iperf3",
            b"iperf3: error - unable to connect to server: Connection refused\n",
            "crashed",
            "unable to connect to server",
        ),
        ("iperf3", IPERF3[: IPERF3.index(b"iperf Done")], "no_result", "did not finish"),
        (
            "iperf3",
            IPERF3.replace(b"9.50 Gbits/sec", b"9.50 Mbits/sec"),
            "contradiction",
            "not the bytes over the time",
        ),
        (
            "iperf3",
            b'{\n\t"start":\t{\n\t\t"test_start":\t{}\n\t},\n\t"error":\t"unable to connect"\n}\n',
            "crashed",
            "iperf3: unable to connect",
        ),
    ],
)
def test_why_a_report_has_no_figure(program, log, kind, told):
    failure = read(program, log).failure
    assert failure is not None
    assert (failure.kind, told in failure.message) == (kind, True), failure


def test_doubts_of_nccl_tests():
    unchecked = ALL_REDUCE.replace(b"       0 ", b"     N/A ").replace(b"       0\n", b"     N/A\n")
    assert read("nccl_tests", unchecked).warnings == ("the values were not checked (-c 0)",)
    below = ALL_REDUCE.replace(b": 107.622 ", b": 107.622 FAILED")
    assert "NCCL_TESTS_MIN_BW" in read("nccl_tests", below).warnings[0]
    other = ALL_REDUCE.replace(b": 107.622 ", b": 107.8 ")
    assert "the summary says 107.8" in read("nccl_tests", other).warnings[0]


def test_a_table_with_times_of_each_row_and_of_single_iterations():
    stamped = ALL_REDUCE.replace(b"#wrong \n", b"#wrong           timestamp\n", 1)
    for end in (b"0.07       0", b"24.58       0", b"297.00       0"):
        stamped = stamped.replace(end, end + b"  2026-04-05 06:07:08")
    assert values(read("nccl_tests", stamped)) == pytest.approx(SAMPLES["all_reduce"][2])
    # All of them in a mixed table: no size of one kind stands for the others.
    mixed = ALL_REDUCE.replace(
        b"     float     sum      -1    32.77", b"      half     sum      -1    32.77"
    )
    found = read("nccl_tests", mixed)
    assert values(found) == pytest.approx({"bus_bandwidth_mean": 107.622e9})
    assert "several number types" in found.warnings[0]


def test_one_of_several_reports_is_chosen():
    log = OLD_ALL_GATHER + OLD_ALL_GATHER.replace(b"5.25", b"5.26")
    assert "2 runs: choose one with --block" in read("nccl_tests", log).failure.message
    found = read("nccl_tests", log, ParseHints(block=2))
    assert found.metrics["bus_bandwidth"].value == pytest.approx(5.26e9)
    assert [one["problem"] for one in found.begin.blocks] == ["", ""]


def test_a_direction_of_iperf3_has_its_own_figure():
    rows = [
        f"[  5][{role}]   0.00-2.00   sec  {size} MBytes  {rate} Mbits/sec  {again}    {who}"
        for role, size, rate in (("TX-C", "238", "998"), ("RX-C", "119", "499"))
        for who, again in (("sender", "  0        "), ("receiver", "           "))
    ]
    log = "\n".join(["Connecting to host b, port 5201", *rows, "", "iperf Done.", ""]).encode()
    found = values(read("iperf3", log))
    assert found == pytest.approx(
        {
            "bandwidth_sent": 998e6 / 8,
            "bandwidth_received": 499e6 / 8,
            "retransmits_sent": 0,
            "retransmits_received": 0,
        }
    )


def test_the_command_shows_a_report(tmp_path, capsys):
    log = tmp_path / "log.txt"
    log.write_bytes(ALL_REDUCE)
    assert main_inner(["parse", str(log), "--explain"]) == 0
    shown = capsys.readouterr().out
    assert "detected a log of nccl_tests by line 18" in shown
    assert "bus bandwidth in place  297.0 GB/s" in shown
    assert "line 16: " in shown
    log.write_bytes(IPERF3_JSON)
    assert main_inner(["parse", "iperf3", str(log), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["metrics"]
    assert told["bandwidth"] == {"value": 9.5e9 / 8, "unit": "bytes/s"}
