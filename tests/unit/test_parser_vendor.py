"""Rules for the parser of every vendor's program."""

import io
import json
import math
import tracemalloc
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from backends.harness import events as harness_events
from orchestrator.errors import RequestError
from orchestrator.parsers import ParseHints, module, parse, parser_for
from orchestrator.parsers import log as log_module
from orchestrator.parsers import run as run_module
from orchestrator.parsers.estimators import ESTIMATORS
from orchestrator.parsers.figures import MOST_EVIDENCE
from orchestrator.parsers.numbers import Line
from orchestrator.result import Measurement
from tests.support.vendor_samples import HINTS, HOROVOD, NONE, NVTFCNN, SAMPLES, TF_CNN, TORCHVISION

every_sample = pytest.mark.parametrize("name", SAMPLES)


def measure(program, data, hints=NONE, **arguments):
    return parse(program, io.BytesIO(data), hints, **arguments)


def measured(name, data=None):
    program, log, hints, _, _ = SAMPLES[name]
    return measure(program, log if data is None else data, hints)


def value(found, metric="throughput"):
    return found.metrics[metric].value if metric in found.metrics else None


def without_lines(found):
    """Return a measurement without its place in the log."""
    return found.model_copy(update={"begin": found.begin.model_copy(update={"evidence": None})})


@every_sample
def test_the_figure_and_the_same_recomputed_from_the_windows(name):
    _, log, _, headline, recomputed = SAMPLES[name]
    found = measured(name)
    assert found.failure is None
    assert value(found) == pytest.approx(headline, rel=1e-12)
    assert found.metrics["throughput"].unit == "samples/s"
    again = value(found, "throughput_recomputed")
    assert again == (recomputed and pytest.approx(recomputed))
    assert found.begin.estimator in ESTIMATORS
    assert Measurement.model_validate_json(found.model_dump_json()) == found
    lines = log.decode().split("\n")
    assert found.begin.evidence
    for number, text in found.begin.evidence:
        assert lines[number - 1].expandtabs(8)[:300] == text


@pytest.mark.slow
@every_sample
@pytest.mark.parametrize("ending", [b"\r\n", b"\r", b" \n", b"\x1b[0m\n", b"\n\n"])
@pytest.mark.parametrize("prefix", [b"", b"\x1b[2K", b"[1,0]<stdout>:", b"0: "])
def test_line_ends_colours_and_rank_prefixes_change_nothing(name, ending, prefix):
    log = SAMPLES[name][1]
    data = b"".join(prefix + line + ending for line in log.splitlines())
    assert without_lines(measured(name, data)) == without_lines(measured(name))


@pytest.mark.slow
@every_sample
def test_a_log_that_breaks_off_anywhere_never_gives_another_figure(name):
    _, log, _, headline, _ = SAMPLES[name]
    # Where no summary is printed, what was printed so far is all there is.
    endless = {"nvtfcnn", "imagenet", "timm-train", "custom"}
    endless |= {name for name in SAMPLES if name.startswith("torchvision")}
    endless |= {name for name in SAMPLES if SAMPLES[name][0] == "tf_official_models"}
    for end in range(len(log)):
        found = measured(name, log[:end])
        if found.failure is None and name not in endless:
            assert value(found) == pytest.approx(headline, rel=1e-12)
        whole_lines = measured(name, log[: log.rfind(b"\n", 0, end) + 1])
        if name in endless and found.failure is None:
            candidates = [value(whole_lines), value(measured(name, log[:end] + b"\n"))]
            assert value(found) in candidates


@pytest.mark.slow
@every_sample
@settings(max_examples=30)
@given(places=st.lists(st.integers(min_value=0), max_size=8))
def test_the_log_may_be_cut_into_any_blocks(name, places):
    program, log, hints, _, _ = SAMPLES[name]
    parser = parser_for(program, hints)
    bounds = [0, *sorted(place % len(log) for place in places), len(log)]
    for i in range(len(bounds) - 1):
        parser.feed(log[bounds[i] : bounds[i + 1]])
    assert parser.finish() == measured(name)


@pytest.mark.slow
@every_sample
@settings(max_examples=30)
@given(st.data())
def test_damage_never_raises_and_never_gives_zero(name, data):
    log = bytearray(SAMPLES[name][1])
    for _ in range(data.draw(st.integers(1, 6))):
        # The first bytes of a compressed file would be another matter.
        place = data.draw(st.integers(1, len(log) - 1))
        log[place : place + data.draw(st.integers(0, 5))] = data.draw(
            st.one_of(
                st.binary(max_size=5),
                st.sampled_from([b"nan", b"inf", b"0", b"-1", b"1e999", b"9" * 400, b",", b"\n"]),
            )
        )
    found = measured(name, bytes(log))
    json.loads(found.model_dump_json())
    if found.failure is None:
        assert 0 < found.metrics["throughput"].value < math.inf
    for metric in found.metrics.values():
        assert math.isfinite(metric.value)


@pytest.mark.slow
@every_sample
@settings(max_examples=30)
@given(noise=st.lists(st.binary(max_size=60), max_size=20), seed=st.randoms())
def test_noise_between_the_lines_changes_nothing(name, noise, seed):
    program, log, *_ = SAMPLES[name]
    # Of a line with a mark of the format the parser says that it is damaged.
    marks = getattr(getattr(module(program), "FORMAT", None), "marks", ())
    lines = log.splitlines(keepends=True)
    for text in noise:
        assume(not any(mark in text for mark in marks))
        line = b"%" + text.replace(b"\n", b"").replace(b"\r", b"") + b"\n"
        lines.insert(seed.randrange(len(lines) + 1), line)
    assert without_lines(measured(name, b"".join(lines))) == without_lines(measured(name))


@pytest.mark.slow
@every_sample
@settings(max_examples=30)
@given(junk=st.binary(max_size=300))
def test_junk_is_not_a_result(name, junk):
    found = measured(name, b"%" + junk)  # no compressed file
    assert found.failure is not None
    assert found.metrics == {}


@every_sample
def test_ranks_that_print_the_same_are_one(name):
    lines = SAMPLES[name][1].splitlines(keepends=True)
    found = measured(name, b"".join(b"[1,%d]<stdout>:" % r + x for x in lines for r in (1, 0, 2)))
    assert found.failure is None
    assert found.metrics == measured(name).metrics


@every_sample
def test_two_runs_are_distinguished_and_one_may_be_chosen(name):
    program, log, hints, headline, _ = SAMPLES[name]
    if name in {"dle-tensorflow", "timm"}:
        log = log.replace(b"150.5", b"150.25").replace(b"2350.5", b"2350.25")
    found = measure(program, SAMPLES[name][1] + log, hints)
    if name == "custom":  # nothing shows the start of a run
        assert value(found) == headline
        return
    assert found.failure.kind == "no_result"
    assert "2 runs" in found.failure.message
    assert "--block 1" in found.failure.message
    assert found.metrics == {}
    assert len(found.begin.blocks) == 2
    first = found.begin.blocks[0]["metrics"]["throughput"]["value"]
    assert first == pytest.approx(headline)
    chosen = hints.__class__(**{**vars(hints), "block": 1})
    assert measure(program, SAMPLES[name][1] + log, chosen).metrics == measured(name).metrics
    absent = hints.__class__(**{**vars(hints), "block": 3})
    with pytest.raises(
        RequestError, match="block 3 does not exist: the log contains 2 runs; use --block 1 to"
    ):
        measure(program, SAMPLES[name][1] + log, absent)


@every_sample
def test_an_exit_code_makes_a_good_log_a_failure(name):
    program, log, hints, _, _ = SAMPLES[name]
    assert measure(program, log, hints, exit_code=0).failure is None
    assert measure(program, log, hints, exit_code=1).failure.kind == "crashed"


@pytest.mark.parametrize("name", ["trtexec", "nvtfcnn", "custom"])
@pytest.mark.parametrize("before", [b"", b"W: no line end"])
def test_what_a_helper_of_ours_tells_before_the_program_is_the_failure(name, before):
    told = {"kind": "unsupported", "message": "backends.onnx: two.onnx has 2 inputs"}
    line = before + harness_events.line("error", told).encode()
    hints = ParseHints(pattern="x=(.*)") if name == "custom" else ParseHints()
    parser = parser_for(name, hints)
    parser.feed(b"starting\n" + line)
    failure = parser.finish(2).failure
    assert (failure.kind, failure.message) == (told["kind"], told["message"])
    assert failure.evidence.startswith('::benchdock {"event": "error"')


@pytest.mark.parametrize(
    "line",
    [
        b"::benchdock no json\n",
        b'::benchdock {"event": "warmup", "steps": 1, "seconds": 1.0}\n',
        harness_events.line("error", {"kind": "data", "message": "x"})
        .encode()
        .replace(b"x", b"yx"),
    ],
)
def test_other_lines_of_ours_are_not_a_failure_of_a_vendors_program(line):
    assert measure("horovod", line + HOROVOD).failure is None


def test_an_empty_log_has_no_output_and_a_dead_program_crashed():
    assert measure("horovod", b"").failure.kind == "no_output"
    assert measure("horovod", b"", exit_code=1).failure.kind == "crashed"
    assert measure("horovod", b"hello\n").failure.kind == "no_result"
    assert measure("horovod", b"hello\nMemoryError\n").failure.kind == "out_of_memory"


def test_the_same_result_twice_is_one_and_another_is_a_contradiction():
    total = b"Total img/sec on 4 GPU(s): 800.0 +-4.9\n"
    assert value(measure("horovod", HOROVOD + total)) == 800
    found = measure("horovod", HOROVOD + total.replace(b"800", b"900") + b"MemoryError\n")
    assert "two results, 800 and 900" in found.failure.message
    assert "throughput" not in found.metrics


@pytest.mark.parametrize("number", [b"0.0", b"nan", b"inf", b"-5", b"0"])
def test_what_is_not_a_throughput_is_refused(number):
    found = measure("horovod", HOROVOD.replace(b" 800.0 ", b" " + number + b" "))
    assert found.failure.kind == "no_result"
    assert "throughput" not in found.metrics


@pytest.mark.parametrize("number", [b"12,34", b"1.2.3", b"1e9999", b"1e", b"abc", b"0x10"])
def test_a_line_without_a_number_is_skipped(number):
    found = measure("horovod", HOROVOD.replace(b" 800.0 ", b" " + number + b" "))
    assert "no line" in found.failure.message


def test_a_window_of_zero_gives_no_recomputed_figure():
    found = measure("horovod", HOROVOD.replace(b": 300.0", b": 0.0"))
    assert value(found) == 800
    assert "throughput_recomputed" not in found.metrics
    assert "a window's rate is 0" in found.warnings[0]


def test_a_run_that_died_after_its_header_is_a_run():
    found = measure("horovod", HOROVOD + HOROVOD[: HOROVOD.index(b"Iter #0")])
    assert "800.0 samples/s, resnet50 batch 32: no result" in found.failure.message


def test_ranks_that_differ_are_a_doubt_and_the_lowest_counts():
    lines = HOROVOD.splitlines(keepends=True)
    other = HOROVOD.replace(b"800.0", b"900.0").splitlines(keepends=True)
    data = b"".join(b"1: " + b + b"0: " + a for a, b in zip(lines, other, strict=True))
    found = measure("horovod", data)
    assert value(found) == 800
    assert "1 of 1 other ranks" in found.warnings[-1]
    only = b"".join(b"3: " + line for line in other)
    assert value(measure("horovod", only)) == 900


def test_too_many_ranks_are_not_kept(monkeypatch):
    monkeypatch.setattr("orchestrator.parsers.vendor._MOST_RANKS", 2)
    data = b"".join(b"%d: Iter #0: 1.0 img/sec per GPU\n" % rank for rank in range(10))
    parser: Any = parser_for("horovod")
    parser.feed(data)
    assert len(parser._logs) == 2


def test_too_many_runs_give_no_result(monkeypatch):
    monkeypatch.setattr(log_module, "MOST_RUNS", 3)
    found = measure("horovod", HOROVOD * 5)
    assert len(found.begin.blocks) == 3
    many = measure("horovod", HOROVOD * 5, ParseHints(block=3))
    assert "more than 3 runs" in many.failure.message


def test_many_runs_are_named_in_few_words(monkeypatch):
    message = measure("horovod", HOROVOD * 20).failure.message
    assert message.count("resnet50") == 8
    assert "..." in message


def test_windows_beyond_the_limit_are_left_out(monkeypatch):
    monkeypatch.setattr("orchestrator.parsers.windows.MOST_WINDOWS", 1)
    found = measure("horovod", HOROVOD)
    assert found.begin.windows["count"] == 1
    assert "left out at the end, because there are too many: 1 window" in found.warnings


@pytest.mark.slow
def test_memory_does_not_grow_with_the_log():
    parser = parser_for("tf_cnn_benchmarks")
    tracemalloc.start()
    try:
        for block in range(50):
            parser.feed(b"x" * (1 << 18) + b"\n")
            parser.feed(
                b"".join(
                    b"%d\timages/sec: 400.0 +/- 1.4 (jitter = 3.7)\t7\n" % (block * 100 + i + 1)
                    for i in range(100)
                )
            )
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 << 20


def test_a_window_that_the_end_of_the_log_cuts_is_none():
    log = log_module.Log(NONE)
    log.window((1,), None, Line(1, "rate: 12", ended=False))
    log.run.replace("rate", None, Line(1, "rate: 12", ended=False))
    assert not log.run.started


def test_the_same_nan_again_is_not_a_contradiction():
    run, line = run_module.Run(NONE), Line(1, "rate: nan")
    run.take("rate", math.nan, line)
    run.take("rate", math.nan, line)
    assert not run.problem
    run.take("rate", 1.0, line)
    assert run.contradicts


def test_a_doubt_is_said_once_and_not_too_often():
    run = run_module.Run(NONE)
    for number in range(40):
        run.warn(str(number))
        run.warn(str(number))
    assert run.warnings == [str(number) for number in range(run_module.MOST_WARNINGS)]


def test_a_result_that_the_end_of_the_log_cuts_is_none():
    # The last digit may be missing.
    found = measure("tf_cnn_benchmarks", TF_CNN[: TF_CNN.index(b"398.50") + 6])
    assert "is cut off" in found.failure.message


def test_of_much_evidence_the_first_and_the_last_is_shown():
    run = run_module.Run(NONE)
    for number in range(40):
        run.take(str(number), 1.0, Line(number, "x"))
    run.prove(*map(str, range(40)))
    shown = [number for number, _ in run.summary()["evidence"]]
    assert shown == [*range(12), *range(28, 40)]


def test_evidence_is_bounded():
    rows = b"".join(b"%6d   1.0   100.0  1.000  1.000 0.10000\n" % (i + 1) for i in range(500))
    found = measure("nvtfcnn", b"  Step Epoch Img/sec   Loss  LR\n" + rows)
    assert len(found.begin.evidence) <= MOST_EVIDENCE
    assert found.begin.windows["dropped_first"] == 10
    assert value(found) == pytest.approx(100)


def test_a_crash_after_the_last_figure_is_a_failure_if_no_summary_is_printed():
    assert measure("nvtfcnn", NVTFCNN + b"Segmentation fault\n").failure.kind == "crashed"
    assert measure("nvtfcnn", b"Segmentation fault\n" + NVTFCNN).failure is None
    assert measure("tf_cnn_benchmarks", TF_CNN + b"Segmentation fault\n").failure is None


def test_the_banner_of_an_image_is_reported():
    banner = b"== TensorFlow ==\nNVIDIA Release 18.07 (build 552349)\n" + (
        b"WARNING: Detected NVIDIA GeForce RTX 2080 SUPER GPU, which is not yet supported in this "
        b"version of the container\n"
    )
    found = measure("nvtfcnn", banner + NVTFCNN)
    assert found.begin.image_release == "18.07"
    assert "does not know" in found.warnings[0]
    assert "image_release" not in measure("nvtfcnn", b"a GPU\n" + NVTFCNN).begin.stated()


def test_progress():
    parser = parser_for("horovod")
    assert parser.progress.stage == "starting"
    parser.feed(HOROVOD[: HOROVOD.index(b"Running benchmark")])
    assert parser.progress.stage == "warmup"
    assert parser.progress.throughput is None
    parser.feed(HOROVOD[HOROVOD.index(b"Running benchmark") : HOROVOD.index(b"Img/sec per")])
    assert (parser.progress.stage, parser.progress.steps_done) == ("timing", 1)
    assert (parser.progress.throughput, parser.progress.unit) == (4 * 300, "samples/s")
    assert parser.progress.last_lines[-1] == "Iter #1: 300.0 img/sec per GPU"
    parser.feed(HOROVOD[HOROVOD.index(b"Img/sec per") :])
    assert parser.progress.stage == "done"


def test_a_missing_batch_names_the_option_and_keeps_the_times():
    found = measure("pytorch_imagenet", SAMPLES["imagenet"][1])
    assert found.failure.kind == "no_result"
    assert "--batch" in found.failure.message
    assert value(found, "step_time_mean") == 1.01
    assert value(measure("pytorch_imagenet", TORCHVISION, HINTS)) == 300
