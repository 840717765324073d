"""`benchdock results show`, `series`, `export`, `import`, `tag`, `prune` and `rebuild`."""

import csv
import io
import json
import os
import shutil
import sys
import zipfile
from datetime import UTC, datetime

import pytest

from orchestrator import paths
from orchestrator.cli import main
from orchestrator.errors import ExitStatus
from orchestrator.paths import PROJECT, RunFolder, runs
from orchestrator.result import Failure, Metric
from orchestrator.results import exporting, importing
from orchestrator.results.lookup import load
from tests.support import stand_in
from tests.support.bundles import resealed
from tests.support.run_folders import filed, in_session, stored

FIRST, SECOND, THIRD, FOURTH = (f"2026010{day}T120000-pytorch-x-0a1b2c" for day in range(1, 5))
FAILED = {"status": "failed", "failure": Failure(kind="out_of_memory", message="full")}
HERE = {"machine": "m", "hostname": "box", "cpu": {"model": "Xeon", "affinity": "0-3"}}


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    folder = tmp_path / "home"
    monkeypatch.setenv("BENCHDOCK_HOME", str(folder))
    monkeypatch.delenv("BENCHDOCK_DATABASE", raising=False)
    return folder


def printed(capsys, *words, status=ExitStatus.OK):
    """Return what `benchdock results` prints."""
    assert main(["results", *words]) == status
    return capsys.readouterr().out


def document(capsys, *words, status=ExitStatus.OK):
    return json.loads(printed(capsys, *words, "--json", status=status))


def names(capsys, *words):
    return [row["run"] for row in document(capsys, *words)["runs"]]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "left"),
    [
        (("--batch", "32"), [SECOND]),
        (("--device", "gpu"), [THIRD]),
        (("--status", "failed"), [THIRD]),
        (("--status", "ok"), [SECOND, FIRST]),
        (("--status", "unreadable"), [FOURTH]),
        (("--session", "n1"), [FOURTH, SECOND]),
        (("--tag", "good"), [FOURTH, FIRST]),
        (("--since", "2026-01-02T12:00+00:00"), [FOURTH, THIRD, SECOND]),
        (("--until", "2026-01-02T12:00+00:00"), [FIRST]),
        (("--since", "2026-01-01T12:00+00:00", "--until", "2026-01-03"), [SECOND, FIRST]),
        (("--since", "1d"), []),
        (("list", "--last", "1", "--model", "deep_mnist"), [FOURTH]),
        (("--session", "n1", "--status", "ok"), [SECOND]),
    ],
)
def test_the_filters(capsys, words, left):
    stored(FIRST).tags.write_text('["good"]')
    in_session(stored(SECOND, planned={"batch": 32}), name="n1")
    stored(THIRD, planned={"device": "gpu"}, **FAILED)
    broken = in_session(filed(FOURTH, "broken", stand_in.request(batch=7)), name="n1")
    broken.tags.write_text('["good"]')
    assert names(capsys, *words) == left


def test_the_filters_are_named_if_nothing_matches(capsys):
    stored(FIRST)
    told = printed(capsys, "--since", "2026-01-02", "--tag", "good", "--failed")
    assert told == (
        "no stored run matches --tag good --since 2026-01-02T00:00 --failed; `benchdock results` "
        "lists all\n"
    )


def test_a_rare_model_is_found_behind_many_others(capsys, monkeypatch):
    monkeypatch.setattr("orchestrator.store.queries._NEWEST", 2)
    stored(FIRST, planned={"model": "vgg16"})
    stored(SECOND, planned={"model": "vgg16"}, **FAILED)
    for number in range(3):
        stored(f"20260201T12000{number}-pytorch-x-0a1b2c")
    assert names(capsys, "--model", "vgg16") == [SECOND, FIRST]
    assert names(capsys, "--model", "vgg16", "--failed") == [SECOND]
    assert names(capsys, "--model", "vgg16", "--last", "1") == [SECOND]


def test_a_run_with_its_series_session_and_tags(capsys, home):
    stored(FIRST, environment=HERE)
    in_session(stored(SECOND, environment=HERE), name="n1").tags.write_text('["b", "a"]')
    told = printed(capsys, "show", "20260102")
    series = told.splitlines()[-3].split()
    assert told.splitlines()[0] == "measured"
    assert series[0] == "series"
    assert series[2:] == ["2", "runs"]
    assert told.splitlines()[-2:] == ["  session     n1, pass 1", "  tags        a, b"]
    whole = document(capsys, "show", SECOND)
    assert whole["series"]["what"].startswith(series[1].rstrip(","))
    assert (whole["session"], whole["tags"]) == ({"name": "n1", "pass": 1}, ["a", "b"])
    assert whole["result"]["metrics"]["throughput"]["value"] == 1234.56
    assert whole["path"] == str(home / "runs" / SECOND)


def test_a_file_has_no_series(capsys, tmp_path):
    path = shutil.copy(stored(FIRST).result, tmp_path / "other.json")
    told = document(capsys, "show", str(path))
    assert (told["series"], told["session"], told["tags"]) == (None, None, [])


def test_the_series(capsys):
    for name in (FIRST, SECOND):
        stored(name, environment=HERE)
    stored(THIRD, planned={"model": "vgg16"}, environment=HERE, **FAILED)
    stored(FOURTH, plan=None, **FAILED)
    lines = printed(capsys, "series").splitlines()
    assert [line.split()[1:4] for line in lines[1:]] == [
        ["deep_mnist", "pytorch", "training"],
        ["vgg16", "pytorch", "training"],
    ]
    assert lines[1].endswith("1,235 samples/s")
    assert lines[2].endswith("failed: out_of_memory")
    (one,) = document(capsys, "series", "--model", "deep_mnist")["series"]
    assert (one["runs"], one["machine"], one["last"]["run"]) == (2, "box", SECOND)
    assert one["last"]["throughput"] == {"value": 1234.56, "unit": "samples/s"}
    assert printed(capsys, "series", "--batch", "9") == "no series matches --batch 9\n"


def test_no_series(capsys):
    assert printed(capsys, "series") == "no series is stored\n"


def exported():
    stored(FIRST, environment=HERE, finished=datetime(2026, 1, 1, 12, 1, tzinfo=UTC))
    metrics = {"step_time_median": Metric(value=0.5, unit="s")}
    stored(SECOND, planned={"model": 'a "b",\nc'}, metrics=metrics, **FAILED)
    stored("kept", planned={"batch": 9})


def test_an_export_as_csv(capsys, tmp_path):
    exported()
    rows = list(csv.DictReader(io.StringIO(printed(capsys, "export"))))
    assert list(rows[0]) == list(exporting.COLUMNS)
    assert [row["run"] for row in rows] == ["kept", FIRST, SECOND]
    assert rows[0]["started"] == ""
    assert rows[1]["started"] == "2026-01-01T12:00:00+00:00"
    assert rows[1]["finished"] == "2026-01-01T12:01:00+00:00"
    assert float(rows[1]["throughput"]) == 1234.56
    assert (rows[1]["machine"], rows[2]["model"], rows[2]["p50"]) == ("box", 'a "b",\nc', "0.5")
    assert main(["results", "export", "-o", str(tmp_path / "x.csv"), "--failed"]) == 0
    assert capsys.readouterr().err == f"wrote 1 run to {tmp_path}/x.csv\n"
    assert len((tmp_path / "x.csv").read_text().splitlines()) == 3  # one value has two lines
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["x.csv"]


def test_an_export_as_json(capsys, tmp_path):
    exported()
    told = json.loads(printed(capsys, "export", "--format", "json"))["runs"]
    assert [row["run"] for row in told] == ["kept", FIRST, SECOND]
    assert told[2]["metrics"] == {"step_time_median": {"value": 0.5, "unit": "s"}}
    assert json.loads(printed(capsys, "export", "--format", "json", "--tag", "x"))["runs"] == []


@pytest.mark.slow
def test_an_export_as_parquet(tmp_path):
    duckdb = pytest.importorskip("duckdb", reason="needs the extra `export`")
    exported()
    path = tmp_path / "it's.parquet"
    assert main(["results", "export", "-o", str(path)]) == 0
    with duckdb.connect() as connection:
        (name,) = connection.execute("SELECT replace($1, '''', '''''')", [str(path)]).fetchone()
        rows = connection.execute(
            f"SELECT run, model, batch, epoch(started), p50, failure FROM '{name}'"
        ).fetchall()
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC).timestamp()
    assert rows == [
        ("kept", "deep_mnist", 9, None, None, None),
        (FIRST, "deep_mnist", 2, noon, None, None),
        (SECOND, 'a "b",\nc', 2, noon + 86400, 0.5, "out_of_memory"),
    ]


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (("-o", "x.txt"), 2, "x.txt does not end like a known format; use --format csv, json or"),
        (("--format", "parquet"), 2, "cannot be written to standard output; use -o FILE"),
        (("-o", "absent/x.csv"), 3, "cannot write absent/x.csv: No such file"),
        (("--format", "xls"), 2, "use one of csv, json, parquet"),
    ],
)
def test_an_export_that_cannot_be(capsys, words, status, told):
    stored(FIRST)
    assert main(["results", "export", *words]) == status
    assert told in capsys.readouterr().err


def test_without_its_package_parquet_names_the_command(capsys, monkeypatch):
    monkeypatch.setattr(exporting, "find_spec", lambda _: None)
    assert main(["results", "export", "-o", "x.parquet"]) == ExitStatus.MACHINE_CANNOT
    told = capsys.readouterr().err
    assert f"needs the package duckdb; run `{sys.executable} -m pip install" in told
    assert "[export]" in told


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    """A home of another machine with a run, and the run's bundle."""
    with stand_in.home(tmp_path_factory.mktemp("elsewhere")) as there:
        result, folder = stand_in.run()
        path = there / "run.zip"
        assert main(["bundle", result.run, "-o", str(path)]) == ExitStatus.OK
    return there, folder, path


@pytest.mark.slow
@pytest.mark.parametrize("what", ["home", "runs", "folder", "bundle"])
def test_runs_of_another_machine_are_imported_once(elsewhere, capsys, home, what):
    there, folder, bundle = elsewhere
    source = {"home": there, "runs": there / "runs", "folder": folder.root, "bundle": bundle}[what]
    told = printed(capsys, "import", str(source)).splitlines()
    assert told == [
        f"imported: {folder.run_id}",
        "1 run imported; `benchdock results` lists them",
    ]
    copy = RunFolder(home / "imported" / folder.run_id)
    assert {path.name for path in copy.root.iterdir()} == {
        path.name for path in folder.root.iterdir() if path.is_file()
    }
    assert copy.result.read_bytes() == folder.result.read_bytes()
    (row,) = document(capsys)["runs"]
    assert (row["run"], row["folder"]) == (folder.run_id, str(copy.root))
    (again,) = document(capsys, "import", str(source))["runs"]
    assert again["did"] == "already here"
    stored = load(folder.run_id)
    assert not stored.is_own
    assert document(capsys, "show", folder.run_id)["path"] == str(copy.root)


def test_what_cannot_be_imported_does_not_stop_the_rest(elsewhere, capsys, tmp_path, home):
    there, folder, _ = elsewhere
    other = tmp_path / "other"
    shutil.copytree(there / "runs", other)
    (other / "broken").mkdir()
    (other / "broken" / "result.json").write_text("broken")
    (other / "linked").mkdir()
    shutil.copy(folder.result, other / "linked")
    (other / "linked" / "log.txt").symlink_to("/etc/passwd")
    (other / "a name").mkdir()
    shutil.copy(folder.result, other / "a name")
    assert main(["results", "import", str(other), "absent"]) == ExitStatus.BAD_REQUEST
    told = capsys.readouterr()
    assert told.out.splitlines()[0] == f"imported: {folder.run_id}"
    assert "has the name 'a name', which cannot be that of a run" in told.err
    assert f"cannot read {other}/broken/result.json" in told.err
    assert f"cannot import {other}/linked/log.txt: Too many levels" in told.err
    assert "benchdock: absent is not a bundle or a folder of runs; use --dlbs" in told.err
    assert os.listdir(home / "imported") == [folder.run_id]


@pytest.mark.parametrize("name", ["../evil", "", ".hidden", "a/b", "x" * 300, "\x1b[31m"])
def test_a_bundle_does_not_choose_a_path(elsewhere, capsys, tmp_path, home, name):
    _, _, bundle = elsewhere
    with zipfile.ZipFile(bundle) as archive:
        members = {one: archive.read(one) for one in archive.namelist()}
    manifest = json.loads(members["manifest.json"]) | {"run": name}
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
        for one, data in members.items():
            text = json.dumps(manifest) if one == "manifest.json" else data
            archive.writestr(one, text)
    assert main(["results", "import", str(tmp_path / "evil.zip")]) == ExitStatus.BAD_REQUEST
    assert "which cannot be that of a run" in capsys.readouterr().err
    assert not (home / "imported").exists() or not os.listdir(home / "imported")


def test_a_damaged_bundle_is_not_imported(elsewhere, capsys, tmp_path):
    path = resealed(elsewhere[2], tmp_path / "x.zip", **{"result.json": b"broken"})
    assert main(["results", "import", str(path)]) == ExitStatus.BAD_REQUEST
    assert f"cannot read result.json of {path}" in capsys.readouterr().err


def test_the_runs_of_this_home_are_not_imported(capsys, home):
    stored(FIRST)
    assert main(["results", "import", str(home)]) == ExitStatus.BAD_REQUEST
    assert "runs belongs to this home" in capsys.readouterr().err
    (home / "empty").mkdir()
    assert main(["results", "import", str(home / "empty")]) == ExitStatus.BAD_REQUEST
    assert "contains no run with a result" in capsys.readouterr().err


def test_a_full_disk_leaves_nothing_of_an_import(elsewhere, capsys, monkeypatch, home):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(importing, "_unpack", full)
    assert main(["results", "import", str(elsewhere[2])]) == ExitStatus.MACHINE_CANNOT
    assert "No space left on device; free some space" in capsys.readouterr().err
    assert os.listdir(home / "imported") == []


def test_logs_of_dlbs_are_imported(capsys, home, tmp_path):
    log = tmp_path / "vgg16.log"
    shutil.copy(PROJECT / "tests/logs/dlbs/dlbs.txt", log)
    os.utime(log, (1500000000, 1500000000))
    (one,) = document(capsys, "import", "--dlbs", str(log))["runs"]
    assert one["run"].startswith("20170714T024000-")
    folder = RunFolder(home / "imported" / one["run"])
    assert folder.log.read_bytes() == log.read_bytes()
    (row,) = document(capsys)["runs"]
    assert (row["run"], row["status"]) == (one["run"], "ok")
    assert row["throughput"]["value"] > 0
    assert row["model"]
    assert row["started"] == "2017-07-14T02:40:00+00:00"
    (again,) = document(capsys, "import", "--dlbs", str(log))["runs"]
    assert again["did"] == "already here"
    status = ExitStatus.BAD_REQUEST
    (bad,) = document(capsys, "import", "--dlbs", "/absent", status=status)["runs"]
    assert bad["did"] == "refused"


def test_tags_are_in_the_folder_and_in_the_database(capsys):
    folder = stored(FIRST)
    assert printed(capsys, "tag", "20260101", "b", "a") == f"tags of {FIRST}: a, b\n"
    assert json.loads(folder.tags.read_text()) == ["a", "b"]
    assert document(capsys, "tag", FIRST, "c")["tags"] == ["a", "b", "c"]
    assert names(capsys, "--tag", "c") == [FIRST]
    assert printed(capsys, "tag", FIRST, "--remove", "c", "b") == f"tags of {FIRST}: a\n"
    assert names(capsys, "--tag", "c") == []
    printed(capsys, "rebuild")
    assert names(capsys, "--tag", "a") == [FIRST]
    assert printed(capsys, "tag", FIRST, "--remove", "a") == f"tags of {FIRST}: none\n"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((FIRST, "--remove", "x"), "does not have the tag 'x'; its tags are a"),
        ((SECOND, "--remove", "x"), "does not have the tag 'x'; it has no tags"),
        (("absent", "x"), "no run or file is called 'absent'"),
        ((FIRST, "a b"), "'a b' is not a tag; use at most 40 letters, digits, and . _ -"),
        ((FIRST, "x" * 41), "is not a tag"),
        ((f"runs/{FIRST}/result.json", "x"), "is not a run folder; use a run id"),
    ],
)
def test_a_tag_that_cannot_be(capsys, monkeypatch, home, words, told):
    stored(FIRST).tags.write_text('["a"]')
    stored(SECOND)
    monkeypatch.chdir(home)
    assert main(["results", "tag", *words]) == ExitStatus.BAD_REQUEST
    assert told in capsys.readouterr().err


def large(folder, size=100_000):
    folder.log.write_bytes(b"x" * size)
    folder.outputs.mkdir()
    (folder.outputs / "model.bin").write_bytes(b"x" * size)
    return folder


def test_nothing_is_pruned_without_yes(capsys):
    old, kept = large(stored(FIRST)), large(stored(SECOND))
    kept.tags.write_text('["baseline"]')
    new = large(stored(f"{datetime.now(UTC):%Y%m%dT%H%M%S}-pytorch-x-0a1b2c"))
    told = printed(capsys, "prune", "--older", "1d").splitlines()
    assert told[1].startswith(FIRST)
    assert told[2].startswith("logs, samples of the machine and outputs of 1 run would be removed:")
    assert told[3] == "add --yes to remove them"
    assert old.log.exists()
    whole = document(capsys, "prune", "--older", "1d", "--yes")
    assert (whole["dry_run"], [row["run"] for row in whole["runs"]]) == (False, [FIRST])
    assert whole["bytes"] >= 200_000
    assert sorted(path.name for path in old.root.iterdir()) == ["result.json"]
    assert kept.log.exists()
    assert new.outputs.exists()
    assert names(capsys) == [new.run_id, SECOND, FIRST]
    nothing = "nothing to remove; runs with a tag and newer runs are kept\n"
    assert printed(capsys, "prune", "--older", "1d") == nothing


def test_whole_runs_that_failed_are_pruned(capsys):
    large(stored(FIRST, **FAILED))
    large(stored(SECOND))
    told = printed(capsys, "prune", "--older", "1d", "--failed", "--whole", "--yes").splitlines()
    assert told[-1].startswith("whole runs of 1 run removed: ")
    assert not (runs() / FIRST).exists()
    assert names(capsys) == [SECOND]


def test_many_runs_to_prune_are_not_all_listed(capsys):
    for number in range(25):
        large(stored(f"20260101T1200{number:02}-pytorch-x-0a1b2c"), size=10_000 * number)
    told = printed(capsys, "prune", "--older", "1d").splitlines()
    assert told[1].startswith("20260101T120024")
    assert told[-3] == "and 5 smaller ones; --json lists all"


def test_what_cannot_be_removed_is_reported(capsys, monkeypatch):
    large(stored(FIRST))

    def refuse(_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("orchestrator.results.pruning.shutil.rmtree", refuse)
    status = main(["results", "prune", "--older", "1d", "--yes"])
    assert status == ExitStatus.MACHINE_CANNOT
    assert "/out: Permission denied; its owner is another user" in capsys.readouterr().err


def test_a_rebuild_reads_every_folder_again(capsys, home):
    stored(FIRST)
    folder = stored(SECOND)
    assert names(capsys) == [SECOND, FIRST]
    text = folder.result.read_text()
    folder.result.write_text(text.replace("1234.56", "77.0"))
    assert document(capsys)["runs"][0]["throughput"]["value"] == 1234.56
    told = printed(capsys, "rebuild")
    assert told == f"the database {home}/results.db has 2 runs of this home\n"
    assert document(capsys)["runs"][0]["throughput"]["value"] == 77.0
    assert document(capsys, "rebuild") == {
        "schema": 1,
        "database": f"{home}/results.db",
        "runs": 2,
    }


def test_a_database_that_cannot_be_used_cannot_be_rebuilt(capsys, monkeypatch):
    stored(FIRST)
    monkeypatch.setenv("BENCHDOCK_DATABASE", "postgresql://me:secret@/db?host=/absent")
    assert main(["results", "rebuild"]) == ExitStatus.MACHINE_CANNOT
    told = capsys.readouterr().err
    assert "the database db on /absent does not answer" in told
    assert "secret" not in told


def test_the_imported_runs_are_beside_the_own_ones(home):
    assert paths.imported() == home / "imported"
