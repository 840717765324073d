"""A bundle: the same bytes for the same run, and one line of error for a broken one."""

import json
import os
import re
import shutil
import zipfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator import compressed
from orchestrator.cli import main
from orchestrator.commands import bundle as bundle_command
from orchestrator.errors import ExitStatus, RequestError
from orchestrator.paths import RunFolder
from orchestrator.results import bundle
from orchestrator.results.lookup import load
from orchestrator.results.verification import verify
from tests.support import stand_in
from tests.support.bundles import resealed


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A run, its bundle, and a home that stays for the whole module."""
    with stand_in.home(tmp_path_factory.mktemp("home")) as home:
        result, folder = stand_in.run()
        path = home / "run.zip"
        assert main(["bundle", result.run, "-o", str(path)]) == ExitStatus.OK
        yield result, folder, path


def test_a_bundle_holds_the_run_and_can_be_verified(measured, capsys):
    result, folder, path = measured
    with zipfile.ZipFile(path) as archive:
        assert set(archive.namelist()) == {
            *(path.name for path in folder.root.iterdir() if path.is_file()),
            "plan.json",
            "manifest.json",
        }
        assert archive.read("log.txt") == folder.log.read_bytes()
    assert main(["verify", str(path), "--json"]) == ExitStatus.OK
    told = json.loads(capsys.readouterr().out)
    assert told["holds"]
    assert [check["name"] for check in told["checks"]] == [
        "hashes",
        "request",
        "script",
        "plan",
        "log",
    ]
    assert told["throughput"] == {"value": 4.0, "unit": "samples/s"}
    assert load(str(path)).result == result


def test_the_run_of_an_old_night_makes_the_same_bundle_and_can_be_imported(measured, tmp_path):
    result, folder, path = measured
    old = RunFolder(tmp_path / folder.root.name)
    shutil.copytree(folder.root, old.root)
    assert [compressed.compress(file) for file in (old.log, old.monitor)] == [True, True]
    bundle.write(old, result, tmp_path / "old.zip")
    assert (tmp_path / "old.zip").read_bytes() == path.read_bytes()
    with stand_in.home(tmp_path / "home") as home:
        assert main(["results", "import", str(old.root)]) == ExitStatus.OK
        there = home / "imported" / folder.run_id
        assert (there / "log.txt").read_bytes() == folder.log.read_bytes()


@pytest.mark.parametrize("share", [0.1, 0.5, 0.999])
def test_a_bundle_that_was_cut_off_is_called_so(measured, tmp_path, capsys, share):
    whole = measured[2].read_bytes()
    path = tmp_path / "cut.zip"
    path.write_bytes(whole[: int(share * len(whole))])
    refused(path, "its end is missing", capsys)


def test_the_same_run_makes_the_same_bytes(measured, tmp_path):
    result, folder, path = measured
    copy = RunFolder(tmp_path / folder.run_id)
    shutil.copytree(folder.root, copy.root)
    for file in copy.root.iterdir():
        os.utime(file, (0, 0))
        file.chmod(0o777)
    bundle.write(copy, result, tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == path.read_bytes()


def test_a_failed_run_can_be_bundled_for_a_report(tmp_path):
    with stand_in.home(tmp_path):
        result, folder = stand_in.run("nan")
        assert main(["bundle", str(folder.root), "-o", str(tmp_path / "x.zip")]) == ExitStatus.OK
    found, checks = verify(tmp_path / "x.zip")
    assert found.failure == result.failure
    assert "no throughput" in checks[-1].detail


def repacked(path, to, **changes):
    """Copy a bundle with other contents; None leaves a member out."""
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(to, "w") as new:
        for name in dict.fromkeys([*old.namelist(), *changes]):
            data = changes.get(name, old.read(name) if name in old.namelist() else b"")
            if data is not None:
                new.writestr(name, data)
    return to


def test_an_interval_by_an_older_method_is_reported_and_holds(tmp_path):
    with stand_in.home(tmp_path):
        result, folder = stand_in.run()
        bundle.write(folder, result, tmp_path / "new.zip")
    document = json.loads(folder.result.read_text())
    document["metrics"]["throughput_ci95_low"] = {"value": 3.9, "unit": "samples/s"}
    del document["notes"]
    old = resealed(
        tmp_path / "new.zip", tmp_path / "old.zip", **{"result.json": json.dumps(document).encode()}
    )
    found, checks = verify(old)
    assert found.notes == ()
    assert "with another interval than in the result" in checks[-1].detail
    _, checks = verify(tmp_path / "new.zip")
    assert "another interval" not in checks[-1].detail
    document["metrics"]["throughput"]["value"] = 4.1
    forged = resealed(
        old, tmp_path / "forged.zip", **{"result.json": json.dumps(document).encode()}
    )
    with pytest.raises(RequestError, match="the log and the result disagree on throughput"):
        verify(forged)


def as_json_file(log):
    """Write a log as Docker's json-file keeps it."""
    stamp = "2026-01-02T03:04:05.678901234Z"
    return b"".join(
        json.dumps({"log": line.decode(), "stream": "stdout", "time": stamp}).encode() + b"\n"
        for line in log.splitlines(keepends=True)
    )


def test_a_log_that_a_collector_kept_is_verified_as_it_is_parsed(measured, tmp_path, capsys):
    result, folder, path = measured
    log = as_json_file(folder.log.read_bytes())
    (tmp_path / "log.txt").write_bytes(log)
    assert main(["parse", "benchdock", str(tmp_path / "log.txt"), "--json"]) == ExitStatus.OK
    assert json.loads(capsys.readouterr().out)["metrics"] == {
        name: metric.model_dump() for name, metric in result.metrics.items()
    }
    collected = resealed(path, tmp_path / "collected.zip", **{"log.txt": log})
    _, checks = verify(collected)
    assert ", without the prefixes of JSON objects" in checks[-1].detail
    assert "prefixes" not in verify(path)[1][-1].detail
    document = json.loads(folder.result.read_text())
    document["metrics"]["throughput"]["value"] = 4.1
    changes = {"result.json": json.dumps(document).encode()}
    forged = resealed(collected, tmp_path / "forged.zip", **changes)
    with pytest.raises(
        RequestError, match=r"the log and the result disagree on throughput \(log 4\.0"
    ):
        verify(forged)


def refused(path, told, capsys):
    """The one line of every command that reads a bundle."""
    folder = sorted(file.name for file in path.parent.iterdir())
    for words in (["verify", path], ["replay", path], ["compare", path, path]):
        assert main(list(map(str, words))) == ExitStatus.BAD_REQUEST
        err = capsys.readouterr().err
        assert err.count("\n") == 1, err
        assert told in err, err
    assert sorted(file.name for file in path.parent.iterdir()) == folder


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"../../evil": b"x"}, "unexpected file '../../evil'"),
        ({"/etc/passwd": b"x"}, "unexpected file '/etc/passwd'"),
        ({"a\x1b[31m\n": b"x"}, r"'a\x1b[31m\n'"),
        ({"manifest.json": None}, "has no manifest.json"),
        ({"result.json": None}, "has no result.json"),
        ({"log.txt": None}, "lacks 'log.txt'"),
        ({"manifest.json": b"{"}, "manifest.json"),
        ({"manifest.json": b"[" * 100_000}, "manifest.json"),
        ({"manifest.json": b"[]"}, "manifest.json"),
        ({"result.json": b"{}"}, "result.json is not the file that was bundled"),
        ({"log.txt": b""}, "log.txt is not the file that was bundled"),
    ],
)
def test_a_broken_bundle_is_one_line(measured, tmp_path, capsys, changes, told):
    refused(repacked(measured[2], tmp_path / "bad.zip", **changes), told, capsys)


def test_a_member_twice_or_encrypted_is_refused(measured, tmp_path, capsys):
    path = tmp_path / "bad.zip"
    shutil.copy(measured[2], path)
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("log.txt", b"another")
    refused(path, "log.txt twice", capsys)
    data = bytearray(measured[2].read_bytes())
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    refused(path, "encrypted", capsys)


def test_a_member_that_says_it_is_huge_is_refused_unread(measured, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(bundle.LARGEST, "log.txt", 1000)
    path = repacked(measured[2], tmp_path / "bomb.zip", **{"log.txt": b"\0" * 1001})
    refused(path, "log.txt is larger than", capsys)


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"PK\x05\x06" + b"\0" * 18, b"nonsense"])
def test_what_is_not_an_archive_is_one_line(tmp_path, capsys, data):
    path = tmp_path / "x.zip"
    path.write_bytes(data)
    assert main(["verify", str(path)]) == ExitStatus.BAD_REQUEST
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "change", "told"),
    [
        ("log.txt", lambda text: text.replace("2.0,", "1.0,"), "took 2 s, the end says 1 s"),
        ("result.json", lambda text: text.replace('"value": 4.0', '"value": 5.0'), "disagree on"),
        ("result.json", lambda text: re.sub(r"\n( +)0\.5", r"\n\g<1>0.6", text), "other step"),
        ("launcher.sh", lambda text: text + "rm -rf ~\n", "not the script of the plan"),
        ("request.json", lambda text: text.replace('"seed": 0', '"seed": 1'), "not the request"),
        ("plan.json", lambda text: text.replace('"batch": 2', '"batch": 3'), "not the plan"),
    ],
)
def test_a_forged_bundle_contradicts_itself(measured, tmp_path, name, change, told):
    with zipfile.ZipFile(measured[2]) as archive:
        text = archive.read(name).decode()
    assert change(text) != text
    path = resealed(measured[2], tmp_path / "forged.zip", **{name: change(text).encode()})
    with pytest.raises(RequestError, match=told):
        verify(path)


def test_a_run_whose_log_was_changed_is_not_bundled(measured, tmp_path, capsys):
    _, folder, _ = measured
    copy = tmp_path / folder.run_id
    shutil.copytree(folder.root, copy)
    (copy / "log.txt").write_text("nothing\n")
    assert main(["bundle", str(copy), "-o", str(tmp_path / "x.zip")]) == ExitStatus.BAD_REQUEST
    assert "would not verify" in capsys.readouterr().err
    assert {file.name for file in tmp_path.iterdir()} == {folder.run_id}


def test_a_link_that_the_program_left_is_not_followed(measured, tmp_path, capsys):
    _, folder, _ = measured
    copy = tmp_path / folder.run_id
    shutil.copytree(folder.root, copy)
    (copy / "engine.log").unlink()
    (copy / "engine.log").symlink_to("/etc/passwd")
    assert main(["bundle", str(copy), "-o", str(tmp_path / "x.zip")]) == ExitStatus.BAD_REQUEST
    assert "engine.log" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["bundle", "absent"], "no run or file is called 'absent'"),
        (["bundle", "x" * 5000], "no run or file is called"),
        (["bundle", "2", "-o", "-"], "use -o FILE"),
        (["verify", "/absent"], "cannot read /absent"),
        (["compare", "2", "absent"], "absent"),
        (["replay", "/dev/null"], "/dev/null"),
    ],
)
def test_what_is_not_there_is_one_line(measured, capsys, words, told):
    assert main(words) == ExitStatus.BAD_REQUEST
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert told in err


def test_a_run_is_not_a_bundle_yet(measured, capsys):
    result, folder, _ = measured
    for word in (result.run, str(folder.root)):
        assert main(["verify", word]) == ExitStatus.BAD_REQUEST
        told = f"benchdock: {word!r} is not a bundle; run `benchdock bundle RUN` to make one\n"
        assert capsys.readouterr().err == told


def test_an_existing_file_is_not_overwritten(measured, capsys):
    result, _, path = measured
    before = path.read_bytes()
    assert main(["bundle", result.run, "-o", str(path)]) == ExitStatus.BAD_REQUEST
    assert "already exists" in capsys.readouterr().err
    assert path.read_bytes() == before


def test_a_file_that_came_meanwhile_is_not_overwritten(measured, tmp_path, monkeypatch, capsys):
    result, _, _ = measured
    path = tmp_path / "run.zip"
    monkeypatch.setattr(bundle_command, "verify", lambda _: path.write_bytes(b"another's"))
    assert main(["bundle", result.run, "-o", str(path)]) == ExitStatus.BAD_REQUEST
    assert "already exists" in capsys.readouterr().err
    assert path.read_bytes() == b"another's"
    assert [*tmp_path.iterdir()] == [path]


def test_a_run_without_a_result_is_not_taken_for_its_own_misspelling(measured):
    _, folder, _ = measured
    going = RunFolder(folder.root.with_name("20990101T000000-going"))
    going.root.mkdir()
    try:
        for word in (going.run_id, going.run_id[:8]):
            with pytest.raises(RequestError) as refused:
                load(word)
            assert str(refused.value) == (
                f"the run {going.run_id} has no result; "
                f"it is still running, was killed, or is a parity run: see {going.log}"
            )
    finally:
        going.root.rmdir()


def test_a_run_is_found_by_the_begin_of_its_id(measured):
    result, _, _ = measured
    assert load(result.run[:20]).result == result
    with pytest.raises(RequestError, match=f"did you mean '{result.run}'"):
        load(result.run[1:])


@pytest.mark.slow
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_no_damage_is_more_than_a_line(measured, tmp_path_factory, data):
    """Whatever bytes change, a bundle is either refused in one line or still the same run."""
    result, _, path = measured
    raw = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        del raw[data.draw(st.integers(0, len(raw) - 1)) :]
    damaged = tmp_path_factory.getbasetemp() / "damaged.zip"
    damaged.write_bytes(raw)
    told, found = "", None
    try:
        found, _ = verify(damaged)
    except RequestError as error:
        told = str(error)
    assert "\n" not in told
    assert told or found == result
