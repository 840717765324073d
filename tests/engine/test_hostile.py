"""Programs in containers that attack their own run: a typed result is filed anyway."""

import json
import os
import secrets
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from orchestrator.paths import PROJECT
from tests.stress import kills

pytestmark = pytest.mark.engine

MEASURED = 50.0
FILES = {
    "engine.log",
    "launcher.sh",
    "log.txt",
    "monitor.jsonl",
    "out",
    "request.json",
    "result.json",
}


class Hostile:
    """Runs a bash script as the benchmark, in a home of its own."""

    def __init__(self, image, home):
        self.image, self.home = image, home
        self.name = f"hostile{secrets.token_hex(3)}"

    def start(self, script, *options, program=()):
        words = [
            *("run", self.name, "-f", "custom", "--gpus=none", "--runtime=docker", "--json"),
            *(f"--image={self.image}", f"--command=bash -c '{script}'", "--pattern=fps=([0-9]+)"),
        ]
        return subprocess.Popen(
            [*program, sys.executable, "-m", "orchestrator", *words, *options],
            env={**os.environ, "BENCHDOCK_HOME": str(self.home)},
            cwd=PROJECT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, script, *options):
        """Return exit status and result as printed, which must be the one that is filed."""
        process = self.start(script, *options)
        out, err = process.communicate(timeout=120)
        assert "Traceback" not in err
        printed = json.loads(out)
        assert json.loads((self.folder() / "result.json").read_text()) == printed
        return process.returncode, printed

    def folder(self):
        (folder,) = (self.home / "runs").iterdir()
        return folder

    def names(self):
        """Return the names of what lies in the run folder."""
        return {path.name for path in self.folder().iterdir()}

    def started(self):
        """Wait until the program has printed something."""
        deadline = time.monotonic() + 60
        while not any(log.stat().st_size for log in self.home.glob("runs/*/log.txt")):
            assert time.monotonic() < deadline
            time.sleep(0.05)


@pytest.fixture
def hostile(misbehaving_image, tmp_path, engine):
    made = Hostile(misbehaving_image, tmp_path / "home")
    yield made
    left = [one.name for one in engine.our_containers() if made.name in one.name]
    assert not left


RUN = "/benchdock/run"


@pytest.mark.parametrize(
    "script",
    [
        "rm -rf .??* *; echo fps=50",
        "rm -rf ../*; echo fps=50",
        f"rm -f {RUN}/log.txt; rm -f {RUN}/launcher.sh; echo fps=50",
        f"mv {RUN}/log.txt other; mv {RUN}/log.txt {RUN}/other; echo fps=50",
        f"ln -sf {RUN}/out/elsewhere {RUN}/log.txt; echo fps=50",
        f"echo exit > {RUN}/launcher.sh; echo fps=50",
        f"mkdir {RUN}/result.json; ln -s {RUN}/out/elsewhere {RUN}/engine.log; echo fps=50",
        "mkdir result.json; ln -s elsewhere log.txt; ln -s elsewhere engine.log; echo fps=50",
        "for n in $(seq 500); do ln -s elsewhere .result.json.$n; done; echo fps=50",
        "chmod 000 . ..; echo fps=50",
        f"chmod 000 {RUN}/log.txt; echo fps=50",
    ],
)
def test_what_is_measured_survives_the_loss_of_all_the_rest(hostile, script):
    status, result = hostile.run(script)
    assert status == 0
    assert result["metrics"]["throughput"]["value"] == MEASURED
    assert not (hostile.folder() / "out" / "elsewhere").exists()
    assert hostile.names() == FILES


def test_a_link_in_the_outputs_makes_no_file_of_the_caller(hostile, tmp_path):
    """The very attack: 32,768 links with the names that a written result once had."""
    victim = tmp_path / "authorized_keys"
    victim.write_text("mine")
    hidden = "$(seq -f .result.json.%g 2000)"
    names = ("result.json", "monitor.jsonl", "engine.log", "log.txt", hidden)
    links = "; ".join(f"for n in {name}; do ln -s {victim} $n; done" for name in names)
    status, result = hostile.run(f"{links}; echo fps=50")
    assert status == 0
    assert result["metrics"]["throughput"]["value"] == MEASURED
    assert victim.read_text() == "mine"
    assert hostile.names() == FILES


def test_a_program_has_no_set_id_file_and_no_root(hostile):
    status, result = hostile.run(
        "cp /bin/bash sh; chmod 6755 sh; mkdir d; chmod 2755 d; id -u; echo fps=50"
    )
    assert status == 0
    folder = hostile.folder()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    user = int(result["plan"]["user"].partition(":")[0])
    assert user != 0
    assert (folder / "log.txt").read_text().splitlines()[-2] == str(user)
    assert (folder / "out" / "sh").stat().st_mode & 0o6000 == 0
    assert (folder / "out" / "d").stat().st_mode & 0o6000 == 0
    assert (folder / "out" / "sh").stat().st_uid == user


def test_as_root_is_root_in_the_container_and_the_result_says_so(hostile):
    status, result = hostile.run("id -u; echo fps=50 > f; cp f g; cat g", "--as-root")
    assert status == 0
    assert result["plan"]["user"] == "0:0"
    assert (hostile.folder() / "log.txt").read_text().splitlines() == ["0", "fps=50"]


def test_a_dataset_that_the_container_cannot_read_is_refused_before_the_start(hostile, tmp_path):
    if os.geteuid() != 0:
        pytest.skip("only root has files that its container cannot read")
    data = tmp_path / "data"
    data.mkdir()
    (data / "train.rec").write_text("x")
    (data / "train.rec").chmod(0o600)
    process = hostile.start("cat {data}/train.rec; echo fps=50", f"--data={data}")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "chmod -R o+rX" in err
    assert "--as-root" in err
    assert not list(hostile.home.glob("runs/*"))


@pytest.mark.parametrize(
    ("script", "words"),
    [
        # Cut, or changed after it was read: as the look ten times a second falls.
        (f"echo fps=50; sleep 1; : > {RUN}/log.txt; echo fps=99", "the log "),
        (f"echo fps=50; sleep 1; echo fps=99 > {RUN}/log.txt", "the log "),
        (f"echo fps=50; truncate -s 10T {RUN}/log.txt", "a gap of"),
    ],
)
def test_a_log_that_was_tampered_with_is_not_a_success(hostile, script, words):
    began = time.monotonic()
    status, result = hostile.run(script)
    assert time.monotonic() - began < 60
    assert status == 1
    assert words in result["failure"]["message"]
    assert "throughput" not in result["metrics"]


@pytest.mark.parametrize(
    "script",
    [
        f"echo fps=50; truncate -s 10T {RUN}/log.txt; sleep 1000",
        "while :; do echo a line of a log that never comes to its end fps=50; done",
    ],
)
def test_a_log_without_end_outlives_neither_the_timeout_nor_a_signal(hostile, script):
    began = time.monotonic()
    status, result = hostile.run(script, "--timeout=3s")
    assert time.monotonic() - began < 60
    assert status == 1
    assert "throughput" not in result["metrics"]


def test_a_log_without_end_does_not_outlive_a_signal(hostile):
    process = hostile.start("while :; do echo a line without end fps=50; done")
    hostile.started()
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=60)
    assert time.monotonic() - began < 30
    assert process.returncode == 143
    assert json.loads(out)["failure"]["kind"] == "interrupted"


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGQUIT, signal.SIGXCPU])
def test_a_terminal_that_goes_away_stops_the_container_and_files_the_run(hostile, number):
    process = hostile.start("echo fps=50; sleep 1000")
    hostile.started()
    process.send_signal(number)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    result = json.loads(out)
    assert result["failure"]["kind"] == "interrupted"
    assert "throughput" not in result["metrics"]
    assert (hostile.folder() / "result.json").exists()


def test_under_nohup_the_run_goes_on(hostile):
    process = hostile.start("echo fps=50; sleep 3", program=("nohup",))
    hostile.started()
    process.send_signal(signal.SIGHUP)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert json.loads(out)["metrics"]["throughput"]["value"] == MEASURED


@pytest.fixture
def small_home(tmp_path):
    """A home on a disk of 6 MiB and 200 files."""
    if os.geteuid() != 0:
        pytest.skip("making a small disk needs root")
    home = tmp_path / "small"
    home.mkdir()
    options = ["-o", "size=6m,nr_inodes=200", "tmpfs"]
    done = subprocess.run(
        ["mount", "-t", "tmpfs", *options, home], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("this machine does not allow mounting a small disk")
    yield home
    subprocess.run(["umount", home], check=True)


FIVE = "for n in 1 2 3 4 5; do echo fps=100; done"


@pytest.mark.parametrize(
    "script",
    [
        f"{FIVE}; head -c 50M /dev/zero > junk; sleep 1; for n in $(seq 10); do echo fps=10 "
        f"$(head -c 4000 /dev/zero | tr \\\\0 x); done; rm junk; {FIVE}",
        f"{FIVE}; head -c 20M /dev/zero | tr \\\\0 x; exit 0",
        f"{FIVE}; for n in $(seq 300); do touch file$n; done; sleep 1; rm file*",
        f"{FIVE}; for n in $(seq 300); do touch file$n; done",
    ],
)
def test_a_disk_that_was_full_at_any_time_is_not_a_success(misbehaving_image, small_home, script):
    hostile = Hostile(misbehaving_image, small_home)
    status, result = hostile.run(script, "--estimator=mean")
    assert status == 1
    assert "was full while the program ran" in result["failure"]["message"]
    assert "throughput" not in result["metrics"]


def test_lines_that_are_printed_while_the_disk_is_full_are_not_lost(misbehaving_image, small_home):
    """So fast that nobody sees the disk full: then the log must be whole."""
    full = (
        f"{FIVE}; head -c 50M /dev/zero > junk; for n in $(seq 10); do "
        f"echo fps=10 $(head -c 4000 /dev/zero | tr \\\\0 x); done; rm junk; {FIVE}"
    )
    status, result = Hostile(misbehaving_image, small_home).run(full, "--estimator=mean")
    assert status == 1 or result["metrics"]["throughput"]["value"] == pytest.approx(55.0)


def test_hits_at_random_moments_leave_neither_container_nor_unfiled_run(
    misbehaving_image, engine, tmp_path
):
    more = ["--runtime=docker", f"--image={misbehaving_image}"]
    kills.attack(len(kills.SIGNALS), 5, tmp_path / "home", more)
    last = kills.command("1", more)
    environment = kills.environment(tmp_path / "home")
    subprocess.run(last, env=environment, cwd=PROJECT, check=True, capture_output=True)
    folders = {path.name for path in Path(tmp_path / "home" / "runs").iterdir()}
    assert not [one for one in engine.our_containers() if one.labels["benchdock.run"] in folders]
