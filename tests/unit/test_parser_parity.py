"""The output of our parity program."""

import io

import pytest

from backends.harness import events
from orchestrator.parsers import ParseHints, parse, parser_for

CELL = {
    "level": "P2",
    "model": "alexnet",
    "framework": "fake",
    "dtype": "float16",
    "device": "gpu",
    "fingerprint": "0123",
    "holds": True,
    "deviation": 1e-7,
    "tolerance": 1e-5,
    "detail": "",
}


def line(event="parity", **fields):
    return events.line(event, fields).encode()


def measure(data, exit_code=0):
    return parse("parity", io.BytesIO(data), exit_code=exit_code)


@pytest.mark.parametrize("before", [b"", b"noise\n", b"a warning without line end", b"0: "])
def test_cells_are_collected_wherever_their_lines_begin(before):
    found = measure(before + line(**CELL) + line(**{**CELL, "holds": False}), exit_code=1)
    assert found.failure is None
    assert [cell["holds"] for cell in found.begin.cells] == [True, False]
    assert found.begin.cells[0] == CELL


def test_nothing_is_timed_while_it_compares():
    parser = parser_for("parity", ParseHints())
    parser.feed(line(**CELL))
    assert (parser.progress.stage, parser.progress.steps_done) == ("comparing", 1)


def test_the_last_cell_needs_no_line_end():
    assert measure(line(**CELL).rstrip(b"\n")).begin.cells == (CELL,)


def test_an_error_event_is_the_failure():
    found = measure(line("error", kind="internal", message="KeyError: 1"), exit_code=1)
    assert found.failure.kind == "crashed"
    assert found.failure.message == "KeyError: 1"


def test_what_the_machine_cannot_do_is_reported_in_the_programs_words():
    found = measure(line("error", kind="unsupported", message="no bfloat16 here"), exit_code=1)
    assert found.failure.kind == "unsupported"
    assert found.failure.message == "no bfloat16 here"


def test_cells_of_older_programs_are_float32_on_the_cpu():
    old = {key: value for key, value in CELL.items() if key not in ("dtype", "device")}
    (cell,) = measure(line(**old)).begin.cells
    assert (cell["dtype"], cell["device"]) == ("float32", "cpu")


def test_a_damaged_line_is_not_a_cell():
    found = measure(line(**CELL).replace(b"1e-07", b"1e-077"))
    assert found.begin.cells == ()
    assert found.failure.kind == "crashed"


@pytest.mark.parametrize(
    ("log", "code", "kind"),
    [
        (line(**CELL), 139, "no_result"),
        (b"", 0, "no_result"),
        (b"free(): invalid pointer\n", 134, "crashed"),
        (b"launcher.sh: line 3: exec: python3: not found\n", 127, "image"),
    ],
)
def test_a_program_that_broke_off(log, code, kind):
    assert measure(log, exit_code=code).failure.kind == kind
