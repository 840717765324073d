"""Every promise about faults, kept by the real command in real containers."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from tests import misbehaving

pytestmark = pytest.mark.engine

FILES = {
    *("request.json", "launcher.sh", "log.txt", "out"),
    *("engine.log", "result.json", "monitor.jsonl"),
}


class Command:
    """`benchdock run` of the misbehaving image, in a home of its own."""

    def __init__(self, image, home):
        self.image, self.home = image, home

    def start(self, behaviour, *options, **popen):
        words = ["run", *misbehaving.RUN_OPTIONS]
        words += [f"--image={self.image}", f"--option=behaviour={behaviour}"]
        return subprocess.Popen(
            [sys.executable, "-m", "tests.misbehaving", *words, "--json", *options],
            env={**os.environ, "BENCHDOCK_HOME": str(self.home)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **popen,
        )

    def run(self, behaviour, *options):
        process = self.start(behaviour, *options)
        out, err = process.communicate(timeout=300)
        assert "Traceback" not in err
        return process.returncode, json.loads(out), err

    def folder(self):
        (folder,) = (self.home / "runs").iterdir()
        return folder


@pytest.fixture
def command(misbehaving_image, tmp_path):
    return Command(misbehaving_image, tmp_path)


def left_over(engine):
    return [one for one in engine.our_containers() if one.running]


def running_one(engine):
    """The one container that runs; a loaded engine lists it some time after it has printed."""
    deadline = time.monotonic() + 30
    while not (found := left_over(engine)):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    (container,) = found
    return container


def test_a_good_run_is_measured_filed_and_reproduced_by_parse(command):
    status, result, _ = command.run("good")
    assert status == 0
    assert result["status"] == "ok"
    assert result["metrics"]["throughput"] == {"value": 4.0, "unit": "samples/s"}
    folder = command.folder()
    assert {path.name for path in folder.iterdir()} == FILES
    assert json.loads((folder / "result.json").read_text()) == result
    parsed = subprocess.run(
        [sys.executable, "-m", "orchestrator", "parse", "benchdock", folder / "log.txt", "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(parsed.stdout)["metrics"] == result["metrics"]
    assert result["plan"]["image_id"].startswith("sha256:")


@pytest.mark.parametrize(
    ("behaviour", "options", "kind", "words"),
    [
        ("exit1", (), "crashed", "exit code 1"),
        ("nan", (), "no_result", "not a throughput"),
        ("noresult", (), "no_result", "timed steps"),
        ("crash", (), "crashed", "SIGSEGV"),
        ("memory", ("--memory=64m",), "out_of_memory", "--memory"),
        ("child-memory", ("--memory=64m",), "out_of_memory", "memory"),
        ("silent", ("--first-output=2s",), "no_output", "printed nothing for 2 s"),
        ("stalls", ("--silence=2s",), "timeout", "printed nothing for 2 s"),
        ("stalls", ("--timeout=2s",), "timeout", "not finished after 2 s"),
    ],
)
def test_a_run_that_did_not_clearly_succeed_is_a_failure(
    command, engine, behaviour, options, kind, words
):
    status, result, _ = command.run(behaviour, *options)
    assert status == 1
    assert result["status"] == "failed"
    assert result["failure"]["kind"] == kind
    assert words in result["failure"]["message"]
    assert "throughput" not in result["metrics"] or kind in ("crashed", "out_of_memory")
    assert {path.name for path in command.folder().iterdir()} == FILES
    assert not left_over(engine)


@pytest.mark.parametrize(
    ("behaviour", "words", "evidence"),
    [
        *((name, f"SIG{name.upper()}", "") for name in ("segv", "ill", "abrt", "fpe", "bus")),
        ("heap", "SIGABRT", "free(): invalid pointer"),
        ("thrown", "vector is wrong (exit code 134 (SIGABRT))", "terminate called"),
        ("glog", "Check failed: num_output_ > 0", "F1122 22:40:47.122331"),
    ],
)
def test_a_native_death_is_named_by_its_signal_and_proven_by_its_line(
    command, behaviour, words, evidence
):
    status, result, err = command.run(behaviour)
    assert status == 1
    failure = result["failure"]
    assert failure["kind"] == "crashed"
    assert words in failure["message"]
    assert failure["evidence"].startswith(evidence)
    assert err.splitlines()[-1] == f"benchdock: {failure['message']}"


def test_binary_junk_and_progress_bars_are_kept_to_the_byte(command):
    status, _, _ = command.run("junk")
    assert status == 0
    log = (command.folder() / "log.txt").read_bytes()
    assert b"\xff\xfe\x00 10%\r 20%\r" in log
    assert len(log) > 100_000


def test_200_mb_without_a_newline_are_read_in_constant_memory(command):
    process = command.start("flood")
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 0
    assert json.loads(out)["metrics"]["throughput"]["value"] == 4.0
    assert (command.folder() / "log.txt").stat().st_size > 200_000_000


def started(command):
    """Wait until the program has printed something; return the run's folder."""
    for _ in range(600):
        logs = [*(command.home / "runs").glob("*/log.txt")]
        if logs and logs[0].stat().st_size:
            return logs[0].parent
        time.sleep(0.1)
    raise AssertionError("the run did not start")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("behaviour", ["stalls", "stubborn"])
def test_a_signal_stops_the_container_within_10_s_and_files_the_run(
    command, engine, behaviour, number
):
    process = command.start(behaviour)
    started(command)
    begin = time.monotonic()
    process.send_signal(number)
    out, _ = process.communicate(timeout=60)
    assert time.monotonic() - begin < 10
    assert process.returncode == 128 + number
    assert json.loads(out)["failure"]["kind"] == "interrupted"
    assert {path.name for path in command.folder().iterdir()} == FILES
    assert not left_over(engine)


def test_what_a_killed_benchdock_leaves_behind_is_reaped_by_the_next(command, engine):
    process = command.start("stalls")
    started(command)
    process.kill()
    process.communicate()
    assert left_over(engine)
    status, _, err = command.run("good")
    assert status == 0
    assert "removed leftovers of a killed benchdock" in err
    assert not left_over(engine)


def test_a_container_killed_from_outside_is_a_crash(command, engine):
    process = command.start("stalls")
    started(command)
    container = running_one(engine)
    subprocess.run(["docker", "kill", container.id], check=True, capture_output=True)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert json.loads(out)["failure"]["kind"] == "crashed"
    assert "SIGKILL" in json.loads(out)["failure"]["message"]


def test_the_program_is_not_root_in_the_image_beyond_its_own_files(command):
    status, result, _ = command.run("who")
    log = (command.folder() / "log.txt").read_text()
    assert status == 0
    uid = result["plan"]["user"].partition(":")[0]
    assert uid != "0"
    assert f"\n{uid}\n" in log


@pytest.mark.skipif(os.geteuid() != 0, reason="making a small disk needs root")
def test_a_full_disk_is_named_and_the_result_is_filed_all_the_same(misbehaving_image, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", home], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("this machine does not allow mounting a small disk")
    try:
        command = Command(misbehaving_image, home)
        status, result, _ = command.run("fill")
        assert status == 1
        assert "disk" in result["failure"]["message"]
        assert "full" in result["failure"]["message"]
        assert json.loads((command.folder() / "result.json").read_text())["status"] == "failed"
    finally:
        subprocess.run(["umount", home], check=True)


def test_an_image_that_is_not_to_be_had_is_one_line_and_a_filed_run(command):
    command.image = "benchdock-test.invalid/absent:1"
    status, result, _ = command.run("good")
    assert status == 3
    assert result["failure"]["kind"] == "image"
    assert "benchdock-test.invalid/absent:1" in result["failure"]["message"]


def test_a_gpu_asked_for_without_a_driver_is_refused_before_anything_starts(command):
    process = command.start("good", "--gpus=0")
    out, err = process.communicate(timeout=60)
    if process.returncode == 0:
        pytest.skip("this machine has a GPU")
    assert process.returncode == 3
    assert json.loads(out)["error"]["exit_status"] == 3
    assert len(err.strip().splitlines()) == 1
    assert not (command.home / "runs").exists()
