"""Figures that several parsers doubt or refuse: workers, mixed runs, broken numbers, own doubts."""

import io

import pytest

from orchestrator.parsers import ParseHints, parse, parser_for
from tests.support.framework_samples import (
    GIEXEC,
    MXNET_TRAIN,
    OPENVINO,
    TRTEXEC_5,
    TRTEXEC_7,
    TRTEXEC_8,
)
from tests.support.vendor_samples import DLBS, DLE_PYTORCH, DLE_TF, HOROVOD, IMAGENET, TF_CNN, TIMM


def measure(program, data, **hints):
    return parse(program, io.BytesIO(data), ParseHints(**hints))


def value(found, metric="throughput"):
    return found.metrics[metric].value if metric in found.metrics else None


def message(found):
    assert "throughput" not in found.metrics
    return found.failure.message


SPEED = b"INFO:root:Epoch[0] Batch [%d]\tSpeed: %d.00 samples/sec\taccuracy=0.1\n"


class TestWorkers:
    def test_workers_that_start_and_print_nothing_are_left_out_with_a_doubt(self):
        start = b"INFO:root:Start training with [gpu(0)]\n"
        found = measure("mxnet_train_imagenet", start * 3 + SPEED % (10, 9) + SPEED % (20, 9))
        assert found.begin.scope == "rank"
        assert "2 more workers start, but print no rates: they are left out" in found.warnings

    def test_workers_that_print_the_same_digits_are_one_with_a_doubt(self):
        lines = [SPEED % (batch, 90) for batch in (10, 20, 30)]
        found = measure("mxnet_train_imagenet", b"".join(line * 2 for line in lines))
        assert (value(found), found.begin.scope) == (90, "rank")
        assert found.warnings[0].startswith("2 processes print the same rates")

    def test_named_workers_that_print_the_same_digits_are_two(self):
        node = SPEED.replace(b"INFO:root:", b"Node[%d] ")
        log = b"".join(node % (n, batch, 90) for batch in (10, 20, 30) for n in (0, 1))
        assert value(measure("mxnet_train_imagenet", log)) == 180

    def test_a_window_that_a_worker_does_not_print_is_left_out(self):
        lines = [SPEED % (batch, 90 + n) for batch in (10, 20, 30, 40) for n in (0, 1)]
        found = measure("mxnet_train_imagenet", b"".join(lines[:-1]))
        assert value(found) == 181
        assert "not every worker prints 1 window: left out" in found.warnings

    def test_workers_with_other_windows_do_not_add_up(self):
        node = SPEED.replace(b"INFO:root:", b"Node[%d] ")
        log = b"".join(node % (n, 10 * i + n, 90) for i in range(1, 5) for n in (0, 1))
        assert "cannot be added up" in message(measure("mxnet_train_imagenet", log))

    def test_ranks_that_print_other_numbers_of_runs_are_refused(self):
        run = b"".join(SPEED % (batch, 90) for batch in (10, 20, 30))
        log = b"".join(b"0: " + line for line in run.splitlines(keepends=True))
        log += b"".join(b"1: " + line for line in (run * 2).splitlines(keepends=True))
        assert "same number of runs" in message(measure("mxnet_train_imagenet", log))

    def test_two_jobs_are_not_workers_of_one(self):
        other = MXNET_TRAIN.replace(b"batch_size=64", b"batch_size=32")
        pairs = zip(MXNET_TRAIN.splitlines(True), other.splitlines(True), strict=True)
        log = b"".join(a + b for a, b in pairs)
        assert "two runs are mixed" in message(measure("mxnet_train_imagenet", log))


class TestTrtexec:
    def test_its_own_doubts_are_handed_on(self):
        unstable = b"[W] * GPU compute time is unstable, with coefficient of variance = 12.5%.\n"
        found = measure("trtexec", TRTEXEC_8.replace(b"&&&& PASSED", unstable + b"&&&& PASSED"))
        assert value(found) == 802
        assert list(found.warnings) == [
            "trtexec says: Throughput may be bound by Enqueue Time rather than GPU Compute",
            "trtexec says: GPU compute time is unstable, with coefficient of variance = 12.5%.",
        ]

    def test_0_queries_are_a_doubt_with_an_explicit_batch_and_else_a_contradiction(self):
        assert (
            "0 queries for an explicit batch" in measure("trtexec", TRTEXEC_7, batch=8).warnings[0]
        )
        other = TRTEXEC_7.replace(b"Batch: Explicit", b"Batch: 1")
        assert "contradicts itself" in message(measure("trtexec", other, batch=8))

    @pytest.mark.parametrize("banner", [b"[TensorRT v8001]", b"[TensorRT v100200]"])
    def test_a_late_release_without_its_summary_is_cut(self, banner):
        log = TRTEXEC_7[: TRTEXEC_7.index(b"[11/02/2021-09:17:09] [I] Host Latency")]
        log = log.replace(b" # ", b" " + banner + b" # ").replace(b" 0 queries", b" 7 queries")
        log += b"&&&& PASSED TensorRT.trtexec # x\n"
        assert "no performance summary" in message(measure("trtexec", log, batch=8))

    def test_two_runs_that_overlap_are_mixed(self):
        first, *rest, last = TRTEXEC_5.splitlines(keepends=True)
        log = b"".join((first, first, *(line * 2 for line in rest), last, last))
        assert "two runs of trtexec are mixed" in message(measure("trtexec", log))
        died = measure("trtexec", first.replace(b"64", b"8") + TRTEXEC_5)
        assert value(died) == pytest.approx(64 / 10.5e-3)

    def test_lines_of_two_releases_are_mixed(self):
        lines = TRTEXEC_8.splitlines(keepends=True)
        log = b"".join((*lines[:8], GIEXEC.splitlines(keepends=True)[-1], *lines[8:]))
        assert "two releases of trtexec are mixed" in message(measure("trtexec", log))

    def test_fewer_averages_than_there_should_be_are_doubted(self):
        assert "2 averages of 10: the throughput is of" in measure("trtexec", GIEXEC).warnings[0]
        asked = GIEXEC.replace(b"half2\n", b"half2\niterations: 2\n")
        assert measure("trtexec", asked).warnings == ()

    def test_explain_shows_the_line_that_says_the_batch(self):
        lines = [text for _, text in measure("trtexec", TRTEXEC_8).begin.evidence]
        assert any("Batch: Explicit" in line for line in lines)
        assert any("images=4x3x64x64" in line for line in lines)


class TestBrokenNumbers:
    LOGS = (
        ("deeplearningexamples", DLE_TF, b"150.5"),
        ("dlbs", DLBS, b"120.5"),
        ("tf_cnn_benchmarks", TF_CNN, b"398.50"),
        ("horovod", HOROVOD, b"800.0"),
        ("timm", TIMM, b"2350.5"),
    )

    @pytest.mark.slow
    @pytest.mark.parametrize(("program", "log", "number"), LOGS)
    @pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
    def test_a_number_that_goes_on_in_the_next_line_is_not_read(self, program, log, number, end):
        whole = value(measure(program, log))
        for place in range(1, len(number)):
            broken = log.replace(number, number[:place] + end + number[place:])
            for size in (1, 7, 100_000):
                parser = parser_for(program)
                for start in range(0, len(broken), size):
                    parser.feed(broken[start : start + size])
                assert value(parser.finish()) in (None, pytest.approx(whole, rel=1e-4))

    def test_a_number_that_the_last_line_cuts_is_not_read(self):
        start = DLBS[: DLBS.index(b"120.5")]
        assert "continue in the next" in message(measure("dlbs", start + b"12\n0.5"))
        assert value(measure("dlbs", start + b"120\nother")) == 120

    def test_a_number_after_a_parameter_is_not_its_end(self):
        assert b"batch_size : 32\n98\n" in DLE_PYTORCH
        assert value(measure("deeplearningexamples", DLE_PYTORCH)) == 98.5


class TestContradictions:
    def test_a_figure_far_from_its_windows(self):
        log = HOROVOD.replace(b" 800.0 ", b" 80.0 ")
        assert "contradicts itself" in message(measure("horovod", log))
        found = measure("horovod", HOROVOD.replace(b" 800.0 ", b" 850.0 "))
        assert "the total is not that of the devices, 800 img/sec" in found.warnings

    def test_no_iterations_with_a_throughput(self):
        log = OPENVINO.replace(b"1500 iterations", b"0 iterations")
        assert "0 iterations" in message(measure("openvino_benchmark_app", log))

    def test_two_lengths_of_an_epoch(self):
        lines = IMAGENET.splitlines(keepends=True)
        other = IMAGENET.replace(b"/5005]", b"/196]").splitlines(keepends=True)
        log = b"".join(a + b for a, b in zip(lines, other, strict=True))
        assert "two runs are mixed" in message(measure("pytorch_imagenet", log, batch=8))


class TestTorchvision:
    ROW = (
        b"Epoch: [0]  [%3d/100]  eta: 0:01:00  lr: 0.1  img/s: %.1f  loss: 7.0 (7.0)  "
        b"time: %.4f  data: %.4f  max mem: 100\n"
    )

    def test_without_a_batch_the_rate_counts_if_data_is_there_in_time(self):
        log = b"".join(self.ROW % (step, 640, 0.1, 0.005) for step in (0, 20, 40))
        found = measure("pytorch_imagenet", log, devices=1)
        assert (value(found), found.begin.estimator) == (pytest.approx(640), "single_steps")
        assert "leaves out the wait for data, 5 % of a step" in "".join(found.warnings)
        slow = b"".join(self.ROW % (step, 640, 0.2, 0.1) for step in (0, 20, 40))
        assert "--batch" in message(measure("pytorch_imagenet", slow, devices=1))
        assert value(measure("pytorch_imagenet", slow, devices=1, batch=64)) == pytest.approx(320)

    def test_a_single_line_has_its_warm_up_in_it(self):
        found = measure("pytorch_imagenet", self.ROW % (0, 640, 0.1, 0.005), batch=64, devices=1)
        assert "warm-up cannot be separated" in "".join(found.warnings)

    def test_lines_without_a_rate_need_the_batch(self):
        rows = [self.ROW % (step, 640, 0.1, 0.005) for step in (0, 20, 40)]
        log = b"".join(row.replace(b"img/s: 640.0  ", b"") for row in rows)
        assert "--batch" in message(measure("pytorch_imagenet", log))
        assert value(measure("pytorch_imagenet", log, batch=64, devices=2)) == pytest.approx(1280)
