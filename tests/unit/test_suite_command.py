"""`benchdock suite` from its words to its summary; the runs themselves are fakes."""

from __future__ import annotations

import json
import re
import shutil
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from orchestrator import cli
from orchestrator.errors import BenchdockError, Interrupted
from orchestrator.paths import runs, sessions
from orchestrator.run import benchmark
from orchestrator.suites import folder, preflight
from orchestrator.suites.models import Budget, Gate, Group, Suite
from tests.support.sessions import Act, FakeRunner
from tests.support.suites import HEAD

SUITE = (
    f"{HEAD}defaults: {{framework: custom, gpus: none, runtime: host, command: echo, "
    "pattern: x=(.)}\n"
    "repeat: 2\ngroups: {a: {matrix: {model: [one, two]}}}\n"
)


class Fakes:
    """Stands in for `benchmark.run`."""

    def __init__(self) -> None:
        self.acts: dict[str, Act] = {}
        self.runner = FakeRunner(act=lambda request, _: self.acts.get(request.model))

    def run(self, request: Any, view: Any, *, decided: Any, on_folder: Any, share: Any) -> Any:
        assert decided.request == request
        return self.runner(request, view, on_folder)

    @property
    def ran(self) -> list[str]:
        return [request.model for request in self.runner.ran]


@pytest.fixture
def fakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fakes:
    monkeypatch.setenv("BENCHDOCK_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "suite.yaml").write_text(SUITE)
    fakes = Fakes()
    monkeypatch.setattr(benchmark, "run", fakes.run)
    return fakes


def suite(capsys: pytest.CaptureFixture[str], *words: str, status: int = 0) -> tuple[str, str]:
    assert cli.main(["suite", *words]) == status
    told = capsys.readouterr()
    return told.out, told.err


def test_a_suite_runs_and_is_summed_up(fakes: Fakes, capsys: pytest.CaptureFixture[str]) -> None:
    out, err = suite(capsys, "suite.yaml", "--name", "first")
    assert fakes.ran == ["one", "two"] * 2
    assert out.splitlines() == [
        "",
        "series      group  measured  median           CV",
        "one custom  a      2 of 2    100.0 samples/s  0.0 %",
        "two custom  a      2 of 2    100.0 samples/s  0.0 %",
    ]
    assert err.splitlines()[0] == "session first: 2 series, 4 runs"
    assert err.splitlines()[1].startswith("1/4 one custom: 100.0 samples/s, ")
    assert err.splitlines()[3].startswith("3/4 one custom, pass 2: 100.0 samples/s, ")
    assert (sessions() / "first" / "log.txt").read_text().splitlines() == err.splitlines()


def test_the_summary_as_json(fakes: Fakes, capsys: pytest.CaptureFixture[str]) -> None:
    fakes.acts["two"] = "timeout"
    out, _ = suite(capsys, "suite.yaml", "--json", status=1)
    told = json.loads(out)
    assert (told["suite"], told["left"], len(told["series"])) == ("nightly", 0, 2)
    assert told["series"][0]["median"] == 100.0
    assert [one["kind"] for one in told["series"][1]["runs"]] == ["timeout"] * 2
    assert told["session"].startswith("nightly-2")


def test_quiet_prints_only_failures(fakes: Fakes, capsys: pytest.CaptureFixture[str]) -> None:
    fakes.acts["two"] = "timeout"
    out, err = suite(capsys, "suite.yaml", "--quiet", status=1)
    assert "1/4" not in err
    assert "2/4 two custom: failed (timeout): it is timeout" in err
    assert "two custom: 2 x timeout: it is timeout" in out


def test_an_interrupted_session_says_how_to_continue(
    fakes: Fakes, capsys: pytest.CaptureFixture[str]
) -> None:
    fakes.acts["two"] = Interrupted(signal.SIGINT)
    out, err = suite(capsys, "suite.yaml", "--name", "first", status=130)
    assert "3 runs left: continue with `benchdock suite --resume --name first`" in out
    assert err.endswith("benchdock: interrupted by SIGINT\n")
    fakes.acts.clear()
    fakes.runner.ran.clear()
    _, err = suite(capsys, "first", "--resume", status=2)
    hint = "run `benchdock suite --resume --name first`"
    assert err.splitlines()[-1] == f"benchdock: first is a session, not a suite; {hint}"
    suite(capsys, "--resume")
    assert fakes.ran == ["two", "one", "two"]


def test_without_the_file_the_suite_is_as_it_was(
    fakes: Fakes, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    fakes.acts["two"] = Interrupted(signal.SIGTERM)
    suite(capsys, "suite.yaml", status=143)
    (tmp_path / "suite.yaml").write_text(SUITE.replace("two", "three"))
    fakes.acts.clear()
    fakes.runner.ran.clear()
    suite(capsys, "suite.yaml", "--resume")
    assert fakes.ran == ["three", "one", "three"]
    (tmp_path / "suite.yaml").unlink()
    fakes.runner.ran.clear()
    suite(capsys, "--resume", "--rerun", "all")
    assert fakes.ran == ["one", "two"] * 2


def test_a_sweep_needs_no_file(fakes: Fakes, capsys: pytest.CaptureFixture[str]) -> None:
    settings = ("gpus=none", "runtime=host", "command=echo", "pattern=x=(.)")
    words = ["--matrix", "model=one,two", "-f", "custom"]
    words += [word for one in settings for word in ("--set", one)]
    suite(capsys, *words)
    assert fakes.ran == ["one", "two"]
    (where,) = folder.existing()
    assert where.name.startswith("sweep-")


def test_what_cannot_run_here_is_named_and_counts(
    fakes: Fakes, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    more = "groups: {b: {runs: [{model: three, devices: 4}, {model: four}]}}"
    (tmp_path / "suite.yaml").write_text(
        SUITE.replace("gpus: none, ", "").split("groups")[0] + more
    )
    _, err = suite(capsys, "suite.yaml", status=1)
    assert fakes.ran == ["four"] * 2
    assert "cannot run here: three custom devices=4: no GPU can be used" in err


def test_nothing_that_can_run_is_refused_at_once(
    fakes: Fakes, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "suite.yaml").write_text(SUITE.replace("gpus: none", "devices: 2"))
    _, err = suite(capsys, "suite.yaml", status=3)
    assert "nothing of nightly can run on this machine: no GPU can be used" in err
    assert not sessions().exists()


def test_a_suite_larger_than_its_disk_budget(
    fakes: Fakes, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "suite.yaml").write_text(SUITE + "budget: {disk: 100k}\n")
    _, err = suite(capsys, "suite.yaml", status=3)
    assert "needs about 256.0 KiB of disk, and its budget is 100.0 KiB; raise budget.disk" in err


def test_a_full_disk_is_seen_before_the_first_run(
    fakes: Fakes, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    full = SimpleNamespace(free=1000)
    monkeypatch.setattr(preflight.shutil, "disk_usage", lambda _: full)
    _, err = suite(capsys, "suite.yaml", status=3)
    assert "but only 1000 B are free; free some space or set BENCHDOCK_HOME" in err


def test_a_second_session_is_refused(fakes: Fakes, capsys: pytest.CaptureFixture[str]) -> None:
    with folder.only_session("other"):
        _, err = suite(capsys, "suite.yaml", status=3)
    (line,) = err.splitlines()
    assert line.startswith("benchdock: session other (process ")
    assert not runs().exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--resume",), "no session is unfinished; start one with `benchdock suite SUITE`"),
        (("suite.yaml", "--resume"), "no session of nightly is unfinished"),
        (("--resume", "--name", "x"), "there is no session 'x'; start one with"),
        (("suite.yaml", "--rerun", "all"), "--rerun only works with --resume; add --resume"),
        (("suite.yaml", "--name", "A b"), "'A b' is not a name for a session"),
        ((), "there is no suite; name a file"),
        (("suite.yaml", "--budget", "soon"), "'soon' is not a duration"),
    ],
)
def test_wrong_words_are_refused_in_one_line(
    fakes: Fakes, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], told: str
) -> None:
    _, err = suite(capsys, *words, status=2)
    (line,) = err.splitlines()
    assert told in line
    assert fakes.ran == []


def test_a_session_that_was_killed_before_it_began_is_passed_over(
    fakes: Fakes, capsys: pytest.CaptureFixture[str]
) -> None:
    (sessions() / "half").mkdir(parents=True)
    suite(capsys, "--resume", status=2)
    suite(capsys, "suite.yaml")


def test_a_session_folder_of_another_version(
    fakes: Fakes, capsys: pytest.CaptureFixture[str]
) -> None:
    suite(capsys, "suite.yaml", "--name", "old")
    facts = sessions() / "old" / "session.json"
    facts.write_text(facts.read_text().replace('"schema": 1', '"schema": 7'))
    _, err = suite(capsys, "--resume", "--name", "old", status=2)
    assert "it was written by another version of benchdock" in err


def test_run_folders_may_be_deleted_between_the_parts(
    fakes: Fakes, capsys: pytest.CaptureFixture[str]
) -> None:
    fakes.acts["two"] = Interrupted(signal.SIGINT)
    suite(capsys, "suite.yaml", status=130)
    shutil.rmtree(runs())
    fakes.acts.clear()
    fakes.runner.ran.clear()
    suite(capsys, "--resume")
    assert fakes.ran == ["two", "one", "two"]


def test_a_refusal_after_the_plan_is_a_failed_run(
    fakes: Fakes, capsys: pytest.CaptureFixture[str]
) -> None:
    fakes.acts["one"] = BenchdockError("it is gone", hint="look for it")
    _, err = suite(capsys, "suite.yaml", status=1)
    assert "1/4 one custom: failed (refused): it is gone; look for it" in err
    assert fakes.ran == ["one", "two"] * 2


# The schema for editors


def test_the_json_schema_is_that_of_the_models(capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = suite(capsys, "--schema")
    told = json.loads(out)
    assert told["additionalProperties"] is False
    assert set(told["properties"]) == {"schema", *Suite.model_fields} - {"schema_version"}
    assert set(told["required"]) == {"schema", "name"}
    for name, kind in (("Group", Group), ("Budget", Budget), ("Gate", Gate)):
        part = told["$defs"][name]
        assert set(part["properties"]) == set(kind.model_fields)
        assert part["additionalProperties"] is False
    axes, settings = (told["$defs"][name]["properties"] for name in ("Axes", "Settings"))
    assert set(axes) == set(settings)
    for key, one in axes.items():
        assert one["type"] == "array", key
        assert one["minItems"] == 1, key
    assert not any("default" in one for one in (*axes.values(), *settings.values()))


def test_a_resumed_session_has_what_is_left_of_the_budget(
    fakes: Fakes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "suite.yaml").write_text(SUITE + "budget: {night: 1h}\n")
    fakes.acts = {"two": Interrupted(2)}
    suite(capsys, "suite.yaml", "--name", "first", status=130)
    path = tmp_path / "home/sessions/first/journal.jsonl"
    path.write_text(re.sub(r'"spent":[0-9.]+', '"spent":4000', path.read_text()))
    fakes.acts = {}
    out, _ = suite(capsys, "--resume", "--name", "first")
    assert fakes.ran == ["one", "two"]
    assert "two custom: 2 x skipped: the budget of this session is used up" in out
    suite(capsys, "--resume", "--name", "first", "--budget", "1h")
    assert fakes.ran == ["one", "two", "two", "one", "two"]
