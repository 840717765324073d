"""Rootless podman by command line: the promises about faults, kept by the real command."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator

import pytest

from orchestrator.images import exporting
from tests import misbehaving
from tests.engine import rootless
from tests.engine.rootless import Account
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.engine, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def user() -> Iterator[Account]:
    try:
        with rootless.account() as found:
            yield found
    except rootless.NotHereError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def image(user: Account, engine, misbehaving_image: str) -> str:
    """The misbehaving image in the user's store, by way of an OCI archive."""
    file = user.folder / "image.tar"
    exporting.oci(engine, misbehaving_image, file)
    file.chmod(0o644)
    said = user.podman("load", "--quiet", "--input", str(file))
    file.unlink()
    assert misbehaving_image in said
    return misbehaving_image


def words(image: str, behaviour: str, *options: str) -> list[str]:
    usual = ["run", *misbehaving.RUN_OPTIONS, "--runtime=podman", "--json"]
    return [*usual, f"--image={image}", f"--option=behaviour={behaviour}", *options]


def start(user: Account, image: str, behaviour: str, *options: str):
    return user.start(user.python, "-m", "tests.misbehaving", *words(image, behaviour, *options))


def run(user: Account, image: str, behaviour: str, *options: str):
    """Run benchdock as the user; return its status, the result and what it said."""
    process = start(user, image, behaviour, *options)
    out, err = process.communicate(timeout=120)
    assert "Traceback" not in err
    return process.returncode, json.loads(out), err


def containers(user: Account, *, running: bool = False) -> list[str]:
    which = [] if running else ["--all"]
    return user.podman("ps", *which, "--format", "{{.Names}}").split()


def wait_for_container(user: Account) -> None:
    deadline = time.monotonic() + 60
    while not containers(user, running=True):
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_a_run(user: Account, image: str, engine) -> None:
    status, result, err = run(user, image, "good")
    assert status == 0, err
    assert result["metrics"]["throughput"] == {"value": 4.0, "unit": "samples/s"}
    assert result["plan"]["runtime"] == "podman"
    assert result["plan"]["image_id"] == engine.image(image).id
    folder = user.home / "runs" / result["run"]
    assert json.loads((folder / "result.json").read_text()) == result
    assert b"::benchdock " in (folder / "log.txt").read_bytes()
    assert containers(user) == []


def test_a_program_that_fails(user: Account, image: str) -> None:
    status, result, _ = run(user, image, "exit1")
    assert status == 1
    assert result["failure"]["kind"] == "crashed"
    assert "exit code 1" in result["failure"]["message"]
    assert containers(user) == []


def test_a_limit_that_is_not_applied_is_in_the_verdict(user: Account, image: str) -> None:
    info = json.loads(user.podman("info", "--format", "json"))["host"]
    if info["cgroupVersion"] == "v2" and "memory" in (info["cgroupControllers"] or ()):
        pytest.skip("needs a machine where rootless podman cannot limit memory")
    status, result, _ = run(user, image, "good", "--memory=512m", "--require=valid")
    assert status == 4
    assert result["verdict"]["trust"] == "suspect"
    assert "limit_missed" in {one["code"] for one in result["verdict"]["reasons"]}
    assert any("--memory (512.0 MiB) was not applied" in text for text in result["notes"])


def test_an_interrupted_run_leaves_no_container(user: Account, image: str) -> None:
    process = start(user, image, "stalls")
    wait_for_container(user)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert json.loads(out)["failure"]["kind"] == "interrupted"
    assert containers(user) == []


def living(user: Account) -> list[str]:
    """The conmons of benchdock's containers, each the parent of one container's processes."""
    told = user.run("ps", "-U", str(user.uid), "-o", "args=").stdout.splitlines()
    return [line for line in told if "/conmon " in line and " benchdock-" in line]


@pytest.mark.parametrize("keeper", [True, False])
def test_what_a_killed_benchdock_leaves_is_removed_by_the_next_run(
    keeper: bool, user: Account, image: str
) -> None:
    process = start(user, image, "stalls")
    wait_for_container(user)
    killed = [process.pid]
    if not keeper:  # which would end the container's processes
        told = user.run("ps", "--ppid", str(process.pid), "-o", "pid=,args=").stdout
        killed.insert(0, *[int(row.split()[0]) for row in told.splitlines() if "keeper.py" in row])
        assert len(killed) == 2
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    process.communicate(timeout=60)
    if keeper:
        wait_for(lambda: not living(user))
    else:
        assert len(living(user)) == 1
    doctor = user.run(user.python, "-m", "orchestrator", "doctor").stdout
    assert "podman rm -f benchdock-" in doctor
    status, _, err = run(user, image, "good")
    assert status == 0
    assert "removed leftovers of a killed benchdock: benchdock-" in err
    assert (containers(user), living(user)) == ([], [])


def test_a_missing_image_of_ours(user: Account) -> None:
    asked = [
        "run",
        "deep_mnist",
        "-f",
        "pytorch",
        "--gpus",
        "none",
        "--runtime",
        "podman",
        "--quiet",
    ]
    done = user.run(user.python, "-m", "orchestrator", *asked)
    assert done.returncode == 3
    (line,) = done.stderr.splitlines()
    assert "podman has no image benchdock/pytorch-cpu:" in line
    assert "| podman load" in line
