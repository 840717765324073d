import io
import itertools
import json
import math
import tracemalloc

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from backends.harness import events as harness
from orchestrator.errors import RequestError
from orchestrator.parsers import ParseHints, parse, parser_for
from orchestrator.result import Measurement
from tests.support.own_log import BEGIN, END, FIRST, GOOD, SECOND, SECONDS, WARMUP, line, log, steps


def measure(data, **arguments):
    return parse("benchdock", io.BytesIO(data), **arguments)


def test_there_is_one_run_in_a_log_of_ours():
    found = parse("benchdock", io.BytesIO(log(GOOD)), ParseHints(block=1))
    assert found == measure(log(GOOD))
    with pytest.raises(RequestError, match="block 2 does not exist: the log contains 1 run"):
        parse("benchdock", io.BytesIO(log(GOOD)), ParseHints(block=2))
    assert parse("benchdock", io.BytesIO(b""), ParseHints(block=2)).failure


def test_a_good_log():
    found = measure(b"noise\n" + log(GOOD) + b"more noise")
    assert found.failure is None
    assert found.warnings == ()
    assert found.fingerprint == "0123456789abcdef"
    assert found.begin.model_dump(mode="json") == {k: v for k, v in BEGIN.items() if k != "event"}
    assert found.warmup == {"steps": 3, "seconds": 0.75}
    assert [(s.first, s.samples, list(s.seconds)) for s in found.steps] == [
        (0, 16, FIRST["seconds"]),
        (10, 16, SECOND["seconds"]),
    ]
    values = {name: (m.value, m.unit) for name, m in found.metrics.items()}
    assert values["throughput"] == (320 / SECONDS, "samples/s")
    assert values["throughput_min"] == (160 / SECOND["block_seconds"], "samples/s")
    assert values["throughput_max"] == (160 / FIRST["block_seconds"], "samples/s")
    assert values["step_time_median"] == (0.1, "s")
    assert values["step_time_max"] == (0.11, "s")
    assert values["peak_memory"] == (2**30, "bytes")
    assert values["loss"] == (6.9, "")
    low, high = values["throughput_ci95_low"][0], values["throughput_ci95_high"][0]
    assert low < 320 / SECONDS < high
    assert "the interval covers only what the 20 steps of this run showed" in found.notes[0]
    assert Measurement.model_validate_json(found.model_dump_json()) == found


def ranks(*own):
    return [{"began": 1.0, "ended": 2.0, "own": value} for value in own]


def of_ranks(*blocks):
    """Return a log of two ranks."""
    lines = [
        {**steps(10 * index, [0.1] * 10, block_seconds=1.0), **({"ranks": told} if told else {})}
        for index, told in enumerate(blocks)
    ]
    end = {"event": "end", "samples": 160 * len(blocks), "seconds": float(len(blocks))}
    return log([{**BEGIN, "steps": 10 * len(blocks)}, WARMUP, *lines, end])


def test_the_skew_of_ranks_is_that_before_they_wait():
    found = measure(of_ranks(ranks(0.08, 0.06), ranks(0.1, 0.06), ranks(0.09, 0.07)))
    assert found.failure is None
    assert found.begin.rank_times == pytest.approx((0.09, 0.06))
    metrics = {name: one.value for name, one in found.metrics.items() if name.startswith("rank")}
    assert metrics == pytest.approx(
        {"rank_time_min": 0.06, "rank_time_max": 0.09, "rank_skew": 100 * 0.03 / 0.075}
    )
    assert found.metrics["rank_skew"].unit == "%"
    assert not any(name.startswith("rank") for name in measure(log(GOOD)).metrics)


@pytest.mark.parametrize("second", [None, ranks(0.1, 0.1, 0.1)])
def test_ranks_that_come_and_go_are_not_one_run(second):
    found = measure(of_ranks(ranks(0.1, 0.1), second))
    assert found.failure.kind == "no_result"
    assert "ranks after one of 2" in found.failure.message


def test_a_killed_rank_explains_what_the_others_say():
    lost = {"event": "error", "kind": "internal", "message": "RuntimeError: connection closed"}
    why = {**lost, "message": "rank 1 of 2 was killed by SIGKILL", "rank": 1, "signal": 9}
    for told in ([lost, why], [why, lost]):
        found = measure(log([*GOOD[:3], *told]), exit_code=137)
        assert (found.failure.kind, found.failure.message) == ("crashed", why["message"])


@pytest.mark.parametrize("digests", [{"samples": 200, "labels": "ab", "pixels": "cd"}, {}])
def test_what_a_reader_read_is_kept(digests):
    facts = {"format": "lmdb", **digests, "workers": 3}
    began, *rest = GOOD
    found = measure(log([began, {"event": "data", **facts}, *rest]))
    assert found.failure is None
    assert found.begin.reader == facts


def test_what_a_program_doubts_is_a_warning():
    began, *rest = GOOD
    found = measure(log([{**began, "doubts": ["OpenBLAS ran its \x1b[1mold kernel"]}, *rest]))
    assert found.failure is None
    assert found.warnings == ("OpenBLAS ran its \N{REPLACEMENT CHARACTER}[1mold kernel",)
    assert "doubts" not in found.begin.model_dump()


def run_of(seconds):
    block = steps(0, seconds, block_seconds=sum(seconds))
    end = {"event": "end", "samples": 16 * len(seconds), "seconds": sum(seconds)}
    return measure(log([{**BEGIN, "steps": len(seconds)}, WARMUP, block, end]))


def test_a_run_says_how_far_its_interval_goes():
    values = [1 + 0.01 * (number * 7 % 11) for number in range(1000)]
    long, short, shorter = (run_of(values[:count]) for count in (1000, 999, 9))
    assert "throughput_ci95_low" in long.metrics
    assert long.notes == ()
    assert len(short.notes) == 1
    assert shorter.notes == ()
    assert "throughput_ci95_low" not in shorter.metrics
    assert not any("interval" in text for text in (*long.warnings, *short.warnings))


def test_if_there_is_no_interval_the_run_says_why():
    found = run_of([0.001] * 10 + [5.0] * 10)
    assert found.failure is None
    assert "throughput_ci95_low" not in found.metrics
    assert found.notes == ()
    (told,) = (text for text in found.warnings if "interval" in text)
    assert told.startswith("the throughput has no interval: the step times vary so much")


def test_the_last_warmup_counts():
    again = {"event": "warmup", "steps": 5, "seconds": 1.5}
    assert measure(log([BEGIN, WARMUP, again, FIRST, SECOND, END])).warmup["steps"] == 5


@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\r", b" \n", b"\x1b[0m\n", b"\n\n"])
@pytest.mark.parametrize("prefix", [b"", b"\x1b[2K", b"[1,0]<stdout>:", b"0: ", b"\x1b[32m1: "])
def test_line_ends_colours_and_rank_prefixes_change_nothing(ending, prefix):
    data = b"".join(prefix + line(event)[:-1] + ending for event in GOOD)
    assert measure(data) == measure(log(GOOD))


@pytest.mark.slow
@given(st.lists(st.integers(min_value=0), max_size=20))
def test_the_log_may_be_cut_anywhere(places):
    data = b"tqdm 10%\rtqdm 20%\n" + log(GOOD)
    parser = parser_for("benchdock")
    bounds = [0, *sorted(place % len(data) for place in places), len(data)]
    for a, b in itertools.pairwise(bounds):
        parser.feed(data[a:b])
    assert parser.finish() == measure(data)


JUNK = st.binary(max_size=60).map(lambda junk: junk.replace(b"::benchdock ", b""))


@pytest.mark.slow
@given(st.lists(JUNK, min_size=6, max_size=6))
def test_junk_between_lines_changes_nothing(junk):
    parts = [b"%", junk[0], b"\n"]  # no compressed file
    for event, noise in zip(GOOD, junk[1:], strict=True):
        parts += [line(event), noise, b"\n"]
    assert measure(b"".join(parts)) == measure(log(GOOD))


@pytest.mark.slow
def test_no_truncation_of_a_good_log_is_a_result():
    data = log(GOOD)
    for size in range(len(data) - 1):
        found = measure(data[:size])
        assert found.failure is not None, data[:size][-40:]
        assert found.metrics == {}
    assert measure(data[:-1]) == measure(data)  # only the line end is missing: the JSON is whole


@given(st.integers(min_value=0), st.binary(min_size=1, max_size=1))
def test_one_wrong_byte_is_noticed_or_without_consequence(place, byte):
    data = log(GOOD)
    place %= len(data)
    found = measure(data[:place] + byte + data[place + 1 :])
    if found.failure is None:
        assert found.metrics["throughput"].value == pytest.approx(320 / SECONDS, rel=1e-5)


@given(st.binary(max_size=300))
@example(b"::benchdock ")
@example(b"::benchdock {}\n::benchdock []\n::benchdock null")
@example(b"::benchdock \xff\n")
@example(b'::benchdock {"event":"end"}\n')
@example(b"::benchdock " + b"[" * 100_000)
def test_no_bytes_raise_or_make_a_number(data):
    for head in (b"", b"::benchdock ", b'::benchdock {"event":"end",'):
        found = measure(b"\n" + head + data)
        assert found.failure is not None
        assert found.metrics == {}


HOSTILE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)


@pytest.mark.slow
@given(
    st.integers(min_value=0, max_value=len(GOOD) - 1),
    st.sampled_from(sorted({key for event in GOOD for key in event})),
    HOSTILE,
)
def test_any_value_of_any_key_gives_a_sound_result_or_none(index, key, value):
    events = [dict(event) for event in GOOD]
    events[index][key] = value
    found = measure(log(events))
    assert found.failure or math.isfinite(found.metrics["throughput"].value)
    assert (found.failure is None) == bool(found.metrics)
    json.loads(found.model_dump_json())


def failure(events, **arguments):
    found = measure(log(events), **arguments).failure
    assert found is not None
    return found


def end(**changes):
    return {**END, **changes}


@pytest.mark.parametrize(
    ("events", "words"),
    [
        ([BEGIN], "no end line: the program stopped after 0 steps of warm-up"),
        ([BEGIN, WARMUP, FIRST], "no end line: the program stopped after 10 of 20 timed steps"),
        ([WARMUP, FIRST, SECOND, END], "the begin line is missing"),
        ([BEGIN, WARMUP, END], "the steps have 0 samples, the end says 320"),
        ([BEGIN, WARMUP, FIRST, END], "the steps have 160 samples, the end says 320"),
        ([BEGIN, FIRST, FIRST, END], "timed steps continue at 0 after 10 steps"),
        ([BEGIN, SECOND, FIRST, END], "timed steps continue at 10 after 0 steps"),
        ([*GOOD[:4], end(seconds=SECONDS * 1.00001)], "the end says"),
        ([*GOOD[:4], end(seconds=0)], "is not a throughput"),
        ([*GOOD[:4], end(seconds=-1.0)], "is not a throughput"),
        ([*GOOD[:4], end(seconds="nan")], "is not a throughput"),
        ([*GOOD[:4], end(seconds=math.nan)], "is not a throughput"),
        ([*GOOD[:4], end(seconds="inf")], "is not a throughput"),
        ([*GOOD[:4], end(samples=0)], "is not a throughput"),
        ([*GOOD[:4], end(samples=-5)], "is not a throughput"),
        ([*GOOD[:4], end(seconds=5e-324)], "is not a plausible throughput"),
        ([*GOOD, end(loss=1.0)], "two different ends"),
        ([*GOOD, SECOND], "timed steps after the end"),
        ([*GOOD, {**BEGIN, "model": "vgg16"}], "more than one run"),
        ([{**BEGIN, "devices": 1}, *GOOD[1:]], "16 samples per step, but batch x devices is 8"),
    ],
)
def test_runs_without_a_result_and_why(events, words):
    found = failure(events)
    assert found.kind == "no_result"
    assert words in found.message


def test_the_same_end_twice_is_one_end():
    assert measure(log([*GOOD, END])) == measure(log(GOOD))


@pytest.mark.parametrize(
    ("told", "kind"),
    [
        ("out_of_memory", "out_of_memory"),
        ("unsupported", "unsupported"),
        ("data", "data"),
        ("internal", "crashed"),
    ],
)
@pytest.mark.parametrize("before", [[], [BEGIN], GOOD])
def test_an_error_event_is_the_failure(before, told, kind):
    found = failure([*before, {"event": "error", "kind": told, "message": "no\x1b[2J\nroom"}])
    assert found.kind == kind
    assert found.message == "no\ufffd[2J\ufffdroom"
    assert found.evidence.startswith("::benchdock ")


def test_the_first_error_is_the_cause():
    first = {"event": "error", "kind": "data", "message": "one"}
    second = {"event": "error", "kind": "internal", "message": "two"}
    assert failure([BEGIN, first, second]).message == "one"


def test_an_exit_code_makes_a_good_log_a_failure():
    assert measure(log(GOOD), exit_code=0).failure is None
    assert failure(GOOD, exit_code=139).kind == "crashed"
    assert failure(GOOD[:3], exit_code=1).kind == "crashed"
    assert measure(b"", exit_code=1).failure.kind == "crashed"


def test_an_empty_log_has_no_output():
    assert measure(b"").failure.kind == "no_output"


def test_lines_that_cannot_be_read_are_warnings():
    odd = [
        b"::benchdock not json\n",
        b'::benchdock {"event":"steps","first":0,"seconds":[1,"x"],"samples":1}\n',
        b'::benchdock {"event":"dance"}\n',
        b'progress 10% ::benchdock {"event":"end","samples":1,"seconds":1}\n',
    ]
    found = measure(log(GOOD) + b"".join(odd))
    assert found.failure is None
    assert len(found.warnings) == 4
    assert "seconds.1" in found.warnings[1]
    assert "does not start at the beginning of its line" in found.warnings[3]


def written(*events):
    """The lines as our programs write them: with checksums."""
    return [
        harness.line(e["event"], {k: v for k, v in e.items() if k != "event"}).encode()
        for e in events
    ]


def test_our_programs_lines_are_read_also_behind_text_without_a_line_end():
    noises = (b"", b"W0101 oneDNN: slow", b"\xff\x00", b"\x1b[31mwarning: ", b"10%| ::benchdoc")
    glued = b"".join(n + w for n, w in zip(noises, written(*GOOD), strict=True))
    found = measure(glued)
    assert found.failure is None
    assert found.warnings == ()
    assert found.metrics == measure(log(GOOD)).metrics


def test_the_text_before_a_glued_line_can_be_evidence():
    found = measure(b"free(): invalid pointer" + written(BEGIN)[0]).failure
    assert (found.kind, found.evidence) == ("crashed", "free(): invalid pointer")


@pytest.mark.parametrize("index", range(len(GOOD)))
def test_a_digit_written_into_a_line_is_found_out(index):
    lines = written(*GOOD)
    middle = lines[index].rindex(b", ", 0, -22)
    lines[index] = lines[index][:middle] + b"7" + lines[index][middle:]
    found = measure(b"".join(lines))
    assert any("damaged by other output: ::benchdock" in w for w in found.warnings)
    if GOOD[index] is not WARMUP:
        assert found.failure.kind == "no_result"
        assert found.metrics == {}


def test_a_line_without_checksum_among_lines_with_one_is_not_believed():
    lines = written(*GOOD)
    lines[0] = lines[0].replace(b'"crc"', b'"cr1c"')
    found = measure(b"".join(lines)).failure
    assert found.kind == "no_result"
    assert "lost its checksum" in found.message
    assert found.evidence.startswith('::benchdock {"event": "begin"')


NOISE = st.binary(min_size=1, max_size=12) | st.sampled_from(
    [b"0", b"9", b"e9", b".", b"-", b'"', b", ", b"\n", b"\r", b"}\n", b"::benchdock {"]
)


@given(st.lists(st.tuples(st.integers(min_value=0), NOISE), min_size=1, max_size=4))
def test_whatever_is_written_into_our_lines_never_makes_a_wrong_number(noises):
    data = b"\n" + b"".join(written(*GOOD))
    for place, noise in noises:
        at = 1 + place % len(data)
        data = data[:at] + noise + data[at:]
    found = measure(data)
    if found.failure is None:
        assert found.metrics == measure(log(GOOD)).metrics
        assert found.begin.batch == BEGIN["batch"]
    else:
        assert found.metrics == {}


def test_warnings_are_bounded():
    found = measure(b"::benchdock x\n" * 1000)
    assert len(found.warnings) == 21
    assert found.warnings[-1] == "1000 tagged lines could not be read in all"


def test_an_event_longer_than_any_is_a_warning():
    found = measure(b"::benchdock " + b"x" * (5 << 20) + b"\n" + log(GOOD))
    assert found.failure is None
    assert found.warnings == ("1 tagged lines are longer than any event",)


@pytest.mark.parametrize("loss", ["nan", "inf", "-inf"])
def test_a_diverged_loss_does_not_invalidate_the_throughput(loss):
    found = measure(log([*GOOD[:4], end(loss=loss)]))
    assert found.failure is None
    assert "loss" not in found.metrics
    assert "diverged" in found.warnings[0]


def test_optional_parts_may_be_absent():
    events = [steps(0, [0.25] * 10), {"event": "end", "samples": 160, "seconds": 2.5}]
    del events[0]["block_seconds"]
    del events[1]["event"]
    found = measure(log([BEGIN, events[0], {"event": "end", **events[1], "peak_memory": None}]))
    assert found.failure is None
    assert found.metrics["throughput"].value == 64
    assert not {"peak_memory", "loss", "throughput_min"} & set(found.metrics)
    assert found.warnings == ("20 steps were requested, 10 were timed",)


def test_doubts_become_warnings():
    slow = steps(0, [0.9, *[0.1] * 9])
    last = end(samples=160, seconds=slow["block_seconds"])
    found = measure(log([{**BEGIN, "steps": 10}, WARMUP, slow, last]))
    assert [w for w in found.warnings if "raise --warmup" in w]
    outside = steps(0, [0.01] * 10, block_seconds=2.0)
    found = measure(log([{**BEGIN, "steps": 10}, outside, end(samples=160, seconds=2.0)]))
    assert [w for w in found.warnings if "5 % of the timed window" in w]


@pytest.mark.parametrize(
    ("text", "kind", "evidence"),
    [
        (
            b"Traceback (most recent call last):\n  File x\n    f()\n"
            b"torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB\n",
            "out_of_memory",
            "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB",
        ),
        (b"  File x\nMemoryError\n", "out_of_memory", "MemoryError"),
        (b"terminate called after throwing 'std::bad_alloc'\n", "out_of_memory", None),
        (
            b"Traceback (most recent call last):\n  File x\n    f()\nValueError: bad\nbye\n",
            "crashed",
            "ValueError: bad",
        ),
        (
            b"Traceback (most recent call last):\n  x\nKeyError: 'a'\n"
            b"Traceback (most recent call last):\n  x\n"
            b"torch.distributed.elastic.multiprocessing.errors.ChildFailedError: \n===\n",
            "crashed",
            "KeyError: 'a'",
        ),
        (b"/run/launcher.sh: line 9:   12 Killed     python3\n", "crashed", None),
        (b"Killed\n", "crashed", "Killed"),
        (b"Segmentation fault (core dumped)\n", "crashed", None),
        (b"launcher.sh: line 12: exec: python3: not found\n", "image", None),
        (b"just chatting\n", "no_result", "just chatting"),
    ],
)
def test_a_death_without_words_is_explained_by_the_last_lines(text, kind, evidence):
    found = measure(log(GOOD[:3]) + b"working\n" + text).failure
    assert found.kind == kind
    assert found.evidence == (evidence or text.decode().strip())


def test_progress():
    parser = parser_for("benchdock", ParseHints(batch=1))
    assert parser.progress.stage == "starting"
    parser.feed(b"hello\n" + line(BEGIN))
    assert (parser.progress.stage, parser.progress.steps_total) == ("warmup", 3)
    parser.feed(line(WARMUP))
    assert (parser.progress.steps_done, parser.progress.steps_total) == (3, 3)
    parser.feed(line(FIRST) + b"loading 5%\rloading 6%")
    now = parser.progress
    assert (now.stage, now.steps_done, now.steps_total) == ("timing", 10, 20)
    assert now.throughput == 160 / FIRST["block_seconds"]
    assert now.last_lines == ("hello", "loading 5%", "loading 6%")
    parser.feed(b"\n" + line(SECOND) + line(END))
    assert (parser.progress.stage, parser.progress.steps_done) == ("done", 20)
    for number in range(50):
        parser.feed(b"%d\n" % number * 200)
    assert len(parser.progress.last_lines) == 10


@pytest.mark.slow
def test_memory_is_eight_bytes_per_step_and_the_log_is_not_kept():
    count = 5000
    parser = parser_for("benchdock")
    parser.feed(line(BEGIN))
    tracemalloc.start()
    try:
        for number in range(20):
            parser.feed(line(steps(number * count, [0.001] * count)))
            parser.feed(b"x" * (1 << 18) + b"\n")
        current, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert current < 8 * count * 20 * 1.2 + (1 << 20)
    assert peak < current + (4 << 20)


def test_more_steps_than_a_request_may_ask_for_are_refused(monkeypatch):
    monkeypatch.setattr("orchestrator.parsers.samples.MOST_STEPS", 19)
    assert "more than 19 timed steps" in failure(GOOD).message


def test_raw_samples_in_a_result_are_bounded(monkeypatch):
    monkeypatch.setattr("orchestrator.parsers.samples.MOST_RECORDED", 15)
    found = measure(log(GOOD))
    assert [block.first for block in found.steps] == [0]
    assert "the log those of all 20" in found.warnings[-1]
    assert found.metrics["step_time_max"].value == 0.11
