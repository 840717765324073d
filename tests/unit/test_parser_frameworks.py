"""Rules for every parser of a framework's benchmark program."""

import io
import itertools
import json
import math
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.parsers import ParseHints, parse, parser_for
from orchestrator.parsers.estimators import ESTIMATORS
from orchestrator.result import Measurement
from tests.support.framework_samples import ENDLESS, NONE, SAMPLES

some_examples = settings(max_examples=40)  # of every sample
every_sample = pytest.mark.parametrize("name", SAMPLES)


def measure(program, data, hints=NONE, **arguments):
    return parse(program, io.BytesIO(data), hints, **arguments)


def measured(name, data=None):
    program, log, hints, _, _ = SAMPLES[name]
    return measure(program, log if data is None else data, hints)


def value(found, metric="throughput"):
    return found.metrics[metric].value if metric in found.metrics else None


def figures(found):
    """Return what does not depend on where in the log it was found."""
    return found.metrics, found.failure, found.begin.windows, found.begin.estimator


@every_sample
def test_the_figure_and_the_same_recomputed(name):
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
    assert figures(measured(name, data)) == figures(measured(name))


@pytest.mark.slow
@every_sample
def test_a_log_that_breaks_off_anywhere_never_gives_another_figure(name):
    _, log, _, headline, _ = SAMPLES[name]
    for end in range(len(log)):
        found = measured(name, log[:end])
        if found.failure is not None:
            assert "throughput" not in found.metrics
        elif name in ENDLESS:
            whole_lines = measured(name, log[: log.rfind(b"\n", 0, end) + 1])
            finished = measured(name, log[:end] + b"\n")
            assert value(found) in [value(whole_lines), value(finished)]
        else:
            assert value(found) == pytest.approx(headline, rel=1e-12)


@pytest.mark.slow
@every_sample
@some_examples
@given(places=st.lists(st.integers(min_value=0), max_size=8))
def test_the_log_may_be_cut_into_any_blocks(name, places):
    program, log, hints, _, _ = SAMPLES[name]
    parser = parser_for(program, hints)
    bounds = [0, *sorted(place % len(log) for place in places), len(log)]
    for a, b in itertools.pairwise(bounds):
        parser.feed(log[a:b])
    assert parser.finish() == measured(name)


DAMAGE = [b"nan", b"inf", b"0", b"-1", b"1e999", b"1e308", b"1e-320", b"9" * 400, b",", b"\n"]


@pytest.mark.slow
@every_sample
@some_examples
@given(st.data())
def test_damage_never_raises_and_never_gives_zero(name, data):
    log = bytearray(SAMPLES[name][1])
    for _ in range(data.draw(st.integers(1, 6))):
        # The first bytes of a compressed file would be another matter.
        place = data.draw(st.integers(1, len(log) - 1))
        junk = data.draw(st.one_of(st.binary(max_size=5), st.sampled_from(DAMAGE)))
        log[place : place + data.draw(st.integers(0, 5))] = junk
    found = measured(name, bytes(log))
    json.loads(found.model_dump_json())
    if found.failure is None:
        assert 0 < found.metrics["throughput"].value < math.inf
    for metric in found.metrics.values():
        assert math.isfinite(metric.value)


@pytest.mark.slow
@every_sample
@pytest.mark.parametrize("wrong", DAMAGE)
def test_any_number_may_be_wrong(name, wrong):
    log = SAMPLES[name][1]
    starts = [
        i for i in range(1, len(log)) if log[i : i + 1].isdigit() and log[i - 1 : i] in b" =["
    ]
    for start in starts:
        end = next(i for i in range(start, len(log)) if log[i : i + 1] not in b"0123456789.")
        found = measured(name, log[:start] + wrong + log[end:])
        if found.failure is None:
            assert 0 < found.metrics["throughput"].value < math.inf
        for metric in found.metrics.values():
            assert math.isfinite(metric.value)


@pytest.mark.slow
@every_sample
@some_examples
@given(noise=st.lists(st.binary(max_size=60), max_size=20), seed=st.randoms())
def test_noise_between_the_lines_changes_nothing(name, noise, seed):
    lines = SAMPLES[name][1].splitlines(keepends=True)
    for text in noise:
        line = b"%" + text.replace(b"\n", b"").replace(b"\r", b"") + b"\n"
        place = seed.randrange(len(lines) + 1)
        # What follows there may be a piece of the batch: such a log is asked for --batch.
        if not b"".join(lines[:place]).endswith(b"shape {\n"):
            lines.insert(place, line)
    assert figures(measured(name, b"".join(lines))) == figures(measured(name))


@pytest.mark.slow
@every_sample
@some_examples
@given(junk=st.binary(max_size=300))
def test_junk_is_not_a_result(name, junk):
    found = measured(name, b"%" + junk)  # no compressed file
    assert found.failure is not None
    assert found.metrics == {}


@every_sample
def test_a_quote_within_a_sentence_is_not_a_result(name):
    log = SAMPLES[name][1].replace(b"\n", b"**\n")
    data = b"".join(b"> with 5.3 : **" + line for line in log.splitlines(keepends=True))
    assert measured(name, data).failure is not None


@every_sample
def test_ranks_that_print_the_same_are_one(name):
    lines = SAMPLES[name][1].splitlines(keepends=True)
    found = measured(name, b"".join(b"[1,%d]<stdout>:" % r + x for x in lines for r in (1, 0, 2)))
    assert found.failure is None
    assert found.metrics == measured(name).metrics


@every_sample
def test_two_runs_are_distinguished_and_one_may_be_chosen(name):
    program, log, hints, headline, _ = SAMPLES[name]
    other = log.replace(b"alexnet", b"resnet")
    found = measure(program, log + other, hints)
    assert found.failure.kind == "no_result"
    assert "2 runs" in found.failure.message
    assert found.metrics == {}
    assert [block["metrics"]["throughput"]["value"] for block in found.begin.blocks] == [
        pytest.approx(headline)
    ] * 2
    chosen = ParseHints(batch=hints.batch, devices=hints.devices, block=2)
    assert value(measure(program, log + other, chosen)) == pytest.approx(headline)


@every_sample
def test_an_exit_code_makes_a_good_log_a_failure(name):
    program, log, hints, _, _ = SAMPLES[name]
    assert measure(program, log, hints, exit_code=1).failure.kind == "crashed"


@pytest.mark.slow
@pytest.mark.parametrize("program", sorted({sample[0] for sample in SAMPLES.values()}))
def test_memory_does_not_grow_with_the_log(program):
    parser = parser_for(program)
    tracemalloc.start()
    try:
        for _ in range(40):
            parser.feed(b"x" * (1 << 18) + b"\n" + b"batch_size: 7\n" * 100)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 << 20


@every_sample
def test_progress_ends_with_the_log(name):
    program, log, hints, _, _ = SAMPLES[name]
    parser = parser_for(program, hints)
    stages = []
    for line in log.splitlines(keepends=True):
        parser.feed(line)
        stages.append(parser.progress.stage)
    order = ["starting", "warmup", "timing", "done"]
    assert stages == sorted(stages, key=order.index)
    assert stages[-1] in ("timing", "done")
