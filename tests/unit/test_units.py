from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import RequestError
from orchestrator.units import counted, parse_duration, parse_size, quantity


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0, "s", "0 s"),
        (1.23456, "s", "1.235 s"),
        (0.0123456, "s", "12.35 ms"),
        (0.000001, "s", "1.000 us"),
        (3e-10, "s", "0.3000 ns"),
        (125, "s", "2 min 05 s"),
        (119.9, "s", "2 min 00 s"),
        (7265, "s", "2 h 01 min"),
        (512, "bytes", "512 B"),
        (1536, "bytes", "1.500 KiB"),
        (3 * 2**30, "bytes", "3.000 GiB"),
        (1023.4 * 2**20, "bytes", "1,023 MiB"),
        (1023.9 * 2**20, "bytes", "1.000 GiB"),
        (1023, "bytes", "1023 B"),
        (-1023.9 * 2**20, "bytes", "-1.000 GiB"),
        (0.99994, "s", "999.9 ms"),
        (0.99996, "s", "1.000 s"),
        (12.3456, "samples/s", "12.35 samples/s"),
        (123456.7, "samples/s", "123,457 samples/s"),
        (0.000123456, "samples/s", "0.0001235 samples/s"),
        (45.67, "%", "45.7 %"),
        (6.9, "", "6.900"),
        (250, "W", "250.0 W"),
    ],
)
def test_quantities_are_written_for_people(value, unit, text):
    assert quantity(value, unit) == text


@given(st.floats(), st.sampled_from(["s", "bytes", "samples/s", "%", "", "W"]))
def test_any_number_can_be_written(value, unit):
    assert "e" not in quantity(value, unit).removesuffix(unit) or abs(value) > 1e15


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1024", 1024),
        ("1b", 1),
        ("512m", 512 * 2**20),
        ("4g", 4 * 2**30),
        ("4G", 4 * 2**30),
        ("4gb", 4 * 2**30),
        ("512MiB", 512 * 2**20),
        ("1.5 GiB", 3 * 2**29),
        (" 2t ", 2**41),
    ],
)
def test_sizes(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text",
    ["", "g", "-1g", "0", "1e9", "1gg", "4x", "nan", "1,5g", "1.5.5g", "٤g", "9" * 30 + "t"],
)
def test_what_is_not_a_size_is_refused_with_an_example(text):
    with pytest.raises(RequestError, match="512m"):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("90s", 90),
        ("1.5", 1.5),
        ("10m", 600),
        ("1h30m", 5400),
        ("500ms", 0.5),
        ("1d", 86400),
        ("1m30s", 90),
        (" 2H ", 7200),
    ],
)
def test_durations(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "s", "0", "0s", "-5", "30m1h", "1h1h", "1x", "inf", "nan", "1e3", "400d", "٣s"]
)
def test_what_is_not_a_duration_is_refused(text):
    with pytest.raises(RequestError, match="duration"):
        parse_duration(text)


@given(st.text())
def test_any_text_is_a_size_or_refused_in_one_line(text):
    for parse in (parse_size, parse_duration):
        with suppress(RequestError):
            assert parse(text) > 0
        with pytest.raises(RequestError) as caught:
            parse(text + "\n?")
        assert len(str(caught.value).splitlines()) == 1


def test_one_of_a_thing_is_not_several():
    assert [counted(count, "step") for count in (0, 1, 2)] == ["0 steps", "1 step", "2 steps"]
