"""Starts a check on the nodes of a partition, by `sinfo` and `srun`.

What srun says counts for nothing: it ends with 0 after a node failed. A node was checked if its
record is in the folder, which all of them share.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from orchestrator.errors import MachineError, RequestError, quoted
from orchestrator.fleet import folder as files
from orchestrator.fleet.record import Launch, Seen
from orchestrator.slurm.programs import Slurm

_LOOK = 0.3
# How long a record may take to show on a file system of a server after its writer has ended, and
# srun to end after the last record.
_GRACE = 15.0
_ENDING = 15.0
_IDLE = "idle"
_LOG = "srun.log"
# As --label marks the lines of a task.
_OF_A_NODE = re.compile(r" *\d+: (?:slurmstepd-[^:]+: error: execve\(\): )?(benchdock: .+|/.+: .+)")
_NOT_HERE = "run it where `sinfo` works, or `benchdock check-node` on each node"


@dataclass(frozen=True, kw_only=True)
class Partition:
    """The nodes of a partition: those that are idle, and the states of the others."""

    name: str
    idle: tuple[str, ...]
    others: dict[str, str]


def look(name: str) -> Partition:
    """Ask Slurm for the nodes of a partition. Raises RequestError, MachineError."""
    states = Slurm().states(name)
    if not states:
        raise RequestError(f"partition {quoted(name)} has no nodes", hint="`sinfo -s` lists them")
    idle = tuple(sorted(node for node, state in states.items() if state == _IDLE))
    others = {node: state for node, state in states.items() if node not in idle}
    if not idle:
        told = ", ".join(f"{node} is {state}" for node, state in sorted(others.items())[:5])
        raise MachineError(f"no node of {name} is idle: {told}", hint="`sinfo -R` says why")
    return Partition(name=name, idle=idle, others=others)


def argv(partition: Partition, command: Sequence[str], options: Sequence[str]) -> list[str]:
    """Return the command that starts `command` once on each idle node; `options` are srun's.

    The whole node belongs to it, without binding it to the one CPU of a task.
    """
    return [
        "srun",
        f"--partition={partition.name}",
        f"--nodes={len(partition.idle)}",
        f"--nodelist={','.join(partition.idle)}",
        "--ntasks-per-node=1",
        "--exclusive",
        "--mem=0",
        "--cpu-bind=none",
        "--no-kill",
        "--kill-on-bad-exit=0",
        "--wait=0",
        "--input=none",
        "--label",
        "--job-name=benchdock-check-node",
        *options,
        *command,
    ]


@dataclass(kw_only=True)
class _Watch:
    """What was seen of the nodes so far."""

    folder: Path
    waiting: list[str]
    tell: Callable[[str], None]
    seen: dict[str, Seen] = field(default_factory=dict)

    def look(self) -> None:
        """Note the time at which a mark or a record is there for the first time."""
        for node in list(self.waiting):
            before = self.seen.get(node, Seen())
            if before.began is None and files.began(self.folder, node):
                before = self.seen[node] = Seen(began=datetime.now(UTC))
                self.tell(f"{node} is being checked")
            if files.ended(self.folder, node):
                self.seen[node] = before.model_copy(update={"ended": datetime.now(UTC)})
                self.waiting.remove(node)
                self.tell(f"{node} is done")


def check(
    partition: Partition,
    command: Sequence[str],
    options: Sequence[str],
    folder: Path,
    *,
    benchdock: str,
    host: str,
    timeout: float,
    tell: Callable[[str], None],
) -> Launch:
    """Check all idle nodes at once and return what was seen. Raises MachineError, Interrupted."""
    launch = Launch(
        benchdock=benchdock,
        host=host,
        partition=partition.name,
        started=datetime.now(UTC),
        asked=partition.idle,
        absent=partition.others,
    )
    files.write_launch(folder, launch)
    if shutil.which("srun") is None:
        raise MachineError("Slurm is not on this machine: no `srun`", hint=_NOT_HERE)
    watch = _Watch(folder=folder, waiting=list(partition.idle), tell=tell)
    with _started(argv(partition, command, options), folder / _LOG) as process:
        late = _follow(process, watch, timeout)
    said = f"stopped after {timeout:.0f} s" if late else _complaint(folder / _LOG)
    launch = launch.model_copy(update={"seen": watch.seen, "said": said})
    files.write_launch(folder, launch)
    return launch


@contextmanager
def _started(words: Sequence[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Yield a process that is ended with the block; srun then cancels its job."""
    with log.open("wb") as stream:
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(_ENDING)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


def _follow(process: subprocess.Popen[bytes], watch: _Watch, timeout: float) -> bool:
    """Look for records until srun ended, and a while longer; return whether time ran out."""
    until = time.monotonic() + timeout
    end: float | None = None
    while True:
        watch.look()
        now = time.monotonic()
        ended = process.poll() is not None
        if ended and not watch.waiting:
            return False
        if end is None and (ended or not watch.waiting):
            end = now + (_GRACE if ended and watch.seen else 0.0 if ended else _ENDING)
        if end is not None and now >= end:
            return False
        if now >= until:
            return True
        time.sleep(_LOOK)


def _complaint(log: Path) -> str:
    """Return the last complaint of a node, else of srun; "" without any."""
    try:
        lines = log.read_text("utf-8", "replace").splitlines()
    except OSError:
        return ""
    told = [found[1] for line in lines if (found := _OF_A_NODE.fullmatch(line))]
    told = told or [line for line in lines if line.startswith("srun: error: ")]
    return told[-1][:300] if told else ""
