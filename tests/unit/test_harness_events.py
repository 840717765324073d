"""The grammar of tagged lines."""

from __future__ import annotations

import json
import os
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backends.harness import events

numbers = st.floats() | st.integers() | st.booleans() | st.none() | st.text()
documents = st.recursive(
    numbers, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10
)


def refuse(name):
    raise AssertionError(f"{name} is not JSON")


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.text(), documents))
def test_any_event_is_one_ascii_line_of_strict_json(fields):
    line = events.line("x", fields)
    assert line.isascii()
    assert line.count("\n") == 1
    assert line.endswith("\n")
    assert line.startswith("::benchdock {")
    document = json.loads(line[len(events.TAG) :], parse_constant=refuse)
    assert set(document) == set(fields) | {"event"}


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
    assert capfd.readouterr().out == 'earlier\n::benchdock {"event": "begin"}\n'
