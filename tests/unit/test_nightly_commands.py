"""`benchdock accept`, `mute` and `nightly status`, and how two nights exclude each other."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import pytest

from orchestrator import cli, shared_lock
from orchestrator.errors import MachineError
from orchestrator.nightly import attempts, machine_lock
from orchestrator.nights import choosing, decisions, files
from orchestrator.nights.record import NightJudgement
from tests.support.nights import night, series
from tests.support.waiting import wait_for

SLOW = NightJudgement(
    verdict="regressed", value=95.0, baseline=100.0, change=-0.05, sentence="5.0 % slower"
)
A, B, CONTROL = "vgg16-pytorch-training-aaaaaaaa", "vgg16-mxnet-training-bbbbbbbb", "r-c-cccccccc"
LATER = str(date.today() + timedelta(days=3))


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCHDOCK_HOME", str(tmp_path / "home"))
    # Nobody else's night is seen.
    monkeypatch.setattr(shared_lock, "FOLDERS", (tmp_path,))
    files.write(night(1, series(A), series(B)))
    files.write(
        night(
            2,
            series(CONTROL, title="control", control=True, judgement=SLOW, cause="machine"),
            series(A, judgement=SLOW, cause="machine"),
            series(B, title="vgg16 mxnet", runs=()),
        )
    )


def test_an_accepted_series_says_who_when_and_why(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["accept", "vgg16-pytorch", "--why", " new \n driver "]) == 0
    (told,) = decisions.read("nightly")
    assert (told.kind, told.series, told.night, told.why) == ("accept", A, 2, "new driver")
    assert told.who
    assert abs(told.at - os.stat(decisions.path("nightly")).st_mtime) < 5
    assert capsys.readouterr().out == (
        f"accepted {A}: the level is 95.00 samples/s (-5.0 %) on 2026-11-02\n"
    )


def test_a_control_is_accepted_with_all_that_changed_with_the_machine() -> None:
    assert cli.main(["accept", CONTROL, "--why", "new BIOS"]) == 0
    assert [one.series for one in decisions.read("nightly")] == [CONTROL, A]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["accept", "vgg16", "--why", "x"], f"'vgg16' is the name of several series; use {A}, {B}"),
        (["accept", "vgg17-pytorch-training", "--why", "x"], f"did you mean {A}?"),
        (["accept", B, "--why", "x"], f"{B} measured nothing on 2026-11-02; run the night again"),
        (["accept", A, "--why", " "], "--why: it is empty"),
        (["accept", A], "--why"),
        (["accept", A, "--suite", "weekly", "--why", "x"], "there is no night of 'weekly' yet"),
        (["mute", A, "--why", "x", "--until", "tomorrow"], "'tomorrow' is not a day"),
        (["mute", A, "--why", "x", "--until", "2026-01-01"], "is in the past; use today"),
        (["nightly", "status", "nigthly"], "did you mean 'nightly'?"),
    ],
)
def test_a_mistake_is_one_line_and_decides_nothing(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert decisions.read("nightly") == ()


@pytest.mark.parametrize("name", [A, "vgg16-pytorch", "aaaaaaaa"])
def test_a_series_is_found_by_its_key_its_start_or_its_digits(name: str) -> None:
    assert choosing.one(name).series.key == A


def test_status_and_results_show_what_was_decided(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["mute", A, "--until", LATER, "--why", "known"]) == 0
    assert cli.main(["nightly", "status", "nightly"]) == 0
    told = capsys.readouterr().out
    assert f"until {LATER}: known" in told
    assert "regressed (machine)" in told
    assert cli.main(["nightly"]) == 0
    assert "nightly: 2 of 3 series ran; 1 got slower: vgg16 pytorch -5.0 %; the machine is 5.0 % " \
        "slower\n" in capsys.readouterr().out  # fmt: skip
    assert cli.main(["nightly", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["suites"][0]["night"]["number"] == 2


def test_nothing_is_known_before_the_first_night(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BENCHDOCK_HOME", str(tmp_path / "other"))
    assert cli.main(["nightly"]) == 0
    assert capsys.readouterr().out.startswith("no night is stored in ")


def test_a_second_night_finds_out_who_runs(tmp_path: Path) -> None:
    assert machine_lock.holder(tmp_path) == ""
    with machine_lock.held("nightly", tmp_path):
        told = f"the night of nightly (process {os.getpid()})"
        assert machine_lock.holder(tmp_path) == told
        with (
            pytest.raises(machine_lock.BusyError, match="is running"),
            machine_lock.held("weekly", tmp_path),
        ):
            raise AssertionError("two nights at once")
    assert machine_lock.holder(tmp_path) == ""
    assert (tmp_path / machine_lock.NAME).stat().st_mode & 0o777 == 0o666


def test_a_child_does_not_keep_the_lock(tmp_path: Path) -> None:
    with machine_lock.held("nightly", tmp_path):
        words = [sys.executable, "-c", "input()"]
        child = subprocess.Popen(words, stdin=subprocess.PIPE, close_fds=False)
    # Linux resumes the parent of a new program a moment before it closes the program's descriptors.
    wait_for(lambda: machine_lock.holder(tmp_path) == "")
    assert child.poll() is None
    child.communicate(b"\n")


def test_a_lock_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / machine_lock.NAME).symlink_to("/etc/passwd")
    with pytest.raises(MachineError, match="cannot lock"), machine_lock.held("nightly", tmp_path):
        pass


def test_starts_that_came_to_nothing_are_told_by_the_next_night() -> None:
    attempts.note("nightly", "began", session="a")
    attempts.note("nightly", "fine", status=0, night=1)
    attempts.note("nightly", "began", session="b")
    attempts.note("nightly", "the night of x is running", status=0)
    attempts.note("nightly", "the disk is full", status=3)
    with attempts.path("nightly").open("a") as stream:
        stream.write('{"at": 1, "sta')
    told = attempts.lost("nightly")
    assert [line.partition(" did not run: ")[2] or line.partition(" was ")[2] for line in told] == [
        "the disk is full",
        "the night of x is running",
        "killed (session b)",
    ]


def test_a_night_tells_which_starts_it_prevented() -> None:
    attempts.note("nightly", "began", session="a")
    assert attempts.refused_since("nightly", "a") == []
    attempts.note("nightly", "the night of nightly is running", status=0)
    (told,) = attempts.refused_since("nightly", "a")
    assert told.endswith("was skipped, because this night was still running")
