"""Old nights lose what is large; results, tagged runs and what somebody may ask about stay."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from orchestrator.errors import ImageError
from orchestrator.nightly import retention
from orchestrator.nights import past
from orchestrator.nights.record import NightJudgement
from orchestrator.paths import RunFolder, runs, sessions
from tests.support.nights import night, run, series
from tests.support.run_folders import stored

SLOW = NightJudgement(verdict="regressed", value=95.0, baseline=100.0, change=-0.05)
FAST = NightJudgement(verdict="improved", value=110.0, baseline=100.0, change=0.1)


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCHDOCK_HOME", str(tmp_path / "home"))


def with_log(name: str) -> RunFolder:
    folder = stored(name)
    folder.log.write_text("log")
    folder.outputs.mkdir()
    return folder


def test_logs_of_90_nights_ago_go_and_results_stay() -> None:
    names = ("old", "slow", "accepted", "tagged", "young")
    folders = {name: with_log(name) for name in names}
    folders["tagged"].tags.write_text('["keep"]')
    old = night(
        5,
        series("a", runs=(run(result="old"), run(result="tagged"), run(result="gone"), run())),
        series("b", runs=(run(result="slow"),), judgement=SLOW),
        series("c", runs=(run(result="accepted"),), accepted=True),
    )
    (sessions() / old.session).mkdir(parents=True)
    young = night(6, series("a", runs=(run(result="young"),)))
    told: list[str] = []
    assert retention.old_runs([young, old], 95, told.append) == 1
    left = {name for name, folder in folders.items() if folder.log.exists()}
    assert left == {"slow", "accepted", "tagged", "young"}
    assert folders["old"].result.exists()
    assert not folders["old"].outputs.exists()
    assert not (sessions() / old.session).exists()
    assert (told, retention.old_runs([young, old], 95, told.append)) == ([], 0)


def test_logs_of_two_weeks_ago_are_compressed() -> None:
    folders = {name: with_log(name) for name in ("old", "tagged", "young")}
    folders["old"].monitor.write_text("{}\n")
    folders["tagged"].tags.write_text('["keep"]')
    old = night(86, series(runs=(run(result="old"), run(result="tagged"), run(result="gone"))))
    young = night(87, series(runs=(run(result="young"),)))
    told: list[str] = []
    assert retention.compress([young, old], 100, told.append) == 2
    left = {name: {one.name for one in folder.root.iterdir()} for name, folder in folders.items()}
    assert left["old"] == {"log.txt.gz", "monitor.jsonl.gz", "out", "result.json"}
    assert "log.txt.gz" in left["tagged"]
    assert "log.txt" in left["young"]
    assert (told, retention.compress([young, old], 100, told.append)) == ([], 0)
    assert retention.old_runs([old], 176, told.append) == 1
    assert {one.name for one in folders["old"].root.iterdir()} == {"result.json"}


def test_a_full_disk_leaves_logs_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    folders = [with_log("one"), with_log("two")]

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("orchestrator.compressed.os.fsync", full)
    told: list[str] = []
    ran = night(86, series(runs=(run(result="one"), run(result="two"))))
    assert retention.compress([ran], 100, told.append) == 0
    assert told == [f"cannot compress {folder.root}: No space left on device" for folder in folders]
    assert all(sorted(p.name for p in f.root.iterdir()) == ["log.txt", "out", "result.json"]
               for f in folders)  # fmt: skip


def test_what_cannot_be_removed_is_told_and_the_rest_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with_log("one")
    with_log("two")

    def denied(path: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("orchestrator.results.pruning.shutil.rmtree", denied)
    nights = [night(number, series(runs=(run(result=name),))) for number, name in
              ((5, "one"), (4, "two"))]  # fmt: skip
    told: list[str] = []
    retention.old_runs(nights, 95, told.append)
    assert [line.partition(";")[0] for line in told] == [
        f"cannot remove {runs() / name / 'out'}: Permission denied" for name in ("one", "two")
    ]


def test_images_of_baselines_of_young_nights_and_of_other_runs_are_needed() -> None:
    stored("mine", planned={"image_id": "sha256:mine"})
    stored("of-a-night", planned={"image_id": "sha256:old"})
    nights = [
        night(number, series(facts={"image": f"sha256:{number}"}, runs=(run(result="of-a-night"),),
                             judgement=SLOW if number > 5 else series().judgement))
        for number in range(30, 0, -1)
    ]  # fmt: skip
    needed = retention._needed(nights, past.of(nights, "machine"))
    young = {f"sha256:{number}" for number in range(17, 31)}
    assert needed.keys() == {"sha256:mine", "sha256:5", *young}


@dataclass(frozen=True)
class Image:
    id: str


@dataclass(frozen=True)
class Candidate:
    """Stands in for `images.pruning.Candidate`."""

    name: str
    why: str = ""
    takes: int = 10

    @property
    def image(self) -> Image:
        return Image(f"sha256:{self.name}")


@pytest.mark.parametrize(
    ("limit", "gone"), [(100, []), (35, ["1"]), (25, ["1", "2"]), (0, ["1", "2"])]
)
def test_images_go_only_if_ours_take_too_much_and_never_those_that_no_night_used(
    monkeypatch: pytest.MonkeyPatch, limit: int, gone: list[str]
) -> None:
    found = [Candidate("1"), Candidate("other"), Candidate("2"), Candidate("3", why="needed")]
    removed: list[str] = []

    def remove(one: Candidate, engine: object) -> None:
        if one.name == "2":
            raise ImageError("a container uses it")
        removed.append(one.name)

    monkeypatch.setattr(retention.images, "candidates", lambda *_, **__: tuple(found))
    monkeypatch.setattr(retention.images, "remove", remove)
    nights = [night(number, series(facts={"image": f"sha256:{number}"})) for number in (3, 2, 1)]
    told: list[str] = []
    nothing: Any = None
    before = past.of(nights, "machine")
    assert retention.old_images(nothing, nothing, nights, before, limit, told.append) == gone[:1]
    assert removed == gone[:1]
    assert told == ["cannot remove 2: a container uses it"] * (len(gone) == 2)


def test_an_improvement_that_holds_is_the_new_level() -> None:
    nights = [night(number, series("a")) for number in (1, 2, 3)]
    nights += [night(number, series("a", judgement=FAST)) for number in (4, 5)]
    last = night(6, series("a", judgement=FAST))
    assert [one.key for one in past.rebased(past.of(nights[::-1], "machine"), last)] == ["a"]
    assert past.rebased(past.of(nights[3::-1], "machine"), nights[4]) == []
