"""Collectors' prefixes change no result, for all programs and collectors."""

import io
import itertools
import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.parsers import ParseHints, parse, parser_for
from orchestrator.parsers.collected import CHUNK, CollectedLog
from orchestrator.parsers.prefixes import PREFIXES, Remover, learn
from tests.support import framework_samples, own_log
from tests.support.vendor_samples import HOROVOD, TF_CNN
from tests.support.vendor_samples import SAMPLES as VENDOR_SAMPLES

SAMPLES = {**VENDOR_SAMPLES, **framework_samples.SAMPLES}


def stamped(form):
    """Return a collector whose stamps go on, a millisecond per line."""
    return lambda line, number: form.format(number // 1000 % 60, number % 1000).encode() + line


def constant(prefix):
    return lambda line, number: prefix.encode() + line


def docker_json(line, number):
    record = {"log": line.decode() + "\n", "stream": "stdout", "time": "2024-05-06T07:08:09.1Z"}
    return json.dumps(record).encode()


def journal_json(line, number):
    return json.dumps({"MESSAGE": line.decode(), "_PID": "77", "PRIORITY": "6"}).encode()


def parts(line, number):
    """Split a line as a node does with long ones."""
    stamp = b"2024-05-06T07:08:09.123456789Z stdout "
    return stamp + b"P " + line[:5] + b"\n" + stamp + b"F " + line[5:] if line else stamp + b"F"


COLLECTORS = {
    "docker": stamped("2024-05-06T07:08:{:02}.{:03}456789Z "),
    "docker with offset": stamped("2024-05-06T07:08:{:02}.{:03}+02:00 "),
    "GitLab": stamped("2024-05-06T07:08:{:02}.{:03}456Z 01O "),
    "node": stamped("2024-05-06T07:08:{:02}.{:03}456789Z stdout F "),
    "node, stderr": stamped("2024-05-06T07:08:{:02}.{:03}456789+00:00 stderr F "),
    "json-file": docker_json,
    "journalctl -o json": journal_json,
    "Kubeflow": stamped("INFO|2024-05-06T07:08:{:02}|/opt/run/launcher.py|{:02}| "),
    "Compose": constant("trainer-1  | "),
    "Compose with colours": constant("\x1b[36mtrainer_1   | \x1b[0m"),
    "Compose with timestamps": stamped("trainer-1  | 2024-05-06T07:08:{:02}.{:03}456789Z "),
    "pdsh": constant("gpu-node07: "),
    "DeepSpeed": constant("worker-0: "),
    "IP address": constant("10.0.0.12: "),
    "Intel MPI": constant("[0] "),
    "MPICH, another rank": constant("[11] "),
    "mpirun": constant("[1,0]<stdout>:"),
    "mpirun, twice": constant("[1,0]<stdout>:[1,2]<stdout>:"),
    "Kubeflow and mpirun": stamped("INFO|2024-05-06T07:08:{:02}|launcher.py|{:02}| [1,0]<stdout>:"),
    "mpirun and docker": stamped("[1,3]<stdout>:2024-05-06T07:08:{:02}.{:03}Z "),
    "docker and host": stamped("2024-05-06T07:08:{:02}.{:03}Z node-a.local: "),
    "SageMaker": constant("[1,mpirank:0,algo-1]<stdout>:"),
    "SageMaker, another rank": constant("[1,mpirank:5,algo-2]<stderr>:"),
    "Jenkins": stamped("[2024-05-06T07:08:{:02}.{:03}Z] "),
    "Jenkins, clock": stamped("07:08:{:02}  "),
    "Jenkins, elapsed": stamped("00:00:{:02}.{:03}  "),
    "journald": stamped("May 06 07:08:{:02} node07 python3[4321]: "),
    "journald, precise": stamped("May 06 07:08:{:02}.{:03}123 node07 run.sh[4321]: "),
    "journald, ISO": stamped("2024-05-06T07:08:{:02}+0000 node07 bench[4321]: "),
    "syslog": stamped("<14>May  6 07:08:{:02} node07 bench: "),
    "rsyslog": stamped("2024-05-06T07:08:{:02}.{:03}123+02:00 node07 bench[4321]: "),
    "syslog stamps": stamped("May  6 07:08:{:02} "),
    "absl": stamped("I0506 07:08:{:02}.{:03}456 140012345678912 tf_logging.py:125] "),
    "glog with a year": stamped("I20240506 07:08:{:02}.{:03}456 77 main.cc:12] "),
    "Ray": constant("(pid=4321) "),
    "Ray, task": constant("(train_fn pid=4321, ip=10.0.0.12) "),
    "Ray with colours": constant("\x1b[2m\x1b[36m(train pid=4321)\x1b[0m "),
    "kubectl --prefix": constant("[pod/trainer-0/main] "),
    "logging": stamped("2024-05-06 07:08:{:02},{:03} - INFO - "),
    "logging with a name": stamped("2024-05-06 07:08:{:02},{:03} - bench.run - INFO - "),
    "levels": constant("[INFO] "),
    "date and time": stamped("[2024-05-06 07:08:{:02}.{:03}] "),
}
NONE = ParseHints()
_STEPS = b"".join(b"%d\timages/sec: 400.0 +/- 1.4 (jitter = 3.7)\t7.1\n" % n for n in range(30, 90))
LONG = TF_CNN.replace(b"---\ntotal", _STEPS + b"---\ntotal")
# Programs whose lines bear a time of their own, which counts, or lack it, when another may.
GLOG = ("caffe_time", "caffe_train", "caffe2_net", "caffe2_trainer")


def collected(log, collector):
    return b"".join(collector(line, n) + b"\n" for n, line in enumerate(log.splitlines()))


def measured(program, log, hints):
    return parse(program, io.BytesIO(log), hints)


def same(one, other):
    """Compare two measurements, except for the form of the lines before they were read."""

    def bare(found):
        begin = {k: v for k, v in found.begin.stated().items() if k not in ("evidence", "prefixes")}
        return found.model_copy(update={"begin": begin})

    assert bare(one) == bare(other)
    assert [n for n, _ in one.begin.evidence] == [n for n, _ in other.begin.evidence]
    for (_, a), (_, b) in zip(one.begin.evidence, other.begin.evidence, strict=True):
        # Some programs' own lines may bear a logger's prefix, which then counts as theirs.
        assert a.strip().endswith(b.strip()) or b.strip().endswith(a.strip())


@pytest.mark.slow
@pytest.mark.parametrize("name", SAMPLES)
def test_a_prefix_before_every_line_changes_nothing(name):
    program, log, hints, _, _ = SAMPLES[name]
    plain = measured(program, log, hints)
    for how, collector in COLLECTORS.items():
        if program in GLOG and how in ("absl", "glog with a year"):
            continue  # that prefix is the program's own
        same(measured(program, collected(log, collector), hints), plain)


def test_a_prefix_before_the_lines_of_our_own_programs_changes_nothing():
    log = own_log.log(own_log.GOOD)
    plain = measured("benchdock", log, NONE)
    assert plain.failure is None
    for collector in COLLECTORS.values():
        found = measured("benchdock", collected(log, collector), NONE)
        assert (found.failure, found.metrics) == (None, plain.metrics)


def test_every_form_of_prefix_is_tried():
    learnt = {
        prefix.name
        for collector in [*COLLECTORS.values(), parts]
        for prefix in learn(collected(HOROVOD, collector).split(b"\n"))
    }
    assert learnt == {prefix.name for prefix in PREFIXES}


@pytest.mark.parametrize(
    ("collector", "within"),
    [
        *itertools.product(["pdsh", "Compose", "Ray", "kubectl --prefix"], ["", "[1,{}]<stdout>:"]),
        ("Intel MPI", ""),  # behind the other mpirun its numbers do not count
    ],
)
def test_two_sources_are_two_ranks(collector, within):
    """Interleaved, each line of the second source like one of mpirun's second rank."""
    other = HOROVOD.replace(b"800.0", b"700.0").splitlines()
    pairs = [*zip(HOROVOD.splitlines(), other, strict=True)]
    by_mpirun = b"".join(b"[1,0]<stdout>:%b\n[1,1]<stdout>:%b\n" % pair for pair in pairs)
    first = COLLECTORS[collector](within.format(0).encode(), 0)
    second = re.sub(rb"\d", b"9", first.removesuffix(within.format(0).encode()), count=1)
    second = (b"x-" + second if second == first else second) + within.format(0).encode()
    log = b"".join(b"%b%b\n%b%b\n" % (first, a, second, b) for a, b in pairs)
    same(measured("horovod", log, NONE), measured("horovod", by_mpirun, NONE))


@pytest.mark.slow
@pytest.mark.parametrize("collector", COLLECTORS)
@pytest.mark.parametrize("every", [2, 3])
def test_lines_without_the_prefix_are_not_lost(collector, every):
    lines = [COLLECTORS[collector](line, n) for n, line in enumerate(LONG.splitlines())]
    bare = LONG.splitlines()
    log = b"\n".join(bare[n] if n % every == 1 else line for n, line in enumerate(lines)) + b"\n"
    found = measured("tf_cnn_benchmarks", log, NONE)
    plain = measured("tf_cnn_benchmarks", LONG, NONE)
    if collector in ("MPICH, another rank", "mpirun", "SageMaker, another rank"):
        # What bears no prefix may be of any rank: only the total is the same, or there is none.
        assert found.failure or found.metrics["throughput"] == plain.metrics["throughput"]
    elif "mpirun" not in collector:
        same(found, plain)


@pytest.mark.parametrize("head", [100, CHUNK + 100, 3 * CHUNK])
def test_a_prefix_that_begins_late_is_removed(head):
    text = b"Collecting another wheel for the image\n"
    before = text * (head // len(text))
    log = before + collected(LONG, COLLECTORS["Compose"]) * 1
    same(
        measured("tf_cnn_benchmarks", log, NONE), measured("tf_cnn_benchmarks", before + LONG, NONE)
    )


@pytest.mark.slow
def test_a_prefix_is_not_given_up_before_the_programs_first_line():
    noise = b"words of a library, before the program itself prints\n" * (6 * CHUNK // 52)
    log = collected(noise + LONG, COLLECTORS["pdsh"])
    same(
        measured("tf_cnn_benchmarks", log, NONE), measured("tf_cnn_benchmarks", noise + LONG, NONE)
    )


def test_a_source_that_is_named_is_not_a_reason_to_believe_a_contradiction():
    """A pattern finds the same in lines with a prefix: two workers' rates are two rates."""
    log = b"".join(b"worker-%d  | fps=%d.5\n" % (n % 2, n % 2 + 7) for n in range(20))
    found = measured("custom", log, ParseHints(pattern=r"fps=(\S+)"))
    assert "differ" in found.failure.message


@settings(max_examples=20)
@given(places=st.lists(st.integers(min_value=0), max_size=6), how=st.sampled_from([*COLLECTORS]))
def test_a_log_with_prefixes_may_be_cut_into_any_blocks(places, how):
    log = collected(TF_CNN, COLLECTORS[how])
    whole = CollectedLog(lambda: parser_for("tf_cnn_benchmarks"))
    whole.feed(log)
    parts = CollectedLog(lambda: parser_for("tf_cnn_benchmarks"))
    for begin, end in itertools.pairwise([0, *sorted(p % len(log) for p in places), len(log)]):
        parts.feed(log[begin:end])
    assert parts.finish() == whole.finish()


def test_parts_of_lines_are_joined_and_counted_as_lines():
    same(measured("horovod", collected(HOROVOD, parts), NONE), numbered(HOROVOD, 2))
    records = [
        json.dumps({"log": text, "stream": "stdout", "time": "x"})
        for line in HOROVOD.decode().splitlines(keepends=True)
        for text in (line[:5], line[5:])
    ]
    same(measured("horovod", "\n".join(records).encode(), NONE), numbered(HOROVOD, 2))


def numbered(log, per_line):
    """Measure a log in which each line stands first of so many."""
    return measured("horovod", log.replace(b"\n", b"\n" * per_line), NONE)


@pytest.mark.parametrize(
    "line",
    [
        b"Baseline: total images/sec: 999.0",
        b"target | total images/sec: 999.0",
        b"[1] total images/sec: 999.0",
        b"2024-05-06T07:08:09Z total images/sec: 999.0",
        b"I0506 07:08:09.123456 77 a.py:1] total images/sec: 999.0",
        b"[INFO] total images/sec: 999.0",
        b"> total images/sec: 999.0",
    ],
)
@pytest.mark.parametrize("cut", [b"", b"total images"])
def test_a_line_that_only_quotes_the_programs_is_not_taken(line, cut):
    log = TF_CNN[: TF_CNN.index(cut)] if cut else TF_CNN
    for text in (log + line + b"\n", line + b"\n" + log):
        assert measured("tf_cnn_benchmarks", text, NONE).metrics == (
            measured("tf_cnn_benchmarks", log, NONE).metrics
        )


@given(
    st.lists(st.sampled_from([b"Epoch: ", b"Train: ", b"[0] ", b"a | ", b"{", b"\n", b"x", b"1"]))
)
def test_removing_keeps_the_number_of_lines(words):
    text = b"".join(words)
    for prefixes in ([prefix] for prefix in PREFIXES):
        assert Remover(prefixes)(text).count(b"\n") == text.count(b"\n")
