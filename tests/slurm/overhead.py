"""`make slurm-overhead`: what a task of a session takes beside the same program in a bare script.

Each task of the array times both, in turn, so that they share node, moment and what Slurm itself
takes. The program does nothing; the tasks run one by one, on a GPU each, and nobody watches.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import tempfile
from pathlib import Path

from tests.bench.pairs import Paired, report, spread
from tests.slurm.session import Session, suite
from tests.support.slurm_cluster import SlurmCluster, missing, running

LIMIT = 0.5
PROGRAM = "bash -c 'sleep 0; echo fps=1'"
# `$0` is the script that sbatch got. Each line of the files is: wall, user and system seconds.
_TIMED = f"""\
if [[ -z ${{TIMED-}} ]]; then
  export TIMED=1 TIMEFORMAT='%R %U %S'
  here=$(dirname "${{BASH_SOURCE[0]}}")
  ours() {{ {{ time bash "$0" >/dev/null 2>&1; }} 2>>"$here/ours"; }}
  theirs() {{ {{ time bash -c "{PROGRAM}" >/dev/null 2>&1; }} 2>>"$here/theirs"; }}
  if (( SLURM_ARRAY_TASK_ID % 2 )); then ours; theirs; else theirs; ours; fi
  exit
fi
"""


def measured(cluster: SlurmCluster, root: Path, runs: int) -> tuple[Paired, Paired]:
    """Return seconds by the clock on the wall, and of CPU time, of tasks that run one by one."""
    session = Session(cluster, root / "home", root / "tools")
    session.suite.write_text(re.sub(r"devices: \d", "devices: 1", suite(runs, 0)))
    timed = session.tools / "timed.sh"
    timed.write_text(_TIMED)
    session.set_up(f"source {timed}")
    try:
        session.end(session.submit("--jobs=1", "--detach"), 120)
        session.wait_for(lambda: session.done() >= runs and not session.going_on(), 600)
        session.end(session.resume(), 120)
        session.check(runs)
    finally:
        session.close()
    our_wall, our_cpu = zip(*_read(session.tools / "ours"), strict=True)
    their_wall, their_cpu = zip(*_read(session.tools / "theirs"), strict=True)
    return Paired(our_wall, their_wall), Paired(our_cpu, their_cpu)


def _read(path: Path) -> list[tuple[float, float]]:
    """Return wall and CPU seconds of each task."""
    found = []
    for line in path.read_text().splitlines():
        wall, user, system = map(float, line.split())
        found.append((wall, user + system))
    return found


def main() -> None:
    """Measure on a cluster of our own. Exit status 1 if the promise is missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.slurm.overhead", description=__doc__)
    parser.add_argument("--runs", type=int, default=30)
    asked = parser.parse_args()
    if reason := missing():
        raise SystemExit(f"benchdock: {reason}")
    root = Path(tempfile.mkdtemp(prefix="benchdock-slurm-"))
    before = os.getloadavg()[0]
    try:
        with running(root / "cluster", nodes=1) as cluster:
            wall, cpu = measured(cluster, root, asked.runs)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    print(f"load {before:.1f} before, {os.getloadavg()[0]:.1f} after; {len(wall.ours)} pairs")
    print(f"      a task {spread(wall.ours)}, the program by itself {spread(wall.theirs)}")
    report("CPU time of a task, added to its program", cpu.difference, LIMIT, "s")
    kept = report("a task, added to its program in a bare script", wall.difference, LIMIT, "s")
    raise SystemExit(0 if kept else 1)


if __name__ == "__main__":
    main()
