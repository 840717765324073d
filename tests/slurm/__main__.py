"""`make slurm-faults`: every fault in sessions of 200 runs, and how fast 10,000 are submitted."""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tests.slurm.session import Session, suite
from tests.support.slurm_cluster import SlurmCluster, missing, running

# Seconds of a run's program, and after which Slurm gives a silent node up.
PROGRAM = 1.0
SLURMD_TIMEOUT = 5


_OPEN: list[Session] = []


def opened(session: Session) -> Session:
    """Return a session whose commands are ended with this program."""
    _OPEN.append(session)
    return session


def power_cut(session: Session) -> None:
    """Cut the power of a node that works, and give it back once Slurm has noticed."""
    session.working_task("n2")
    session.cluster.power_cut("n2")
    session.wait_for(lambda: "down" in session.cluster.state("n2"), 120)
    session.cluster.up("n2")


def slurmd_dies(session: Session) -> None:
    """Kill slurmd while its tasks live, until Slurm requeues them."""
    session.working_task("n3")
    session.cluster.kill_slurmd("n3")
    session.wait_for(lambda: "down" in session.cluster.state("n3"), 120)
    session.cluster.start_slurmd("n3")


def controller_dies(session: Session) -> None:
    """Kill the controller; the tasks go on without it."""
    session.cluster.kill_controller()
    time.sleep(3)
    session.cluster.start_controller()


def requeue(session: Session) -> None:
    """Requeue all that runs."""
    session.working_task()
    for task in session.going_on():
        session.cluster.run("scontrol", "requeue", task, check=False)


def scancel(session: Session) -> None:
    """Cancel two tasks that run."""
    session.cluster.run("scancel", session.working_task())


def full_disk(session: Session) -> None:
    """Fill the shared disk for a while."""
    session.working_task()
    path = session.home / "filler"
    with path.open("wb") as stream:
        try:
            while True:
                stream.write(bytes(2**16))
                stream.flush()
        except OSError:
            pass
    time.sleep(5)
    path.unlink()


def watcher_dies(session: Session) -> None:
    """Kill the process that watches; `main` resumes the session."""
    told = (session.where / "slurm/watcher").read_text().split()
    subprocess.run(("kill", "-KILL", told[1]), check=False)


FAULTS: tuple[Callable[[Session], None], ...] = (
    power_cut, slurmd_dies, controller_dies, requeue, scancel, full_disk, watcher_dies,
)  # fmt: skip


def attack(cluster: SlurmCluster, root: Path, runs: int, faults: int) -> None:
    """Run one session with all faults in its course. Raises AssertionError."""
    home = root / "shared"
    session = opened(Session(cluster, home / "home", root / "tools"))
    session.suite.write_text(suite(runs, PROGRAM))
    process, began, commands = session.submit(), time.monotonic(), 1
    log = (root / "commands.log").open("w")
    for number, fault in enumerate(FAULTS[:faults], start=1):
        at = runs * number // (len(FAULTS[:faults]) + 2)
        while session.done() < at:
            session.cluster.hurry()
            time.sleep(0.3)
            if process.poll() is not None:
                log.write(process.communicate()[0])
                process, commands = session.resume(), commands + 1
        print(f"{time.monotonic() - began:6.0f} s, {session.done()} ended: {fault.__name__}")
        fault(session)
    while True:
        log.write(session.end(process, 600))
        if session.state.finished:
            break
        process, commands = session.resume("--rerun=failed"), commands + 1
    seen = session.check(runs)
    for one in session.results():
        if one["failure"] and one["failure"]["kind"] != "interrupted":
            print(f"failed first: {one['failure']['message']}")
    print(f"{runs} runs in {time.monotonic() - began:.0f} s and {commands} commands: {dict(seen)}")


def time_limit(cluster: SlurmCluster, root: Path) -> None:
    """Let Slurm's time limit end a run. Raises AssertionError."""
    session = opened(Session(cluster, root / "limit", root / "limit-tools"))
    text = suite(3, 600.0)
    session.suite.write_text(text.partition("control:")[0] + text[text.index("groups:") :])
    session.end(session.submit("--sbatch=time=1"), 600)
    kinds = Counter(end.kind for end in session.state.ended.values())
    print(f"time limit: {dict(kinds)}")
    assert set(kinds) == {"timeout"}


def no_controller(cluster: SlurmCluster, root: Path) -> None:
    """Submit while no controller runs. Raises AssertionError."""
    session = opened(Session(cluster, root / "none", root / "none-tools"))
    session.suite.write_text(suite(3, 1.0))
    cluster.kill_controller()
    began = time.monotonic()
    process = session.submit()
    out, _ = process.communicate()
    cluster.start_controller()
    print(f"no controller, after {time.monotonic() - began:.0f} s: {out.splitlines()[-1]}")
    assert "no Slurm controller answers: Unable to contact slurm controller" in out
    assert process.returncode == 3


def submission(cluster: SlurmCluster, root: Path, runs: int) -> None:
    """Measure how long it takes to submit very many runs."""
    session = opened(Session(cluster, root / "many", root / "many-tools", "many"))
    models = ", ".join(f"m{number}" for number in range(runs // 10))
    session.suite.write_text(
        "schema: 1\nname: many\nrepeat: 10\ndefaults: {framework: custom, runtime: host, "
        f"pattern: x=(.), command: 'true'}}\ngroups: {{a: {{matrix: {{model: [{models}]}}}}}}\n"
    )
    began = time.monotonic()
    session.end(session.submit("--detach"), 600)
    took = time.monotonic() - began
    told = session.end(session.command("--cancel", "--name=many"), 600)
    print(f"{runs} runs submitted in {took:.1f} s; {told.splitlines()[0]}")
    assert took < 10, took


def main() -> None:
    """Attack a cluster of our own."""
    parser = argparse.ArgumentParser(prog="python -m tests.slurm", description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--faults", type=int, default=len(FAULTS), help="only the first so many")
    parser.add_argument("--submit", type=int, default=10_000)
    asked = parser.parse_args()
    if reason := missing():
        raise SystemExit(f"benchdock: {reason}")
    root = Path(tempfile.mkdtemp(prefix="benchdock-slurm-"))
    (root / "shared").mkdir()
    mount = ("mount", "-t", "tmpfs", "-o", "size=400m", "none", str(root / "shared"))
    subprocess.run(mount, check=True)
    try:
        with running(root / "cluster") as cluster:
            time_limit(cluster, root)
            no_controller(cluster, root)
            attack(cluster, root, asked.runs, asked.faults)
            # Last: a controller that is killed may forget that jobs were cancelled.
            submission(cluster, root, asked.submit)
    finally:
        for session in _OPEN:
            session.close()
        subprocess.run(("umount", "--lazy", str(root / "shared")), check=False)


if __name__ == "__main__":
    main()
