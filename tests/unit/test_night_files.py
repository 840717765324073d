"""Files of nights and of what was decided on them."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from orchestrator.errors import MachineError, RequestError
from orchestrator.nights import decisions, files
from orchestrator.paths import nights
from tests.support.nights import decision, night, series


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCHDOCK_HOME", str(tmp_path / "home"))


def test_there_are_no_nights_before_the_first() -> None:
    assert (files.suites(), files.listed("nightly"), files.next_number("nightly")) == ((), (), 1)
    assert list(files.newest("nightly")) == []


def test_nights_come_newest_first_by_number_even_if_the_clock_went_back() -> None:
    for one in (night(1), night(2, night=date(1999, 1, 1)), night(10), night(10_000)):
        files.write(one)
    (nights() / "nightly" / ".0003-2026-11-03.json.1234").write_text("half written")
    assert [one.number for one in files.newest("nightly")] == [10_000, 10, 2, 1]
    assert [one.number for one in files.newest("nightly", 1)] == [10_000]
    assert (files.suites(), files.next_number("nightly")) == (("nightly",), 10_001)


def test_a_night_is_read_as_it_was_written() -> None:
    one = night(3, series(muted="noisy"), problems=("the disk is full",))
    assert files.load(files.write(one)) == one


def test_an_accepted_night_is_accepted_when_it_is_loaded() -> None:
    for number in (1, 2):
        files.write(night(number, series("a"), series("b")))
    decisions.append("nightly", decision(2, "b"))
    accepted = [[one.accepted for one in loaded.series] for loaded in files.newest("nightly")]
    assert accepted == [[False, True], [False, False]]


def test_a_line_that_a_power_cut_tore_does_not_count() -> None:
    decisions.append("nightly", decision(1))
    with decisions.path("nightly").open("a") as stream:
        stream.write('{"kind": "acc')
    assert decisions.read("nightly") == (decision(1),)
    decisions.append("nightly", decision(2))
    assert decisions.read("nightly") == (decision(1), decision(2))


def test_a_damaged_decision_is_named_with_its_line() -> None:
    decisions.append("nightly", decision(1))
    with decisions.path("nightly").open("a") as stream:
        stream.write('{"kind": "praise"}\n')
    with pytest.raises(RequestError, match=r"decisions\.jsonl:2: "):
        decisions.read("nightly")


@pytest.mark.parametrize(
    ("today", "until", "muted"),
    [("2026-11-10", "2026-11-10", True), ("2026-11-11", "2026-11-10", False)],
)
def test_a_mute_ends_after_its_last_day(today: str, until: str, muted: bool) -> None:
    told = decision(1, "a", kind="mute", until=date.fromisoformat(until))
    found = decisions.in_force([told], series("a"), date.fromisoformat(today))
    assert (found is not None) is muted


def test_the_newest_mute_counts() -> None:
    told = [decision(1, "a", kind="mute", until=date(2026, month, 1)) for month in (12, 11)]
    assert decisions.in_force(told, "a", date(2026, 11, 20)) is None


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    nights().parent.mkdir()
    nights().write_text("a file")
    for write in (lambda: files.write(night(1)), lambda: decisions.append("nightly", decision(1))):
        with pytest.raises(MachineError, match="set BENCHDOCK_HOME"):
            write()
