"""`benchdock suite --on slurm` from its words to its summary, on a fake cluster."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from orchestrator import cli
from orchestrator.commands import suite_slurm
from orchestrator.paths import sessions
from tests.support.fake_slurm import FakeSlurm
from tests.support.suites import HEAD

SUITE = (
    f"{HEAD}defaults: {{framework: custom, runtime: host, command: echo, pattern: x=(.)}}\n"
    "repeat: 2\ncontrol: [{model: steady, gpus: none}]\n"
    "groups: {a: {matrix: {model: [one, two], devices: [1, 8]}}}\n"
)
RUNS = 11


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSlurm:
    monkeypatch.setenv("BENCHDOCK_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "suite.yaml").write_text(SUITE)
    fake = FakeSlurm()
    monkeypatch.setattr(suite_slurm, "Slurm", lambda: fake)
    return fake


def said(capsys: pytest.CaptureFixture[str], *words: str, status: int = 0) -> str:
    assert cli.main(words) == status
    told = capsys.readouterr()
    return told.out + told.err


def test_a_plan_shows_the_arrays(slurm: FakeSlurm, capsys: pytest.CaptureFixture[str]) -> None:
    out = said(capsys, "plan", "suite.yaml", "--on", "slurm")
    assert out[out.index("arrays") :].splitlines() == [
        "arrays, of which each part waits for the one before",
        "part  pass           each run needs     runs",
        "   1  1, controls    a whole node, CPU     1",
        "   2  1              8 GPUs                2",
        "   2  1              1 GPU                 2",
        "   3  2, controls    a whole node, CPU     1",
        "   4  2              8 GPUs                2",
        "   4  2              1 GPU                 2",
        "   5  last controls  a whole node, CPU     1",
    ]
    assert "this host" not in out
    told = json.loads(said(capsys, "plan", "suite.yaml", "--on", "slurm", "--json"))
    assert told["arrays"][1] == {"part": 2, "pass": 1, "control": False, "gpus": 8, "runs": 2}
    assert not slurm.orders


def test_a_session_is_submitted_left_looked_at_and_continued(
    slurm: FakeSlurm, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("suite", "suite.yaml", "--on", "slurm", "--name", "s")
    out = said(capsys, *words, "--detach", "--partition", "bench", "--jobs", "2")
    assert f"{RUNS} runs left: continue with `benchdock suite --resume --name s`" in out
    script = (sessions() / "s/slurm/0002-gpu8.sbatch").read_text()
    assert "#SBATCH --partition=bench\n" in script
    assert "#SBATCH --array=0-1%2\n" in script
    for _ in range(4):
        slurm.sleep(1.0)
    out = said(capsys, "suite", "--status")
    assert out.splitlines()[:3] == [
        "session s: 4 ok, 7 left",
        "in Slurm's queue: 7 pending",
        "nobody watches it; its tasks go on",
    ]
    told = json.loads(said(capsys, "suite", "--status", "--json"))
    assert (told["ok"], told["left"], told["queue"]) == (4, 7, {"pending": 7})
    while any(one.is_live for one in slurm.queue):
        slurm.sleep(1.0)
    out = said(capsys, "suite", "--resume", "--name", "s")
    assert "11/11 steady custom, pass 3: 100.0 samples/s" in out
    assert said(capsys, "suite", "--status").startswith("session s: 11 ok, finished\n")
    assert len(slurm.ran) == RUNS


def test_a_session_is_cancelled_from_another_terminal(
    slurm: FakeSlurm, capsys: pytest.CaptureFixture[str]
) -> None:
    said(capsys, "suite", "suite.yaml", "--on", "slurm", "--name", "s", "--detach")
    slurm.sleep(1.0)
    out = said(capsys, "suite", "--cancel", "--name", "s")
    assert out == ("s: cancelled 10 tasks\ncontinue with `benchdock suite --resume --name s`\n")
    assert not any(one.is_live for one in slurm.queue)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("suite", "suite.yaml", "--partition", "a"), "--partition only works with --on slurm"),
        (("suite", "suite.yaml", "--sbatch", "a=b"), "--sbatch only works with --on slurm"),
        (("suite", "suite.yaml", "--detach"), "--detach only works with --on slurm"),
        (("plan", "suite.yaml", "--nodes", "n1"), "--nodes only works with --on slurm"),
        (("suite", "suite.yaml", "--on", "slurm", "--partition", "big"), "no partition 'big'"),
        (("suite", "suite.yaml", "--status"), "are for a session, not for a suite"),
        (("suite", "--cancel"), "there is no session"),
        (("suite", "suite.yaml", "--on", "slurm", "--site", "absent.toml"), "cannot read"),
    ],
)
def test_wrong_words_are_refused_in_one_line(
    slurm: FakeSlurm, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], told: str
) -> None:
    (line,) = said(capsys, *words, status=2).splitlines()
    assert told in line
    assert not slurm.orders


def test_what_no_node_can_run_is_named_and_the_rest_runs(
    slurm: FakeSlurm, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "suite.yaml").write_text(SUITE.replace("[1, 8]", "[1, 16]"))
    out = said(capsys, "suite", "suite.yaml", "--on", "slurm", "--detach", status=1)
    assert "one custom devices=16: no node of partition bench has 16 GPUs" in out
    assert len(slurm.queue) == RUNS - 4
