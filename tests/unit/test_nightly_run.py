"""`benchdock nightly run`: real runs on this host, and what is printed, written and returned."""

from __future__ import annotations

import json
from pathlib import Path

import junitparser
import pytest
from sqlalchemy import select

from orchestrator import cli, shared_lock
from orchestrator.nightly import attempts, machine_lock
from orchestrator.nights import files
from orchestrator.store import location, reading, schema

pytestmark = pytest.mark.slow

SUITE = """
schema: 1
name: nightly
repeat: 1
defaults: {framework: custom, runtime: host, gpus: none, phase: inference, batch: 1,
           pattern: 'rate (\\S+)', unit: samples/s, source: .}
groups: {toys: {runs: [{model: one, command: 'sh {source}/rate one'}]}}
"""


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a suite whose program prints the rate in the file `one`."""
    monkeypatch.setenv("BENCHDOCK_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(shared_lock, "FOLDERS", (tmp_path,))
    folder = tmp_path / "suite"
    folder.mkdir()
    (folder / "rate").write_text('cd "$(dirname "$0")"; printf "rate %s\\n" "$(cat "$1")"\n')
    (folder / "one").write_text("100.0")
    (folder / "nightly.yaml").write_text(SUITE)
    return folder / "nightly.yaml"


def nightly(suite: Path, *words: str) -> int:
    return cli.main(["nightly", "run", str(suite), *words])


def test_nights_from_the_first_to_an_accepted_one(
    suite: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for rate in ("100.0", "100.1", "99.9", "100.05"):
        (suite.parent / "one").write_text(rate)
        assert nightly(suite) == 0
    assert capsys.readouterr() == ("", "")
    (suite.parent / "one").write_text("80.0")
    outputs = ["--junit", str(tmp_path / "n.xml"), "--prometheus", str(tmp_path / "n.prom")]
    outputs += ["--report", str(tmp_path / "pages")]
    assert nightly(suite, *outputs) == 4
    told = capsys.readouterr().out.splitlines()
    assert told[0].startswith("nightly: 1 of 1 series ran; 1 got slower: one custom")
    assert "confirmed by 5 more runs" in told[1]
    assert told[-1] == f"pages: {tmp_path / 'pages' / 'index.html'}"
    assert "got slower" in (tmp_path / "pages" / "index.html").read_text()
    assert junitparser.JUnitXml.fromfile(str(tmp_path / "n.xml")).failures == 1
    assert (tmp_path / "n.prom").stat().st_mode & 0o444 == 0o444
    night = next(files.newest("nightly"))
    assert (night.number, night.facts.keys() >= {"kernel", "benchdock"}) == (5, True)
    assert night.series[0].what
    assert cli.main(["accept", night.series[0].key, "--why", "meant"]) == 0
    assert nightly(suite, "--always") == 0
    told = capsys.readouterr().out.splitlines()
    assert told[-1] == "nightly: 1 of 1 series ran"
    stored = reading.use(
        location.here(),
        lambda connection: connection.execute(
            select(schema.judgement.c.verdict, schema.judgement.c.extra).order_by("session_id")
        ).all(),
        lambda _: None,
    )
    assert stored == [("no data", 0)] * 3 + [("ok", 0), ("regressed", 5), ("ok", 0)]
    assert cli.main(["results", "series", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["series"]
    assert row["night"]["decided"].endswith(": meant")


def test_a_failed_run_is_told_and_ends_with_1(
    suite: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (suite.parent / "one").unlink()
    assert nightly(suite, "--json") == 1
    told = json.loads(capsys.readouterr().out)
    assert told["uncounted"] == "1 of 1 run failed"
    assert nightly(suite) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "nightly: 0 of 1 series ran"
    assert "1 of 1 run failed or missing: crashed: " in lines[1]


def test_two_nights_exclude_each_other(
    suite: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with machine_lock.held("weekly", tmp_path):
        assert nightly(suite) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("benchdock: the night of weekly (process ")
    assert line.endswith(" is running; this night is skipped")
    assert files.listed("nightly") == ()
    assert nightly(suite) == 0
    assert "did not run: the night of weekly" in capsys.readouterr().out


def test_a_database_that_went_away_costs_no_night(
    suite: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BENCHDOCK_DATABASE", "postgresql://ada@127.0.0.1:1/results")
    assert nightly(suite) == 0
    assert len(files.listed("nightly")) == 1
    assert capsys.readouterr().out == ""
    monkeypatch.delenv("BENCHDOCK_DATABASE")
    assert cli.main(["results", "rebuild"]) == 0
    assert cli.main(["results", "series"]) == 0
    assert "no data" in capsys.readouterr().out


def test_a_dry_run_starts_nothing(suite: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert nightly(suite, "--dry-run") == 0
    assert capsys.readouterr().out.startswith("a night has 1 series, 1 run")
    assert files.listed("nightly") == ()


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["--webhook-file", "/nonexistent/url"], 2, "cannot read /nonexistent/url"),
        (["--environment", "/nonexistent/env"], 2, "cannot read /nonexistent/env"),
        (["--prometheus", "/proc/x.prom"], 3, "cannot write /proc/x.prom"),
        (["--report", "/proc/x"], 3, "there is no report: cannot write /proc/x"),
    ],
)
def test_outputs_that_cannot_be_written_are_told(
    suite: Path, words: list[str], status: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert nightly(suite, *words) == status
    assert said in capsys.readouterr().err


def test_what_keeps_a_night_from_starting_is_told_by_the_next(
    suite: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = suite.read_text()
    suite.write_text(f"{text}budget: {{disk: 1KiB}}\n")
    assert nightly(suite) == 3
    assert "its budget is" in capsys.readouterr().err
    suite.write_text(text)
    (told,) = attempts.lost("nightly")
    assert "did not run: the suite needs about" in told
    assert nightly(suite) == 0
    assert told in capsys.readouterr().out
    assert attempts.lost("nightly") == []


def test_a_damaged_night_is_named(suite: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert nightly(suite) == 0
    (path,) = files.listed("nightly")
    path.write_text("{")
    assert nightly(suite) == 2
    assert str(path) in capsys.readouterr().err


def test_a_clock_that_went_back_is_told(suite: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert nightly(suite) == 0
    last = next(files.newest("nightly"))
    files.write(last.model_copy(update={"number": 2, "started": last.started + 1e6}))
    assert nightly(suite) == 0
    assert "the clock of this machine went back: the last night is dated" in capsys.readouterr().out
    assert next(files.newest("nightly")).number == 3
