"""`benchdock tune` from its words to its table and to `run --tuned`; the runs are fakes."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from orchestrator import cli
from orchestrator.errors import Interrupted
from orchestrator.paths import sessions, tuned
from orchestrator.request import Request
from orchestrator.run import benchmark
from orchestrator.tuning import soundness
from orchestrator.tuning.soundness import Soundness
from tests.support.sessions import Act, FakeRunner

WORDS = ("tune", "alexnet", "-f", "pytorch", "--gpus", "none", "--runtime", "host", "--batch", "2")


class Fakes:
    """Stands in for `benchmark.run`; the layout `contiguous` is twice as fast."""

    def __init__(self) -> None:
        self.act: Act = None
        self.runner = FakeRunner(act=lambda _, number: self._act(number), throughput=self.speed)
        self.fails_at = 0
        self.sound = Soundness(True, "2 comparisons with the referee hold")

    def _act(self, number: int) -> Act:
        return self.act if number == self.fails_at else None

    @staticmethod
    def speed(request: Request) -> float:
        return 200.0 if request.options.get("layout") == "contiguous" else 100.0

    def run(self, request: Any, view: Any, *, decided: Any, on_folder: Any, share: Any) -> Any:
        return self.runner(request, view, on_folder)


@pytest.fixture
def fakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fakes:
    monkeypatch.setenv("BENCHDOCK_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    fakes = Fakes()
    monkeypatch.setattr(benchmark, "run", fakes.run)
    monkeypatch.setattr(soundness, "of", lambda found, view: fakes.sound)
    return fakes


def tune(capsys: pytest.CaptureFixture[str], *words: str, status: int = 0) -> tuple[str, str]:
    assert cli.main([*WORDS, *words]) == status
    told = capsys.readouterr()
    return told.out, told.err


def test_the_fastest_is_found_kept_and_used(
    fakes: Fakes, capsys: pytest.CaptureFixture[str]
) -> None:
    out, _ = tune(capsys, "--only", "layout", "--repeat", "2")
    lines = out.split("\n")
    assert lines[1].split()[:2] == ["settings", "samples/s"]
    assert lines[2].split()[0] == "default"
    assert lines[3].startswith("layout=contiguous")
    assert "it is 2.000 times as fast as the default (95 % interval 2.000 to 2.000)" in lines
    assert (
        "run it: benchdock run alexnet -f pytorch --phase training --batch 2 --gpus none "
        "--runtime host --option layout=contiguous" in lines
    )
    assert len(fakes.runner.ran) == 2 * 3
    assert len(list(tuned().glob("*/alexnet-pytorch-training-float32-cpu.json"))) == 1
    words = ("alexnet", "-f", "pytorch", "--gpus", "none", "--runtime", "host", "--tuned")
    assert cli.main(["run", *words, "--dry-run"]) == 0
    told = capsys.readouterr()
    assert "options         layout=contiguous" in told.out.splitlines()
    assert told.err.startswith("tuned: layout=contiguous (`benchdock tune` of 2")
    assert cli.main(["run", *words, "--dry-run", "--option", "layout=channels_last"]) == 0
    assert "options         layout=channels_last" in capsys.readouterr().out.splitlines()


def test_options_that_compute_something_else_are_not_kept(
    fakes: Fakes, capsys: pytest.CaptureFixture[str]
) -> None:
    fakes.sound = Soundness(False, "P3 deviates by 0.1")
    out, _ = tune(capsys, "--only", "layout", "--repeat", "1", status=1)
    assert out.splitlines()[-1] == ("do not use it, it computes something else: P3 deviates by 0.1")
    assert not tuned().exists()


def test_several_batches_and_threads_are_tried(
    fakes: Fakes, capsys: pytest.CaptureFixture[str]
) -> None:
    out, _ = tune(
        capsys, "--only", "layout", "--batch", "2,4", "--threads", "1,2", "--repeat", "1", "--json"
    )
    told = json.loads(out)
    assert [one["change"] for one in told["stages"][0]["tries"]][:1] == [{}]
    changes = [one["change"] for one in told["stages"][0]["tries"]]
    assert {"batch": 4} in changes
    assert {"threads": 2} in changes
    assert told["complete"] is True
    assert told["best"]["options"] == {"layout": "contiguous"}


def test_an_interrupted_search_continues(fakes: Fakes, capsys: pytest.CaptureFixture[str]) -> None:
    fakes.act, fakes.fails_at = Interrupted(signal.SIGINT), 3
    _, err = tune(capsys, "--only", "layout", "--repeat", "2", status=130)
    assert "continue with the same command and --resume" in err.splitlines()
    fakes.act = None
    before = len(fakes.runner.ran)
    out, _ = tune(capsys, "--only", "layout", "--repeat", "2", "--resume")
    assert len(fakes.runner.ran) - before == 2 * 3 - 2
    assert "it is 2.000 times as fast as the default" in out
    assert len(list(sessions().glob("tune-*"))) == 1


def test_nothing_faster(fakes: Fakes, capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = tune(capsys, "--only", "compile", "--repeat", "1")
    assert "nothing is faster than the default" in out.splitlines()


def test_a_default_that_fails(fakes: Fakes, capsys: pytest.CaptureFixture[str]) -> None:
    fakes.act, fakes.fails_at = "out_of_memory", 1
    _, err = tune(capsys, "--repeat", "1", status=1)
    assert err.splitlines()[-1] == "benchdock: the default settings fail: it is out_of_memory"


def test_a_request_that_was_never_tuned(fakes: Fakes, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", "vgg16", "-f", "pytorch", "--gpus", "none", "--tuned"]) == 2
    assert capsys.readouterr().err == (
        "benchdock: vgg16 pytorch training float32 on a cpu was never tuned on this machine; run "
        "`benchdock tune vgg16 -f pytorch --phase training --dtype float32 --gpus none`, or remove "
        "--tuned\n"
    )


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("--only", "layot"), "unknown option 'layot'; did you mean 'layout'"),
        (("--batch", "2,2"), "'2,2' has a value twice"),
        (("--batch", "2,x"), "'x' is not a whole number"),
        (("--only", ""), "it is empty"),
        (("--option", "layout=no"), "layout"),
    ],
)
def test_mistakes_are_one_line(
    words: tuple[str, ...], what: str, fakes: Fakes, capsys: pytest.CaptureFixture[str]
) -> None:
    _, err = tune(capsys, *words, status=2)
    assert what in err
    assert len(err.splitlines()) == 1
    assert fakes.runner.ran == []
