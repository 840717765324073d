"""Unusual output of the frameworks' benchmark programs, and how it is read."""

import io

import pytest

from orchestrator.parsers import ParseHints, parse
from tests.support.framework_samples import (
    CAFFE2_NET,
    CAFFE2_TRAINER,
    CAFFE_TIME,
    CAFFE_TIME_INTEL,
    CAFFE_TIME_NVIDIA,
    CAFFE_TRAIN,
    CAFFE_TRAIN_OLD,
    GIEXEC,
    MXNET_SCORE,
    MXNET_TRAIN,
    MXNET_TRAIN_OLD,
    NVCAFFE_TRAIN,
    OPENVINO,
    OPENVINO_2021,
    TRTEXEC_5,
    TRTEXEC_6,
    TRTEXEC_7,
    TRTEXEC_8,
)


def measure(program, data, **hints):
    return parse(program, io.BytesIO(data), ParseHints(**hints))


def value(found, metric="throughput"):
    return found.metrics[metric].value if metric in found.metrics else None


def refused(found):
    assert "throughput" not in found.metrics
    return found.failure.message


def without(log, text):
    """Return a log without the lines that hold a text."""
    return b"".join(line for line in log.splitlines(keepends=True) if text not in line)


class TestCaffeTime:
    def test_intels_tells_its_engine_and_how_many_layers_others_do(self):
        found = measure("caffe_time", CAFFE_TIME_INTEL)
        assert value(found) == pytest.approx(100)
        assert found.begin.engine == "MKLDNN"
        assert found.begin.folded_layers == 3
        assert not any("backward" in warning for warning in found.warnings)
        assert "forward_backward" not in found.metrics
        assert "engine" not in measure("caffe_time", CAFFE_TIME).begin.stated()
        assert "folded_layers" not in measure("caffe_time", CAFFE_TIME).begin.stated()

    def test_each_of_two_runs_drops_layers_of_its_own(self):
        less = CAFFE_TIME_INTEL.replace(b"MKLDNN", b"CAFFE")
        less = without(without(less, b"Dropped layer: relu1"), b"norm1_scale")
        one, other = measure("caffe_time", CAFFE_TIME_INTEL + less).begin.blocks
        assert (one["engine"], one["folded_layers"]) == ("MKLDNN", 3)
        assert (other["engine"], other["folded_layers"]) == ("CAFFE", 1)

    def test_a_hint_that_the_definition_contradicts_is_a_failure(self):
        found = measure("caffe_time", CAFFE_TIME, batch=128)
        assert "batch 64 per device, not batch 128 as requested" in refused(found)

    @pytest.mark.parametrize(
        ("text", "batch"),
        [
            (b"input_dim: 32\ninput_dim: 3\n", 32),
            (b"  batch_size: 16\n    dim: 3\n", 16),
            (b"dim: 0\nbatch_size: 8\n", 8),
            (b"dim: -1\n", None),
        ],
    )
    def test_the_batch_is_the_first_dimension_of_the_definition(self, text, batch):
        head, _, rest = CAFFE_TIME.partition(b"name: ")
        log = head + text + rest[rest.index(b"I0228") :]
        assert measure("caffe_time", log).begin.stated().get("batch") == batch

    def test_forward_only(self):
        log = without(CAFFE_TIME, b"ackward pass").replace(
            b"forward-backward time", b"forward time"
        )
        for each in (log, without(log, b"Average Forward-Backward")):
            found = measure("caffe_time", each)
            assert found.begin.phase == "inference"
            assert value(found) == pytest.approx(64 / 0.020)
            assert "throughput_training" not in found.metrics

    def test_forward_and_backward_without_the_backward_line(self):
        found = measure("caffe_time", without(CAFFE_TIME, b"Average Backward pass"))
        assert value(found) == pytest.approx(1000)

    def test_a_quote_without_prefixes_and_without_its_last_period(self):
        quote = b"Average Forward pass: 20 ms.\nAverage Backward pass: 42 ms.\n"
        found = measure("caffe_time", quote + b"Average Forward-Backward: 64 ms", batch=64)
        assert value(found) == pytest.approx(1000)
        assert "no Average Forward-Backward" in refused(measure("caffe_time", quote, batch=64))
        inference = measure("caffe_time", quote, batch=64, phase="inference")
        assert value(inference) == pytest.approx(3200)

    def test_minima_are_not_averages(self):
        log = CAFFE_TIME.replace(b"Average F", b"Min F").replace(b"Average B", b"Min B")
        found = measure("caffe_time", log)
        assert value(found) == pytest.approx(1000)
        assert value(found, "forward_min") == pytest.approx(0.020)
        counted = measure("caffe_time", without(log, b"Testing for"))
        assert value(counted) == pytest.approx(1000)
        uncounted = without(without(log, b"Testing for"), b"Iteration:")
        assert "number of iterations" in refused(measure("caffe_time", uncounted))

    def test_figures_that_do_not_fit_are_doubted(self):
        found = measure("caffe_time", CAFFE_TIME.replace(b"Time: 128", b"Time: 138"))
        assert "Total Time is not" in found.warnings[0]
        found = measure("caffe_time", CAFFE_TIME.replace(b"pass: 42", b"pass: 52"))
        assert "less than its two parts" in found.warnings[0]
        found = measure(
            "caffe_time", CAFFE_TIME.replace(b"data\tforward: 0.0", b"data\tforward: 9")
        )
        assert "reading data took" in found.warnings[0]
        found = measure("caffe_time", without(CAFFE_TIME, b"Benchmark ends"))
        assert "Benchmark ends" in found.warnings[0]

    @pytest.mark.parametrize("number", [b"0", b"nan", b"inf", b"-64", b"1e-12", b"3.68935e+111"])
    def test_what_is_no_time_is_refused(self, number):
        log = CAFFE_TIME.replace(
            b"Forward-Backward: 64 ms", b"Forward-Backward: " + number + b" ms"
        )
        assert "not plausible" in refused(measure("caffe_time", log))

    def test_other_figures_of_the_same_run_contradict_it(self):
        lines = CAFFE_TIME.splitlines(keepends=True)
        end = next(n for n, line in enumerate(lines) if b"Benchmark ends" in line)
        lines.insert(end, b"Average Forward-Backward: 63 ms.\n")
        twice = b"".join(lines)
        assert "two results, 64 and 63" in refused(measure("caffe_time", twice))

    def test_a_training_net_is_told_by_its_backward_pass(self):
        found = measure("caffe_time", CAFFE_TIME_NVIDIA, batch=8)
        assert found.begin.phase == "inference"
        assert found.begin.estimator == "mean_time"
        found = measure("caffe_time", CAFFE_TIME_NVIDIA.replace(b": 0.0005854", b": 5.8"), batch=8)
        assert found.begin.phase == "training"

    def test_a_network_with_nothing_forward_is_not_a_result(self):
        log = without(CAFFE_TIME, b"Average Forward pass")
        assert value(measure("caffe_time", log)) == pytest.approx(1000)
        log = log.replace(b"Forward-Backward: 64 ms", b"Forward-Backward: x ms")
        assert value(measure("caffe_time", log)) == pytest.approx(1000)  # by the Total Time
        assert "no time per iteration" in refused(measure("caffe_time", without(log, b"Total")))

    def test_a_range_of_no_iterations_is_not_a_window(self):
        log = CAFFE_TIME_NVIDIA.replace(b"100-200", b"200-200")
        assert measure("caffe_time", log, batch=8).begin.windows["count"] == 1


class TestCaffeTrain:
    def test_what_the_log_is_silent_of_comes_from_hints(self):
        line = b"Iteration %d (4 iter/s, 10s/40 iter), loss = 1\n"
        quote = line % 40 + line % 80
        assert "--batch" in refused(measure("caffe_train", quote))
        found = measure("caffe_train", quote, batch=32)
        assert value(found) == 128
        assert "--devices" in found.warnings[1]
        assert found.begin.windows["dropped_first"] == 0
        found = measure("caffe_train", quote, batch=32, devices=4)
        assert value(found) == 512
        assert [*found.warnings] == [
            "the log has no Optimization Done, so the training broke off: "
            "the throughput is of the 2 windows printed so far"
        ]

    def test_a_training_that_broke_off_is_doubted_and_nvcaffe_has_no_result(self):
        found = measure("caffe_train", without(CAFFE_TRAIN, b"Optimization Done"))
        assert "broke off" in found.warnings[0]
        assert value(found) is not None
        log = without(NVCAFFE_TRAIN, b"Overall")
        assert "Overall" in refused(measure("caffe_train", log))
        assert "Overall" in refused(measure("caffe_train", without(log, b"performance")))

    def test_one_gpu_of_nvcaffe(self):
        log = without(without(NVCAFFE_TRAIN, b"Overall"), b"device 1").replace(
            b"GPUs 0, 1", b"GPUs 0"
        )
        assert value(measure("caffe_train", log)) == 1248
        zero = log.replace(b"19.5 * 64 = 1248", b"0 * 64 = 0")
        assert "not plausible" in refused(measure("caffe_train", zero))

    def test_several_nodes(self):
        log = NVCAFFE_TRAIN.replace(b"Overall multi-GPU", b"Overall").replace(
            b"Root ", b"Node {0} "
        )
        found = measure("caffe_train", log.replace(b"2496.5", b"4993"))
        assert value(found) == 4993
        assert "the windows give" in found.warnings[0]

    def test_a_node_that_prints_a_solver_twice(self):
        line = next(x for x in NVCAFFE_TRAIN.splitlines(keepends=True) if b"device 1" in x)
        assert measure("caffe_train", NVCAFFE_TRAIN.replace(line, line * 2)).begin.devices == 2

    def test_windows_of_no_rate_give_no_result(self):
        log = CAFFE_TRAIN.replace(b"10 iter/s", b"0 iter/s")
        assert "not plausible" in refused(measure("caffe_train", log))
        log = CAFFE_TRAIN.replace(b"10 iter/s, 4s", b"10 iter/s, nans")
        assert value(measure("caffe_train", log)) > 0
        assert "lines with a rate" in refused(
            measure(
                "caffe_train",
                without(CAFFE_TRAIN, b"iter/s")
                + b"I0411 20:19:18.655712  9236 caffe.cpp:1] Root Solver performance\n",
            )
        )

    def test_a_window_in_which_no_time_went_by_is_not_a_result(self):
        log = CAFFE_TRAIN.replace(b"(10 iter/s, 4s/40", b"(40 iter/s, 0s/40")
        found = measure("caffe_train", log)
        assert "no time pass" in refused(found)
        assert "0s/40" in found.failure.evidence

    def test_without_a_batch_there_are_iterations_per_second(self):
        found = measure("caffe_train", CAFFE_TRAIN_OLD)
        assert value(found, "iterations_mean") == pytest.approx(4)
        assert found.metrics["iterations_mean"].unit == "iterations/s"
        zero = without(CAFFE_TRAIN, b"_size").replace(b"8 iter/s", b"0 iter/s")
        assert measure("caffe_train", zero).metrics == {}

    def test_a_resumed_training_starts_where_it_was(self):
        log = CAFFE_TRAIN.replace(b"Iteration 0 (", b"Iteration 1000 (").replace(
            b"Iteration 40", b"Iteration 1040"
        )
        log = log.replace(b"Iteration 80", b"Iteration 1080").replace(
            b"Iteration 120", b"Iteration 1120"
        )
        assert value(measure("caffe_train", log)) == value(measure("caffe_train", CAFFE_TRAIN))

    def test_two_trainings_without_their_heads(self):
        lines = b"".join(x for x in CAFFE_TRAIN.splitlines(keepends=True) if b"iter/s" in x)
        found = measure("caffe_train", lines * 2, batch=8, devices=1)
        assert [b["windows"]["count"] for b in found.begin.blocks] == [3, 3]
        first = b"".join(x for x in NVCAFFE_TRAIN.splitlines(keepends=True) if b" Iteration " in x)
        found = measure("caffe_train", first * 2, batch=8, devices=1)
        assert len(found.begin.blocks) == 2
        old = b"".join(x for x in CAFFE_TRAIN_OLD.splitlines(keepends=True) if b"loss = " in x)
        found = measure("caffe_train", old * 2, batch=8, devices=1)
        assert len(found.begin.blocks) == 2
        resumed = old[old.index(b"\n") + 1 :]
        found = measure("caffe_train", resumed * 2, batch=8, devices=1)
        assert len(found.begin.blocks) == 2

    def test_lines_without_stamps_tell_no_rate(self):
        impossible = b"I0231 00:00:00.000000 1 s.cpp:1] Iteration 40, loss = 2\n"
        log = b"Iteration 0, loss = 2\nIteration 20, loss = 2\n" + impossible
        assert measure("caffe_train", log, batch=8).metrics == {}
        same = b"I0201 00:00:00.000000 1 s.cpp:1] Iteration %d, loss = 2\n"
        assert measure("caffe_train", same % 20 + same % 40, batch=8).metrics == {}

    def test_a_single_iteration_in_the_middle_starts_nothing(self):
        middle = NVCAFFE_TRAIN.replace(b"Root ", b"Iteration 300 (1 s), loss = 1\nRoot ")
        found = measure("caffe_train", middle)
        assert value(found) == 2496.5

    def test_rated_and_unrated_iterations_are_not_of_one_training(self):
        found = measure("caffe_train", CAFFE_TRAIN)
        assert not any("two trainings" in text for text in found.warnings)
        other = b"I0411 20:19:20.000000 1 s.cpp:1] Iteration %d, loss = 2\n"
        done = CAFFE_TRAIN.index(b"I0411 20:19:23.7000")
        mixed = CAFFE_TRAIN[:done] + other % 60 + other % 100 + CAFFE_TRAIN[done:]
        assert any("two trainings" in text for text in measure("caffe_train", mixed).warnings)

    def test_one_device(self):
        for line in (b"Use CPU.", b"Use GPU with device ID 3"):
            log = CAFFE_TRAIN.replace(b"Using GPUs 0, 1", line)
            assert measure("caffe_train", log).begin.devices == 1

    def test_a_list_that_the_end_cuts_is_none(self):
        log = CAFFE_TRAIN + b"I0411 20:19:01.791424  9236 caffe.cpp:218] Using GPUs 0, 1"
        assert value(measure("caffe_train", log)) is not None
        log = b"iter_size: 2"
        assert measure("caffe_train", log).begin.stated().get("iter_size") is None
        assert measure("caffe_train", b"iter_size: 0\n").begin.stated().get("iter_size") is None


class TestCaffe2:
    def test_too_few_iterations_give_no_result(self):
        log = b"\n".join(CAFFE2_TRAINER.split(b"\n")[:5]) + b"\n"
        assert "the first 2 are warm-up" in refused(measure("caffe2_trainer", log))

    def test_step_times_need_the_batch(self):
        found = measure("caffe2_trainer", CAFFE2_TRAINER, batch=15)
        assert value(found, "step_time_mean") == pytest.approx(0.2)
        assert found.begin.devices == 2
        late = CAFFE2_TRAINER + b"INFO:resnet50_trainer:Running on GPUs: [0]\n"
        assert measure("caffe2_trainer", late, batch=15).begin.devices == 2

    @pytest.mark.parametrize("device", ["cpu", "gpu"])
    def test_the_list_of_gpus_is_printed_on_a_cpu_too(self, device):
        log = CAFFE2_TRAINER.replace(b"GPUs: [0, 1]", b"GPUs: [0]")
        found = measure("caffe2_trainer", log, device=device, devices=1)
        assert value(found) == pytest.approx(150)
        assert found.begin.devices == 1
        assert "device" not in found.begin.stated()

    def test_a_rate_of_zero_is_not_a_result(self):
        found = measure("caffe2_trainer", CAFFE2_TRAINER.replace(b"(100.00", b"(0.00"))
        assert "not plausible" in refused(found)

    @pytest.mark.parametrize(
        "words",
        [
            b"Main run finished.",
            b"[I net.cc:217] Main runs finished.",
            b"I0719 20:34:25.308698    11 net.cc:605] Main run finished.",
        ],
    )
    def test_wordings_of_a_net(self, words):
        line = words + b" Milliseconds per iter: 824.77. Iters per second: 1.21246"
        found = measure("caffe2_net", line + b"\n", batch=16)
        assert value(found) == pytest.approx(16 * 1.21246)
        assert value(found, "step_time_mean") == pytest.approx(0.82477)
        assert "--batch" in refused(measure("caffe2_net", line + b"\n"))

    @pytest.mark.parametrize(
        ("name", "phase"), [(b"forward-backward", "training"), (b"forward only", "inference")]
    )
    def test_the_name_of_a_net(self, name, phase):
        log = CAFFE2_NET.replace(b"forward-backward", name)
        lines = log.splitlines(keepends=True)
        for data in (log, b"".join([*lines[1:], lines[0]])):
            found = measure("caffe2_net", data, batch=8)
            assert (found.begin.model, found.begin.phase) == ("AlexNet", phase)

    def test_two_nets(self):
        other = CAFFE2_NET.replace(b"AlexNet", b"VGG")
        found = measure("caffe2_net", CAFFE2_NET + other, batch=8)
        assert [block["model"] for block in found.begin.blocks] == ["AlexNet", "VGG"]

    def test_names_that_come_after_several_results_are_nobodys(self):
        lines = CAFFE2_NET.splitlines(keepends=True)
        found = measure("caffe2_net", b"".join(lines[1:] * 2 + lines[:1] * 2), batch=8)
        assert len(found.begin.blocks) == 2
        assert "model" not in found.begin.blocks[1]

    def test_times_that_do_not_fit_give_no_result(self):
        log = CAFFE2_NET.replace(b"1.25", b"1.26")
        assert "are not" in refused(measure("caffe2_net", log, batch=8))
        log = CAFFE2_NET.replace(b"800", b"0").replace(b"1.25", b"inf")
        assert refused(measure("caffe2_net", log, batch=8))


class TestMxnet:
    def test_the_first_window_is_dropped_only_if_it_holds_the_first_batches(self):
        assert measure("mxnet_train_imagenet", MXNET_TRAIN).begin.windows["dropped_first"] == 1
        later = MXNET_TRAIN.replace(b"Batch [0-20]", b"Batch [10-20]")
        assert measure("mxnet_train_imagenet", later).begin.windows["dropped_first"] == 0
        epoch = MXNET_TRAIN_OLD.replace(b"Epoch[0]", b"Epoch[3]")
        assert measure("mxnet_train_imagenet", epoch).begin.windows["dropped_first"] == 0
        middle = MXNET_TRAIN_OLD.replace(b"[50]", b"[90]")
        assert measure("mxnet_train_imagenet", middle).begin.windows["dropped_first"] == 0

    def test_a_single_window_is_kept_with_a_doubt(self):
        lines = MXNET_TRAIN_OLD.splitlines(keepends=True)
        found = measure("mxnet_train_imagenet", b"".join(lines[:2]))
        assert value(found) == 5.25
        assert any("cannot be separated" in text for text in found.warnings)
        assert any("Time cost" in text for text in found.warnings)

    def test_another_worker_is_added(self):
        both = b"".join(
            line + line.replace(b"Node[0]", b"Node[1]").replace(b"100.00", b"777.00")
            for line in MXNET_TRAIN_OLD.splitlines(keepends=True)
        )
        found = measure("mxnet_train_imagenet", both)
        assert value(found) == pytest.approx(2 / (1 / 877 + 1 / 600))
        assert found.begin.scope == "all_devices"
        assert "2 workers print separate rates: the throughput is their sum" in found.warnings

    @pytest.mark.parametrize(
        ("arguments", "devices", "batch"),
        [
            (b"batch_size=64, gpus='0,1,2,3'", 4, 16),
            (b"batch_size=64, gpus=None", 1, 64),
            (b"batch_size=None, gpus=''", 1, None),
            (b"", 1, None),
        ],
    )
    def test_arguments(self, arguments, devices, batch):
        start, end = MXNET_TRAIN.index(b"(") + 1, MXNET_TRAIN.index(b")")
        found = measure("mxnet_train_imagenet", MXNET_TRAIN[:start] + arguments + MXNET_TRAIN[end:])
        assert found.begin.devices == devices
        assert found.begin.stated().get("batch") == batch
        assert value(found) == 150

    def test_the_figure_is_samples_over_time_and_the_mean_of_rates_stands_beside_it(self):
        found = measure("mxnet_train_imagenet", MXNET_TRAIN)
        assert value(found) == value(found, "throughput_recomputed") == 150
        assert value(found, "throughput_mean_of_rates") == 200
        assert found.begin.estimator == "harmonic_mean"

    def test_a_window_of_zero_is_not_a_result(self):
        found = measure("mxnet_train_imagenet", MXNET_TRAIN.replace(b"100.00", b"0.00"))
        assert "not plausible" in refused(found)

    def test_a_score_belongs_to_the_names_above_it(self):
        other = MXNET_SCORE.replace(b"alexnet", b"vgg-16").replace(b"640.5", b"64.5")
        old = b"INFO:root:batch size 64, image/sec: 128.500000\n"
        found = measure("mxnet_score", MXNET_SCORE + other + old)
        assert [
            (b["model"], b["device"], b["batch"], b["metrics"]["throughput"]["value"])
            for b in found.begin.blocks
        ] == [
            ("alexnet", "gpu(0)", 32, 640.5),
            ("vgg-16", "gpu(0)", 32, 64.5),
            ("vgg-16", "gpu(0)", 64, 128.5),
        ]
        assert "dtype" not in found.begin.blocks[2]
        chosen = measure("mxnet_score", MXNET_SCORE + other + old, batch=64)
        assert value(chosen) == 128.5
        assert value(chosen, "step_time_mean") == pytest.approx(64 / 128.5)

    def test_a_score_without_names_and_one_that_contradicts_another(self):
        line = b"batch size  1, dtype float32, images/sec: 64.500000\n"
        assert value(measure("mxnet_score", line * 2)) == 64.5
        assert "two results" in refused(
            measure("mxnet_score", line + line.replace(b"64.5", b"65.5"))
        )
        assert "not plausible" in refused(measure("mxnet_score", line.replace(b"64.5", b"0.0")))


def shape_lines(*lines):
    return b"".join(b"[10/01/2024-13:27:03] [I] " + line + b"\n" for line in lines)


SUMMARY = shape_lines(b"Throughput: 200.5 qps")


class TestTrtexec:
    def test_a_run_that_did_not_pass_is_not_a_result(self):
        for log in (TRTEXEC_5, TRTEXEC_6, TRTEXEC_8):
            assert "PASSED" in refused(measure("trtexec", without(log, b"PASSED")))
            failed = log.replace(b"&&&& PASSED", b"&&&& FAILED")
            assert "trtexec says FAILED" in refused(measure("trtexec", failed))

    def test_the_first_error_is_why_a_run_failed(self):
        good = b"&&&& RUNNING TensorRT.trtexec # trtexec --onnx=b.onnx\n" + SUMMARY
        good += b"[10/01/2024-13:27:04] [E] of no matter\n&&&& PASSED TensorRT.trtexec # x\n"
        log = (
            b"&&&& RUNNING TensorRT.trtexec [TensorRT v110000] # trtexec --onnx=a.onnx --fp16\n"
            b"[10/01/2024-13:27:03] [E] Unknown option: --fp16 \n"
            b"=== Model Options ===\n"
            b"[10/01/2024-13:27:03] [E] Engine set up failed\n"
            b"&&&& FAILED TensorRT.trtexec [TensorRT v110000] # trtexec --onnx=a.onnx --fp16\n"
        )
        found = measure("trtexec", log)
        assert found.failure.message == "trtexec says FAILED: Unknown option: --fp16"
        assert found.failure.evidence.endswith("[E] Unknown option: --fp16")
        assert "error" not in found.begin.stated()
        assert measure("trtexec", good, batch=1).failure is None
        after = measure("trtexec", good + log, block=2)
        assert after.failure.message == "trtexec says FAILED: Unknown option: --fp16"

    @pytest.mark.parametrize(
        ("lines", "hint", "batch"),
        [
            ((b"Batch: 8",), None, 1),  # implicit: samples are counted
            ((b"Batch: 8", b"Created input binding for i with dimensions 3x4x4"), None, 1),
            ((b"Batch: Explicit",), None, None),
            ((b"Batch: Explicit",), 16, 16),
            ((b"Batch: Explicit", b"Created input binding for i with dimensions 32x128"), None, 32),
            ((b"Batch: Explicit", b"Input inference shape: i=4x3x4x4"), None, 4),
            ((b"Batch: Explicit", b"Input inference shape : a:0=4x3x4x4"), None, 4),
            ((b"Batch: 1", b"Created input binding for i with dimensions 8x3x4x4"), None, 8),
            ((b"Batch: 1", b"Created input binding for i with dimensions 3x4x4"), None, 1),
            ((b"Batch: 1", b"Created input binding for i with dimensions 64x4x4"), None, None),
            ((b"Batch: 1", b"Created input binding for i with dimensions 64x4x4"), 2, 2),
            ((b"Batch: 1",), None, None),
            (
                (
                    b"Created input binding for i with dimensions 8x3x4x4",
                    b"Created input binding for scale with dimensions 1",
                ),
                None,
                None,
            ),
            ((b"Input binding for i with dimensions 8x3x4x4 is created.",), None, 8),
        ],
    )
    def test_samples_of_a_query(self, lines, hint, batch):
        found = measure("trtexec", shape_lines(*lines) + SUMMARY, batch=hint)
        if batch is None:
            assert "how many samples" in refused(found)
        else:
            assert value(found) == 200.5 * batch
        assert value(found, "queries_per_second") == 200.5

    @pytest.mark.parametrize(
        ("command", "batch"),
        [
            (b"trtexec --onnx=m --shapes=a:4x3x8x8,b:4x5", 4),
            (b"trtexec --onnx=m --minShapes=a:1x3 --optShapes='ids:0':4x3 --maxShapes=a:8x3", 4),
            (b"trtexec --onnx=m --shapes=a:4x3,b:1x5", None),
            (b"trtexec --onnx=m --shapes=a", None),
            (b"trtexec --onnx=m", None),
        ],
    )
    def test_shapes_of_the_command(self, command, batch):
        log = b"&&&& RUNNING TensorRT.trtexec [TensorRT v100200] # " + command + b"\n" + SUMMARY
        found = measure("trtexec", log + b"&&&& PASSED TensorRT.trtexec\n")
        assert value(found) == (batch and 200.5 * batch)
        assert found.begin.tensorrt_version == "100200"

    def test_a_model_with_batch_1(self):
        log = b"&&&& PASSED TensorRT.trtexec # trtexec --deploy=a\n"
        assert value(measure("trtexec", shape_lines(b"Batch: 1") + SUMMARY + log)) == 200.5
        log = log.replace(b"--deploy", b"--loadEngine")
        assert refused(measure("trtexec", shape_lines(b"Batch: 1") + SUMMARY + log))

    def test_a_batch_that_only_the_command_tells(self):
        log = without(TRTEXEC_5, b"batch: 64")
        assert value(measure("trtexec", log)) == pytest.approx(64 / 10.5e-3)
        default = log.replace(b" --batch=64", b"")
        assert value(measure("trtexec", default)) == pytest.approx(1 / 10.5e-3)

    def test_a_word_where_old_releases_print_a_number_is_not_a_batch(self):
        log = TRTEXEC_5.replace(b"batch: 64", b"batch: Explicit").replace(b" --batch=64", b"")
        assert value(measure("trtexec", log)) == pytest.approx(1 / 10.5e-3)

    def test_a_hint_that_differs_is_a_failure(self):
        assert "the log says batch 4" in refused(measure("trtexec", TRTEXEC_8, batch=8))

    def test_release_6_counts_the_time_of_the_host(self):
        found = measure("trtexec", TRTEXEC_6)
        assert value(found, "latency_p99") == pytest.approx(6.5e-3)
        assert value(found, "gpu_time_p99") == pytest.approx(4.5e-3)
        assert value(found, "gpu_time_mean") == pytest.approx(4e-3)

    def test_release_7_with_a_throughput_counts_samples(self):
        log = TRTEXEC_7.replace(b"Batch: Explicit", b"Batch: 8").replace(b"0 qps", b"13000 qps")
        log = log.replace(b" 0 queries", b" 45500 queries")
        assert value(measure("trtexec", log)) == 13000
        quote = shape_lines(b"Host Latency", b"throughput: 13000 qps", b"walltime: 3.5 s")
        assert value(measure("trtexec", quote)) == 13000
        assert value(measure("trtexec", quote, batch=8)) == 13000

    def test_a_throughput_of_zero_without_times_is_not_a_result(self):
        for name in (b"throughput", b"Throughput"):
            zero = shape_lines(name + b": 0 qps")
            assert "not plausible" in refused(measure("trtexec", zero, batch=8))

    def test_figures_outside_of_any_block_are_nobodys(self):
        found = measure("trtexec", shape_lines(b"mean: 0.5 ms") + SUMMARY, batch=1)
        assert set(found.metrics) == {"throughput", "queries_per_second"}

    def test_a_log_with_only_averages(self):
        averages = b"".join(x for x in TRTEXEC_7.splitlines(True) if b"Average on" in x)
        found = measure("trtexec", averages, batch=8)
        assert value(found) == pytest.approx(16000)
        assert value(found, "latency_mean") == pytest.approx(0.6e-3)
        streams = shape_lines(b"Inference Streams: 2") + averages
        assert "overlap" in refused(measure("trtexec", streams, batch=8))
        assert refused(
            measure("trtexec", averages.replace(b"latency: 0.5", b"latency: 0"), batch=8)
        )

    def test_several_percentiles_of_averages_are_not_a_percentile(self):
        lines = [x for x in TRTEXEC_5.splitlines(keepends=True) if b"Average" in x]
        found = measure("trtexec", lines[0] + lines[0].replace(b"11.5)", b"12.5)"), batch=64)
        assert value(found, "gpu_time_p99") == pytest.approx(12.5e-3)
        assert "largest of 2" in found.warnings[0]

    def test_several_runs_without_banners(self):
        assert len(measure("trtexec", GIEXEC * 3).begin.blocks) == 3
        options = shape_lines(b"=== Model Options ===")
        found = measure("trtexec", options + SUMMARY + options + SUMMARY, batch=1)
        assert len(found.begin.blocks) == 2

    def test_times_that_do_not_fit_are_doubted(self):
        found = measure("trtexec", TRTEXEC_8.replace(b"200.5 qps", b"100.5 qps"))
        assert "the times printed give 800" in found.warnings[0]

    def test_what_the_end_cuts_is_not_read(self):
        for line in (
            b"Batch: 1",
            b"Created input binding for i with dimensions 3",
            b"Input inference shape: i=4x3",
            b"Streams: 1",
        ):
            found = measure("trtexec", SUMMARY + shape_lines(line)[:-1], batch=2)
            assert value(found) == 401, line


class TestOpenvino:
    def test_old_releases_run_synchronously_print_the_median(self):
        head = b"[Step 10/11] Measuring performance (Start inference synchronously, limits)\n"
        log = head + OPENVINO_2021.replace(b"100.05", b"20.08")
        found = measure("openvino_benchmark_app", log)
        assert found.begin.estimator == "median"
        assert found.begin.api == "sync"
        assert "iterations / duration give 100" in found.warnings[0]
        found = measure("openvino_benchmark_app", head + OPENVINO_2021)
        assert found.begin.estimator == "total"

    def test_facts_and_times(self):
        found = measure("openvino_benchmark_app", OPENVINO)
        assert (found.begin.api, found.begin.requests) == ("async", 6)
        assert value(found, "first_inference") == pytest.approx(36.42e-3)
        assert value(found, "latency_mean") == pytest.approx(50.35e-3)
        # What FPS counts is the program's batch.
        assert value(found) == 800.5
        assert value(found, "throughput_recomputed") == 800

    def test_percentiles(self):
        log = OPENVINO_2021.replace(b"Latency:", b"Latency (90 percentile):")
        assert value(measure("openvino_benchmark_app", log), "latency_p90") == pytest.approx(
            49.8e-3
        )
        log = OPENVINO.replace(b"   Median:", b"   95 percentile:")
        assert value(measure("openvino_benchmark_app", log), "latency_p95") == pytest.approx(
            49.8e-3
        )

    def test_latencies_of_single_shapes_are_not_those_of_the_run(self):
        more = b"[ INFO ] Latency for each data shape group:\n[ INFO ]    Median:     7.5 ms\n"
        found = measure("openvino_benchmark_app", OPENVINO + more)
        assert value(found, "latency_median") == pytest.approx(49.8e-3)

    def test_a_run_without_throughput_did_not_end(self):
        log = without(OPENVINO, b"Throughput")
        assert "did not finish" in refused(measure("openvino_benchmark_app", log))
        assert refused(measure("openvino_benchmark_app", without(log, b"[Step")[:90]))

    def test_a_quote_without_throughput_is_computed(self):
        log = without(without(OPENVINO, b"Throughput"), b"[Step")
        assert value(measure("openvino_benchmark_app", log)) == 800
        unknown = without(log, b"batch size")
        assert value(measure("openvino_benchmark_app", unknown, batch=4)) == 400

    @pytest.mark.parametrize("number", [b"0.00", b"nan", b"inf", b"-1"])
    def test_what_is_not_a_throughput_is_refused(self, number):
        log = OPENVINO.replace(b"800.50", number)
        assert "not plausible" in refused(measure("openvino_benchmark_app", log))

    def test_without_a_count_nothing_is_recomputed(self):
        found = measure("openvino_benchmark_app", without(OPENVINO, b"Count"))
        assert value(found) == 800.5
        assert "throughput_recomputed" not in found.metrics

    def test_a_batch_of_zero_or_cut_is_none(self):
        for line in (b"[ INFO ] Model batch size: 0\n", b"[ INFO ] Network batch size: 3"):
            found = measure("openvino_benchmark_app", OPENVINO_2021 + line)
            assert "batch" not in found.begin.stated()


CAFFE_TIME_2014 = b"""\
I0102 00:19:14.100000 29638 caffe.cpp:219] *** Benchmark begins ***
I0102 00:19:14.200000 29638 caffe.cpp:220] Testing for 4 iterations.
I0102 00:19:14.300000 29638 caffe.cpp:232] fc\tforward: 300.0 milliseconds.
I0102 00:19:14.300000 29638 caffe.cpp:235] Forward pass: 320 milliseconds.
I0102 00:19:14.400000 29638 caffe.cpp:249] Backward pass: 440.5 milliseconds.
I0102 00:19:14.500000 29638 caffe.cpp:251] Total Time: 800 milliseconds.
I0102 00:19:14.600000 29638 caffe.cpp:253] *** Benchmark ends ***
"""


def test_caffe_times_totals_of_2014_are_divided_by_the_iterations():
    found = measure("caffe_time", CAFFE_TIME_2014, batch=16)
    assert value(found) == pytest.approx(80)
    assert value(found, "forward") == pytest.approx(0.08)
    assert value(found, "backward") == pytest.approx(0.110125)
    inference = measure("caffe_time", CAFFE_TIME_2014, batch=16, phase="inference")
    assert value(inference) == pytest.approx(200)
    assert "Forward pass: 320" in inference.begin.evidence[0][1]
    uncounted = CAFFE_TIME_2014.replace(b"Testing for", b"Tested")
    assert "no number of iterations" in refused(measure("caffe_time", uncounted, batch=16))
    two = measure("caffe_time", 2 * CAFFE_TIME_2014, batch=16)
    assert "contains 2 runs" in refused(two)


@pytest.mark.parametrize(
    "head",
    [
        b"07:08:09,123 ",
        b"2026-01-02 07:08:09,123 ",
        b"Node[0] 07:08:09 INFO:root:",
        b"INFO:root:Node[0] ",
        b"2026-01-02 07:08:09,123 INFO  Node[0] ",
        b"    ",
    ],
)
def test_mxnet_writes_time_level_and_node_in_many_orders(head):
    lines = (
        b"Epoch[3] Batch [%d]\tSpeed: %d.00 samples/sec\taccuracy=0.1\n" % (i, 90 + i)
        for i in (10, 20)
    )
    found = measure("mxnet_train_imagenet", b"".join(head + line for line in lines))
    assert value(found) == pytest.approx(2 / (1 / 100 + 1 / 110))


def test_mxnet_tells_its_devices_at_the_start_of_training():
    start = b"2026-01-02 07:08:09,123 Node[0] Start training with [gpu(0), gpu(1), gpu(2)]\n"
    assert measure("mxnet_train_imagenet", start + MXNET_TRAIN_OLD).begin.devices == 3
    cpu = b"INFO:root:Start training with [cpu(0)]\n"
    assert measure("mxnet_train_imagenet", cpu + MXNET_TRAIN_OLD).begin.devices == 1


def test_mxnet_with_horovod_prints_the_speed_of_workers_it_does_not_count():
    named = MXNET_TRAIN.replace(b"kv_store='device'", b"kv_store='horovod'")
    found = measure("mxnet_train_imagenet", named)
    assert "devices" not in found.begin.stated()
    lines = named.splitlines(keepends=True)
    both = b"".join(line + line.replace(b"300.00", b"301.00") for line in lines)
    assert measure("mxnet_train_imagenet", both).metrics == found.metrics
    assert "step_time_mean" not in found.metrics


TIMES_OF_150 = b"""[01/02/2026-03:04:05] [I] === Performance summary ===
[01/02/2026-03:04:05] [I] Throughput: %d qps
[01/02/2026-03:04:05] [I] GPU Compute Time: min = 9 ms, max = 11 ms, mean = 10 ms, median = 10 ms
[01/02/2026-03:04:05] [I] Total Host Walltime: 2 s
[01/02/2026-03:04:05] [I] Total GPU Compute Time: 1.5 s
"""


def test_trtexec_knows_an_implicit_batch_by_its_times():
    # 150 inferences in 2 s.
    found = measure("trtexec", TIMES_OF_150 % 1200)
    assert (value(found), found.begin.batch) == (1200, 16)
    assert value(measure("trtexec", TIMES_OF_150 % 1200, batch=16)) == 1200
    assert "--batch" in refused(measure("trtexec", TIMES_OF_150 % 75))
    assert value(measure("trtexec", TIMES_OF_150 % 75, batch=4)) == 300
    endless = TIMES_OF_150.replace(b"Walltime: 2 s", b"Walltime: 1e999 s")
    assert "not plausible" in refused(measure("trtexec", endless % 1200))


OLD_RUN = b"Average over 10 runs is %d ms (percentile time is 30).\n"


@pytest.mark.parametrize(
    "start",
    [
        b"$ ./trtexec --deploy=a.prototxt --batch=4\n",
        b"user@host:/usr/src/tensorrt/bin# /usr/bin/giexec --deploy=a.prototxt --batch=4\n",
        b"C:\\tools> bin\\trtexec.exe  --onnx=a.onnx --batch=4\n",
        b"trtexec --onnx=a.onnx --batch=4\n",
    ],
)
def test_trtexec_runs_are_distinguished_by_the_commands_typed(start):
    other = start.replace(b"=4", b"=8")
    log = start + OLD_RUN % 10 + other + OLD_RUN % 20
    assert "contains 2 runs" in refused(measure("trtexec", log))
    assert value(measure("trtexec", log, block=1)) == pytest.approx(400)
    # A command without output says nothing about the next one.
    assert value(measure("trtexec", start + other + OLD_RUN % 20)) == pytest.approx(400)


@pytest.mark.parametrize("option", [b"deploy: a.prototxt\n", b"onnx: a.onnx\n", b"uff: a.uff\n"])
def test_trtexec_runs_are_distinguished_by_the_options_echoed(option):
    log = option + OLD_RUN % 10 + option + OLD_RUN % 20
    assert "contains 2 runs" in refused(measure("trtexec", log, batch=1))
