"""Sessions on a real Slurm cluster of three virtual nodes with eight fake GPUs each."""

from __future__ import annotations

import json
import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.slurm.session import Session, suite
from tests.support.slurm_cluster import SlurmCluster, missing, running

RUNS = 20


@pytest.fixture(scope="module")
def cluster() -> Iterator[SlurmCluster]:
    if reason := missing():
        if os.environ.get("CI"):
            pytest.fail(f"continuous integration needs a Slurm cluster: {reason}")
        pytest.skip(reason)
    # Not tmp_path: a socket's path must be shorter than 108 bytes.
    root = Path(tempfile.mkdtemp(prefix="benchdock-slurm-"))
    with running(root) as started:
        yield started


@pytest.fixture
def session(cluster: SlurmCluster, tmp_path: Path) -> Session:
    one = Session(cluster, tmp_path / "home", tmp_path / "tools")
    one.suite.write_text(suite(RUNS, 1.0))
    return one


def test_every_run_is_made_once_whatever_fails(session: Session) -> None:
    cluster = session.cluster
    process = session.submit()
    session.wait_for(lambda: session.going_on("n2"))
    # A power cut, and Slurm learns of it at once instead of after minutes.
    cluster.power_cut("n2")
    cluster.run("scontrol", "update", "nodename=n2", "state=down", "reason=power")
    other = session.resume()
    assert "watches this session" in session.end(other)
    session.wait_for(lambda: session.done() >= 4)
    cluster.up("n2")
    cluster.run("scontrol", "update", "nodename=n2", "state=resume")
    session.wait_for(session.going_on)
    cluster.run("scontrol", "requeue", session.going_on()[0], check=False)
    cluster.kill_controller()
    cluster.start_controller()
    session.wait_for(lambda: session.done() >= 8)
    process.send_signal(signal.SIGKILL)  # the watcher; its tasks go on
    process.wait()
    session.wait_for(session.going_on)
    cluster.run("scancel", session.going_on()[-1])
    out = session.end(session.resume())
    if not session.state.finished:  # what somebody cancelled is left to another command
        assert "its task was cancelled in Slurm" in out
        session.end(session.resume())
    seen = session.check(RUNS)
    assert seen["ok"] == RUNS
    assert seen["interrupted"] >= 2
    nodes = {one["note"]["slurm"]["node"] for one in session.results()}
    assert nodes == {"n1", "n2", "n3"}


def test_status_and_cancel_from_another_terminal(session: Session) -> None:
    session.suite.write_text(suite(RUNS, 60.0))
    assert "left: continue with" in session.end(session.submit("--detach"))
    session.wait_for(session.going_on)
    status = json.loads(session.end(session.command("--status", "--json")))
    assert (status["left"], status["finished"]) == (RUNS, False)
    assert status["queue"]["running"] >= 1
    told = session.end(session.command("--cancel", f"--name={session.name}"))
    assert told.startswith(f"s: cancelled {RUNS} tasks\n")
    session.wait_for(lambda: not session.cluster.run("squeue", "--noheader"))
    assert "finished" not in session.end(session.command("--status"))
    results = session.results()
    assert {one["failure"]["kind"] for one in results} == {"interrupted"}


def test_a_folder_that_is_not_shared_is_named_and_the_other_nodes_do_the_work(
    session: Session,
) -> None:
    cluster = session.cluster
    cluster.run(*cluster.inside("n3", "mount", "-t", "tmpfs", "none", str(session.home)))
    try:
        out = session.end(session.submit())
    finally:
        cluster.run(*cluster.inside("n3", "umount", str(session.home)))
    assert "n3 does not see " in out
    assert session.check(RUNS)["ok"] == RUNS


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (("--partition=big",), 2, "this cluster has no partition 'big'; use one of bench"),
        (("--nodes=n9",), 2, "partition bench has no node n9"),
        (("--constraint=h100",), 2, "Slurm refuses 0001-gpu1.sbatch: Invalid feature"),
        (("--sbatch=array=7",), 2, "benchdock sets array itself"),
    ],
)
def test_what_the_cluster_does_not_have_is_one_line(
    session: Session, words: tuple[str, ...], status: int, told: str
) -> None:
    process = session.submit(*words)
    out = session.end(process)
    assert told in out
    assert "Traceback" not in out
    assert process.returncode == status


def test_gpus_that_no_node_has_are_refused(session: Session) -> None:
    session.suite.write_text(suite(RUNS, 1.0).replace("devices: 8", "devices: 9"))
    process = session.command("--on=slurm", "--detach", str(session.suite))
    out = session.end(process)
    assert "no node of partition bench has 9 GPUs; the largest has 8" in out
    session.end(session.command("--cancel"))


def test_a_cluster_without_a_controller_says_so(session: Session) -> None:
    session.cluster.kill_controller()
    try:
        process = session.submit()
        out = process.communicate()[0]
    finally:
        session.cluster.start_controller()
    assert "no Slurm controller answers: Unable to contact slurm controller" in out
    assert process.returncode == 3
