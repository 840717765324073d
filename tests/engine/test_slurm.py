"""Sessions on a real Slurm cluster of three virtual nodes with eight fake GPUs each."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.images import image_table, store
from orchestrator.paths import PROJECT
from tests.slurm.session import Session, suite
from tests.support import slurm_accounting
from tests.support.slurm_cluster import SlurmCluster, missing, running

RUNS = 20


# One for each test: after a SIGKILL of its controller, Slurm 22.05 may count GPUs as used for ever.
@pytest.fixture
def cluster() -> Iterator[SlurmCluster]:
    if reason := missing():
        if os.environ.get("CI") and os.geteuid() == 0:
            pytest.fail(f"continuous integration needs a Slurm cluster: {reason}")
        pytest.skip(reason)
    # Not tmp_path: a socket's path must be shorter than 108 bytes.
    root = Path(tempfile.mkdtemp(prefix="benchdock-slurm-"))
    try:
        with running(root) as started:
            yield started
    finally:
        shutil.rmtree(root, ignore_errors=True)


@pytest.fixture
def session(cluster: SlurmCluster, tmp_path: Path) -> Iterator[Session]:
    one = Session(cluster, tmp_path / "home", tmp_path / "tools")
    one.suite.write_text(suite(RUNS, 1.0))
    yield one
    one.close()


def test_every_run_is_made_once_whatever_fails(session: Session) -> None:
    cluster = session.cluster
    process = session.submit()
    session.working_task("n2")
    # A power cut, and Slurm learns of it at once instead of after minutes.
    cluster.power_cut("n2")
    cluster.run("scontrol", "update", "nodename=n2", "state=down", "reason=power")
    other = session.resume()
    assert "watches this session" in session.end(other)
    session.wait_for(lambda: session.done() >= 4)
    cluster.up("n2")
    cluster.run("scontrol", "update", "nodename=n2", "state=resume")
    cluster.run("scontrol", "requeue", session.working_task(), check=False)
    cluster.kill_controller()
    cluster.start_controller()
    session.wait_for(lambda: session.done() >= 8)
    process.send_signal(signal.SIGKILL)  # the watcher; its tasks go on
    process.communicate()
    cluster.run("scancel", session.working_task())
    out = session.end(session.resume())
    if not session.state.finished:  # what somebody cancelled is left to another command
        assert "its task was cancelled in Slurm" in out
        session.end(session.resume())
    seen = session.check(RUNS)
    assert seen["ok"] == RUNS
    assert seen["interrupted"] >= 1
    nodes = {one["note"]["slurm"]["node"] for one in session.results()}
    assert nodes == {"n1", "n2", "n3"}


def test_status_and_cancel_from_another_terminal(session: Session) -> None:
    session.suite.write_text(suite(RUNS, 60.0))
    assert "left: continue with" in session.end(session.submit("--detach"))
    session.wait_for(lambda: list(session.home.glob("runs/*/launcher.sh")))
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
    session.suite.write_text(suite(5, 0.2))  # three of them need a whole node each
    cluster.run(*cluster.inside("n3", "mount", "-t", "tmpfs", "none", str(session.home)))
    try:
        out = session.end(session.submit())
    finally:
        cluster.run(*cluster.inside("n3", "umount", str(session.home)))
    assert "n3 does not see " in out
    assert session.check(5)["ok"] == 5


def test_what_the_cluster_does_not_have_is_one_line(session: Session) -> None:
    cases = {
        "--partition=big": "this cluster has no partition 'big'; use one of bench",
        "--nodes=n9": "partition bench has no node n9",
        "--constraint=h100": "Slurm refuses 0001-gpu1.sbatch: Invalid feature",
        "--sbatch=array=7": "benchdock sets array itself",
    }
    for word, told in cases.items():
        process = session.command("--on=slurm", str(session.suite), word)
        out = session.end(process)
        assert told in out
        assert "Traceback" not in out
        assert process.returncode == 2
    session.suite.write_text(re.sub("devices: .", "devices: 9", suite(RUNS, 1.0)))
    out = session.end(session.submit())
    assert "no node of partition bench has 9 GPUs; the largest has 8" in out


def test_a_cancelled_job_leaves_no_container(session: Session, engine, misbehaving_image) -> None:
    text = suite(4, 300.0).replace(
        "runtime: host", f"runtime: docker\n  image: {misbehaving_image}"
    )
    session.suite.write_text(re.sub("devices: .", "gpus: none", text))

    def containers() -> list[str]:
        runs = {path.name for path in (session.home / "runs").glob("*")}
        return [
            one.name for one in engine.our_containers() if one.labels.get("benchdock.run") in runs
        ]

    session.end(session.submit("--detach"))
    session.wait_for(containers)
    session.end(session.command("--cancel"))
    session.wait_for(lambda: not containers())
    session.wait_for(lambda: not session.cluster.run("squeue", "--noheader"))


@pytest.mark.slow
def test_accounting_knows_what_the_queue_forgot(tmp_path: Path) -> None:
    if reason := missing() or slurm_accounting.missing():
        pytest.skip(reason)
    root = Path(tempfile.mkdtemp(prefix="benchdock-slurm-"))
    with running(root, nodes=1, min_job_age=2, accounting=True) as cluster:
        session = Session(cluster, tmp_path / "home", tmp_path / "tools")
        session.suite.write_text(re.sub("devices: .", "devices: 8", suite(6, 300.0)))
        process = session.submit()
        try:
            session.working_task()
            process.send_signal(signal.SIGSTOP)  # it looks at the queue too late
            known = ("squeue", "--noheader", "--states=all", "--format=%F")
            job = max(cluster.run(*known).split())  # it waits for the others
            cluster.run("scancel", job)
            session.wait_for(lambda: job not in cluster.run(*known).split(), 120)
            assert "CANCELLED" in cluster.run("sacct", f"--jobs={job}", "--allocations")
            process.send_signal(signal.SIGCONT)
            session.wait_for(lambda: "its task was" in session.log())
            assert "its task was cancelled in Slurm" in session.log()
        finally:
            session.close()
    shutil.rmtree(root, ignore_errors=True)


def _environment_of_horovod(engine, folder: Path) -> Path:
    """Return a Python with the packages of the image horovod-cpu, on this host."""
    table = image_table.load()
    name = store.name_of(table.image("horovod-cpu"), table)
    if engine.image(name) is None:
        pytest.skip("needs the image horovod-cpu: run `benchdock images build horovod-cpu`")
    made = subprocess.run(("docker", "create", name), check=True, capture_output=True, text=True)
    container = made.stdout.strip()
    try:
        subprocess.run(("docker", "cp", f"{container}:/opt/fw", folder / "fw"), check=True)
    finally:
        subprocess.run(("docker", "rm", container), check=True, capture_output=True)
    subprocess.run((sys.executable, "-m", "venv", "--without-pip", folder / "env"), check=True)
    (packages,) = (folder / "env/lib").glob("python3.*/site-packages")
    (packages / "framework.pth").write_text(f"{folder / 'fw'}\n")
    return folder / "env/bin/python"


@pytest.mark.slow
@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="needs the Python of the image: 3.11")
def test_horovod_trains_on_two_nodes_as_on_one(session: Session, engine, tmp_path: Path) -> None:
    python = _environment_of_horovod(engine, tmp_path)
    script = tmp_path / "examples/pytorch/pytorch_synthetic_benchmark.py"
    script.parent.mkdir(parents=True)
    # It prints as upstream's program does, after the proof that the ranks train together.
    script.write_text(
        f"import runpy, sys, os\nassert '--no-cuda' in sys.argv\n"
        f"runpy.run_path({str(PROJECT / 'tests/horovod/ranks.py')!r}, run_name='__main__')\n"
        "import horovod.torch as hvd\n"
        "if hvd.rank() == 0:\n"
        "    print(f'Number of CPUs: {hvd.size()}, nodes: {hvd.cross_size()}')\n"
        "    print('Iter #0: 10.0 img/sec per CPU')\n"
        "    print(f'Img/sec per CPU: 10.0 +-0.0')\n"
        "    print(f'Total img/sec on {hvd.size()} CPU(s): {10.0 * hvd.size()} +-0.0')\n"
    )
    words = (
        "run resnet18 -f horovod_pytorch --phase training --ranks 4 --nodes 2 --steps 10 --json "
        f"--python {python} --source {tmp_path / 'examples'}"
    )
    command = f"BENCHDOCK_HOME={session.home} {sys.executable} -m orchestrator {words}"
    out = tmp_path / "out"
    batch = ("sbatch", "--wait", "--nodes=2", "--exclusive", f"--chdir={PROJECT}")
    done = subprocess.run(
        (*batch, f"--output={out}", f"--wrap={command}"),
        env=session.cluster.environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    (log,) = session.home.glob("runs/*/log.txt")
    told = log.read_text()
    assert done.returncode == 0, out.read_text() + told
    assert "equal weights on 4 ranks" in told
    assert "Number of CPUs: 4, nodes: 2" in told
    (found,) = session.results()
    assert (found["status"], found["metrics"]["throughput"]["value"]) == ("ok", 40.0)
