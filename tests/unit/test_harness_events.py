"""The grammar of tagged lines."""

from __future__ import annotations

import json
import os
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backends.harness import events
from orchestrator.parsers import events as parsed
from orchestrator.parsers import parse

numbers = st.floats() | st.integers() | st.booleans() | st.none() | st.text()
documents = st.recursive(
    numbers, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10
)


def refuse(name):
    raise AssertionError(f"{name} is not JSON")


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.text(), documents))
def test_any_event_is_one_ascii_line_of_strict_json(fields):
    line = events.line("x", fields)
    assert line.isascii()
    assert line.count("\n") == 1
    assert line.endswith("\n")
    assert line.startswith("::benchdock {")
    document = json.loads(line[len(events.TAG) :], parse_constant=refuse)
    assert set(document) == set(fields) | {"event", "crc"}
    assert parsed.is_whole(line.encode().rstrip(b"\n"))


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (float("nan"), "nan"),
        (float("inf"), "inf"),
        (-float("inf"), "-inf"),
        ([1.5, (float("nan"), None)], [1.5, ["nan", None]]),
        ({"a": float("inf")}, {"a": "inf"}),
    ],
)
def test_json_has_no_nan(value, written):
    assert json.loads(events.line("x", {"v": value})[len(events.TAG) :])["v"] == written


@pytest.mark.slow
def test_lines_of_several_threads_never_mix(tmp_path):
    path = tmp_path / "log.txt"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    emit = events.Emitter(descriptor)

    def write(name):
        for _ in range(50):
            emit("steps", name=name, seconds=[0.123456789] * 2000)

    threads = [threading.Thread(target=write, args=(str(i),)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    os.close(descriptor)
    lines = path.read_text().splitlines()
    assert len(lines) == 200
    assert all(len(json.loads(line[len(events.TAG) :])["seconds"]) == 2000 for line in lines)


def test_what_was_printed_before_stays_before(tmp_path, capfd):
    print("earlier", end="\n")
    events.Emitter()("begin")
    printed = capfd.readouterr().out
    assert printed == 'earlier\n::benchdock {"event": "begin", "crc": "fdfa3c8d"}\n'


def test_a_library_that_writes_past_us_without_line_ends_does_not_cost_a_line(tmp_path):
    path = tmp_path / "log.txt"
    ours = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    theirs = os.open(path, os.O_WRONLY | os.O_APPEND)
    begun, done = threading.Event(), threading.Event()

    def warn():
        while not done.is_set():
            os.write(theirs, b"W0101 slow path 3.14 ")
            begun.set()

    thread = threading.Thread(target=warn)
    thread.start()
    begun.wait()
    emit = events.Emitter(ours)
    facts = {"framework": "f", "model": "m", "phase": "training", "dtype": "float32"}
    emit("begin", batch=2, devices=1, **facts)
    for first in range(0, 2000, 20):
        emit("steps", first=first, seconds=[0.5] * 20, samples=2, block_seconds=10.0)
    emit("end", samples=4000, seconds=1000.0)
    done.set()
    thread.join()
    os.close(ours)
    os.close(theirs)
    found = parse("benchdock", path)
    assert found.failure is None
    assert found.metrics["throughput"].value == 4.0
    assert not [w for w in found.warnings if "tagged" in w]
    glued = [line for line in path.read_bytes().splitlines() if b"slow path 3.14 ::" in line]
    assert glued


def test_a_checksum_tells_a_damaged_line_from_one_without():
    line = events.line("end", {"samples": 12}).encode().rstrip()
    assert parsed.is_whole(line) is True
    assert parsed.is_whole(line.replace(b"12", b"112")) is False
    assert parsed.is_whole(b'::benchdock {"event": "end", "samples": 12}') is None
