"""Schedules: crontabs of others stay as they are, and the environment is pinned and proven."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from datetime import date, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator import cli, paths
from orchestrator.errors import MachineError, RequestError
from orchestrator.nightly import crontab, environment, schedule, systemd
from orchestrator.nights import files
from tests.support.nights import night

# Stands in for crontab(1): keeps the table in a file, and says what Debian's says if there is none.
CRONTAB = """#!/bin/sh
set -eu
if [ "$1" = -l ]; then
    [ ! -e {broken} ] || {{ echo "crontab: you are not allowed to use it" >&2; exit 1; }}
    [ -e {table} ] || {{ echo "no crontab for ada" >&2; exit 1; }}
    cat {table}
else
    cat > {table}
fi
"""
SUITE = (
    "schema: 1\nname: nightly\ndefaults: {framework: custom, runtime: host, pattern: '(x)',\n"
    "  command: 'true', gpus: none, phase: inference, batch: 1}\n"
    "groups: {a: {runs: [{model: one}]}}\n"
)


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the file of a crontab that does not exist yet; there is no systemd."""
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    found = tmp_path / "table"
    script = CRONTAB.format(table=found, broken=tmp_path / "broken")
    (bin_ / "crontab").write_text(script)
    (bin_ / "crontab").chmod(0o755)
    monkeypatch.setenv("PATH", f"{bin_}:{os.environ['PATH']}")
    monkeypatch.setenv("BENCHDOCK_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(systemd, "is_running", lambda: False)
    return found


@pytest.fixture
def suite(tmp_path: Path) -> str:
    folder = tmp_path / "100% mine"
    folder.mkdir()
    (folder / "nightly.yaml").write_text(SUITE)
    return str(folder / "nightly.yaml")


texts = st.lists(
    st.sampled_from([b"# mine", b"0 5 * * * date +\\%F", b"", b"\xe9 \xff", b"MAILTO=ada", b"#"])
).map(lambda lines: b"".join(line + b"\n" for line in lines))


@given(texts, texts, st.sampled_from(["nightly", "nightly-2", "a"]))
def test_other_lines_of_a_crontab_are_kept_to_the_byte(
    before: bytes, after: bytes, other: str
) -> None:
    text = crontab.with_lines(before, "night", ["1 2 * * * x"])
    text = crontab.with_lines(text + after, other, ["3 4 * * * y"])
    assert crontab.lines_of(text, "night") == ["1 2 * * * x"]
    again = crontab.with_lines(text, "night", ["1 2 * * * x"])
    assert crontab.without(again, "night") == crontab.without(text, "night")
    assert crontab.without(crontab.without(text, "night"), other) == before + after


def test_the_same_lines_again_change_nothing() -> None:
    once = crontab.with_lines(b"# mine\n", "nightly", ["1 2 * * * x"])
    assert crontab.with_lines(once, "nightly", ["1 2 * * * x"]) == once
    assert crontab.with_lines(b"# no newline", "nightly", []).startswith(b"# no newline\n#")


@pytest.mark.parametrize("lost", [b"begin", b"end"])
def test_half_a_block_is_refused(lost: bytes) -> None:
    text = crontab.with_lines(b"", "nightly", ["1 2 * * * x"]).split(b"\n")
    kept = b"\n".join(line for line in text if b": " + lost not in line)
    with pytest.raises(MachineError, match="only one of the two comments"):
        crontab.without(kept, "nightly")


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0\n")), min_size=1))
def test_cron_gives_the_shell_the_words(words: list[str]) -> None:
    line = crontab.line((1, 30), words)
    assert line.startswith("30 1 * * * ")
    command = line.removeprefix("30 1 * * * ")
    # As crontab(5) says: a bare % is a line break, and \\% is a %.
    assert "%" not in command.replace("\\%", "")
    assert shlex.split(command.replace("\\%", "%")) == words


@pytest.mark.slow
def test_a_night_is_installed_for_cron_and_removed(
    table: Path, suite: str, capsys: pytest.CaptureFixture[str]
) -> None:
    others = b"# mine\n0 5 * * * date +\\%F \xe9\n"
    table.write_bytes(others)
    words = ["nightly", "install", suite, "--at", "00:45", "--junit", "night.xml", "--always"]
    assert cli.main(words) == 0
    told = capsys.readouterr().out
    assert "a night has 1 series, 1 run" in told
    assert told.endswith("the night of nightly starts at 00:45 by cron, after images at 21:45\n")
    assert table.read_bytes().startswith(others)
    pull, run = crontab.lines_of(table.read_bytes(), "nightly")
    assert pull.startswith("45 21 * * * ")
    assert run.startswith("45 0 * * * ")
    assert "100\\% mine" in run
    assert run.endswith(f" --junit {Path.cwd() / 'night.xml'} --always")
    (kept,) = paths.nights().glob("crontab.before-*")
    assert kept.read_bytes() == others
    assert cli.main(words) == 0
    assert "nothing to change" in capsys.readouterr().out
    assert cli.main(["nightly"]) == 0
    assert "nightly starts every day at 00:45 by cron" in capsys.readouterr().out
    assert cli.main(["nightly", "remove", "nightly"]) == 0
    assert table.read_bytes() == others
    assert cli.main(["nightly", "remove", "nightly"]) == 2
    assert "no night of 'nightly' is installed" in capsys.readouterr().err


@pytest.mark.slow
def test_a_user_without_a_crontab_gets_one(table: Path, suite: str) -> None:
    assert cli.main(["nightly", "install", suite, "--no-pull"]) == 0
    assert len(crontab.lines_of(table.read_bytes(), "nightly")) == 1


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["--systemd"], 3, "systemd does not run this system; remove --systemd to use cron"),
        (["--at", "half past one"], 2, "'half past one' is not a time; write it like 01:30"),
        (["--junit", ""], 2, "--junit"),
    ],
)
def test_a_mistake_installs_nothing(
    table: Path,
    suite: str,
    words: list[str],
    status: int,
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main(["nightly", "install", suite, *words]) == status
    assert said in capsys.readouterr().err
    assert not table.exists()


@pytest.mark.slow
def test_a_crontab_that_cannot_be_read_is_not_written(
    table: Path, suite: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken").touch()
    assert cli.main(["nightly", "install", suite]) == 3
    assert "cannot read the crontab: crontab: you are not allowed" in capsys.readouterr().err
    assert not table.exists()


@pytest.mark.slow
def test_a_night_that_would_not_start_from_cron_is_not_installed(
    table: Path, suite: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path(suite).write_text(SUITE + "budget: {disk: 1KiB}\n")
    assert cli.main(["nightly", "install", suite]) == 3
    assert "a night would not start from cron: the suite needs about " in capsys.readouterr().err
    assert not table.exists()


def test_the_environment_is_pinned_for_its_owner_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCHDOCK_HOME", str(tmp_path / "home"))
    driver = tmp_path / "driver"
    driver.mkdir()
    (driver / "nvidia-smi").touch(0o755)
    (tmp_path / "docker.sock").touch()
    now = {
        "HOME": "/home/ada",
        "PATH": f"relative:{driver}:/nowhere:/usr/bin",
        "XDG_RUNTIME_DIR": str(tmp_path),
        "SHELL": "/bin/fish",
        "BENCHDOCK_DATABASE": "postgresql://ada:secret@db/results",
    }
    told = environment.pinned(now)
    assert told["PATH"].split(":")[:2] == [str(driver), "/usr/bin"]
    assert told["DOCKER_HOST"] == f"unix://{tmp_path / 'docker.sock'}"
    assert (told["LANG"], told["BENCHDOCK_HOME"]) == ("C.UTF-8", str(tmp_path / "home"))
    assert "SHELL" not in told
    file = environment.write("nightly", told)
    assert file.stat().st_mode & 0o777 == 0o600
    assert environment.read(file) == told


def test_a_damaged_environment_is_refused_without_showing_it(tmp_path: Path) -> None:
    (tmp_path / "environment").write_text("# ours\nA=1\nsecret\n")
    with pytest.raises(RequestError, match=r"environment:3: this is not") as refused:
        environment.read(tmp_path / "environment")
    assert "secret" not in str(refused.value)
    with pytest.raises(RequestError, match="A contains a line break"):
        environment.write("nightly", {"A": "1\n2"})


def test_a_command_is_proven_with_what_cron_sets() -> None:
    words = [
        sys.executable,
        "-c",
        "import os; print(sorted(os.environ)); print(os.environ['PATH'])",
    ]
    told = schedule.prove(words, {**os.environ, "HOME": "/", "LOGNAME": "ada"}).split("\n")
    assert set(eval(told[0])) - {"PWD", "_", "LC_CTYPE", "OLDPWD", "SHLVL"} <= set(schedule.CRON)
    assert told[1] == "/usr/bin:/bin"
    with pytest.raises(MachineError, match="a night would not start from cron: no engine"):
        schedule.prove(["sh", "-c", "echo benchdock: no engine >&2; exit 3"], os.environ)


def test_units_of_systemd_quote_what_has_a_meaning_there() -> None:
    job = systemd.Job(name="n", about="a night", words=['a "b"', "50%$"], at=(0, 5), seconds=60)
    assert 'ExecStart="a \\"b\\"" "50%%$$"\n' in systemd.service(job)
    assert "TimeoutStartSec=1860\n" in systemd.service(job)
    assert "OnCalendar=*-*-* 00:05:00\nPersistent=true\n" in systemd.timer(job)


def test_timers_are_installed_and_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    (bin_ / "systemctl").write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\n')
    (bin_ / "systemctl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{bin_}:{os.environ['PATH']}")
    job = systemd.Job(name="benchdock-nightly-a", about="a night", words=["x"], at=(1, 30))
    units = tmp_path / "units"
    assert [one.name for one in systemd.install([job], units)] == [
        "benchdock-nightly-a.service",
        "benchdock-nightly-a.timer",
    ]
    assert systemd.remove([job.name], units)
    assert list(units.iterdir()) == []
    assert not systemd.remove([job.name], units)
    asked = [line.replace("--user ", "") for line in (tmp_path / "asked").read_text().split("\n")]
    assert asked[:3] == [
        "daemon-reload",
        "enable --now benchdock-nightly-a.timer",
        "disable --now benchdock-nightly-a.timer",
    ]


def test_no_night_starts_at_an_hour_that_may_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        with pytest.raises(RequestError, match="use a time before 02:00 or from 03:00 on"):
            schedule.clock("02:30")
        monkeypatch.setenv("TZ", "UTC")
        time.tzset()
        assert schedule.clock("02:30") == (2, 30)
    finally:
        monkeypatch.undo()
        time.tzset()


def test_days_without_a_night_are_told_if_there_should_have_been_one(table: Path) -> None:
    first, third = date(2026, 11, 1), date(2026, 11, 3)
    assert schedule.missed("nightly", first, third) == []
    files.write(night(1))
    told = schedule.Schedule(
        suite="nightly", how="cron", at="01:30", pull_at=None, run=("x",), pull=("y",)
    )
    schedule.install(told, None)
    assert schedule.missed("nightly", first, third) == [date(2026, 11, 2)]
    assert schedule.missed("nightly", third, first) == []


@pytest.mark.parametrize(
    ("now", "budget", "said"),
    [
        ("2026-11-01T01:30:20", 18_000, ""),
        ("2026-11-01T09:00:00", 18_000, ""),
        ("2026-11-01T22:30:00", 18_000, "the next night starts in 3 h 00 min, which is less than"),
        ("2026-11-01T22:30:00", None, ""),
    ],
)
def test_a_night_that_catches_up_does_not_run_into_the_next(
    table: Path, now: str, budget: float | None, said: str
) -> None:
    moment = datetime.fromisoformat(now)
    assert schedule.why_not_now("nightly", budget, moment) == ""
    files.write(night(1))
    told = schedule.Schedule(
        suite="nightly", how="cron", at="01:30", pull_at=None, run=("x",), pull=("y",)
    )
    schedule.install(told, None)
    why = schedule.why_not_now("nightly", budget, moment)
    assert why.startswith(said)
    assert bool(why) is bool(said)


@pytest.mark.slow
@pytest.mark.parametrize("command", [["results"], ["nightly"], ["results", "series"]])
def test_a_lost_home_is_an_error_and_not_an_empty_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    usual = Path(os.path.expanduser("~root")) / ".local" / "share" / "benchdock"
    told = {"HOME": str(tmp_path / "nowhere"), "PATH": os.environ["PATH"]}
    words = [sys.executable, "-m", "orchestrator", *command]
    done = subprocess.run(words, env=told, capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert "set BENCHDOCK_HOME" in done.stderr
    assert (str(usual) in done.stderr) or "does not exist" in done.stderr
    assert not (tmp_path / "nowhere").exists()
