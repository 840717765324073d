"""Calls Slurm's programs. What they refuse becomes one line."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import MachineError, RequestError
from orchestrator.machine.inventory import ranges
from orchestrator.slurm.queue import ENDED, Task, ended_tasks, read_queue

# Slurm itself gives up after 9 s if no controller answers, and retries a busy one for longer.
PATIENCE = 120.0
# Of a cluster whose configuration does not say it; Slurm's own default.
USUAL_ARRAY = 1001
# Accounting is asked for this many days, else only for today.
_DAYS = 30
_GPUS = re.compile(r"gpu:(?:([^:(,]+):)?(\d+)", re.ASCII)
# The controller did not answer, or its answer was lost: it may have done what was requested.
_UNHEARD = re.compile(
    "Unable to contact slurm controller|Socket timed out|Zero Bytes were transmitted"
    "|Connection refused|standby mode|Transport endpoint|temporarily unable"
)
_HINTS = {
    "partition": "choose one with --partition; `sinfo --summarize` lists them",
    "account": "choose one with --account; `sacctmgr show associations user=$USER` lists them",
    "job array specification": "the cluster's MaxArraySize is smaller than `scontrol show config` "
    "says; tell its administrator",
    "node configuration is not available": "no node has this; check the GPUs per run, "
    "--constraint and --sbatch against `sinfo --Node --format='%N %G %f %c %m'`",
    "constraint": "check --constraint against the features that `sinfo --format='%f'` lists",
    "feature": "check --constraint against the features that `sinfo --format='%f'` lists",
    "time limit": "use a shorter --sbatch time=, or another --partition",
    "node name": "check --nodes against `sinfo --Node`",
    "qos": "choose another with --sbatch qos=",
}


class UnheardError(MachineError):
    """The controller did not answer; the request may have been carried out."""


@dataclass(frozen=True)
class Answer:
    """What a program printed, and its exit status."""

    status: int
    out: str
    err: str


Call = Callable[[Sequence[str]], Answer]


def call(argv: Sequence[str]) -> Answer:
    """Run one of Slurm's programs. Raises MachineError if it is not installed."""
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=PATIENCE,
            env=_environment(os.environ),
        )
    except FileNotFoundError:
        raise MachineError(
            f"{argv[0]} is not installed here",
            hint="run benchdock on a machine from which you can submit to Slurm",
        ) from None
    except subprocess.TimeoutExpired:
        raise UnheardError(f"{argv[0]} did not end within {PATIENCE:.0f} s") from None
    return Answer(done.returncode, done.stdout, done.stderr)


def _environment(told: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without what an enclosing job or the user's formats would change."""
    changing = ("SLURM_", "SQUEUE_", "SINFO_", "SACCT_")
    kept = {
        name: value
        for name, value in told.items()
        if not name.startswith(changing) or name.startswith("SLURM_CONF")
    }
    # Without it, long lists of task numbers end in "...".
    return {**kept, "SLURM_BITSTR_LEN": "0"}


@dataclass(frozen=True, kw_only=True)
class Node:
    """A node of a partition; `gpus` by their type, "" without one."""

    name: str
    partition: str
    is_default: bool
    gpus: Mapping[str, int]

    def most(self, kind: str = "") -> int:
        """Return how many GPUs one run can have there, of a type if that matters."""
        return self.gpus.get(kind, 0) if kind else sum(self.gpus.values())


class Slurm:
    """A cluster, through its programs. Each method raises MachineError if it cannot be asked."""

    def __init__(self, call: Call = call) -> None:
        self._call = call

    def largest_array(self) -> int:
        """Return how many tasks an array may have."""
        told = self._asked("scontrol", "show", "config")
        found = re.search(r"^MaxArraySize\s*=\s*(\d+)", told, re.MULTILINE)
        return max(1, int(found[1]) if found else USUAL_ARRAY)

    def nodes(self) -> tuple[Node, ...]:
        """Return the nodes, once for each of their partitions."""
        told = self._asked("sinfo", "--noheader", "--Node", "--format=%N|%P|%G")
        return tuple(_node(*line.split("|")) for line in told.split() if line.count("|") == 2)

    def states(self, partition: str) -> dict[str, str]:
        """Return the state of each node of a partition; none if there is no such partition."""
        argv = ("sinfo", "--noheader", "--Node", f"--partition={partition}", "--format=%N %T")
        lines = self._asked(*argv).splitlines()
        return dict(map(str.split, filter(str.strip, lines)))

    def expand(self, nodes: str) -> tuple[str, ...]:
        """Return the names that n[1-3],n7 stands for. Raises RequestError."""
        answer = self._call(("scontrol", "show", "hostnames", nodes))
        if answer.status or not answer.out.split():
            raise RequestError(
                f"--nodes {nodes} is not a list of nodes", hint="write it like n1,n2 or n[1-4]"
            )
        return tuple(answer.out.split())

    def submit(self, script: Path, *, after: Sequence[str] = ()) -> str:
        """Submit an array that starts once the jobs `after` have ended; return its id.

        Raises UnheardError if it may have been submitted, RequestError if Slurm refuses it.
        """
        argv = ["sbatch", "--parsable"]
        if after:
            argv.append(f"--dependency=afterany:{':'.join(after)}")
        answer = self._call([*argv, str(script)])
        job = answer.out.strip().partition(";")[0]
        if answer.status == 0 and job.isdecimal():
            return job
        said = _said(answer)
        if _UNHEARD.search(said):
            raise _unheard(said)
        low = said.lower()
        hint = next((hint for word, hint in _HINTS.items() if word in low), "")
        raise RequestError(f"Slurm refuses {script.name}: {said}", hint=hint)

    def tasks(self, names: Iterable[str]) -> list[Task]:
        """Return the tasks of the user's jobs of these names that Slurm still knows."""
        wanted = set(names)
        if not wanted:
            return []
        argv = ("squeue", "--json", "--me", "--states=all", f"--name={','.join(sorted(wanted))}")
        return [one for one in read_queue(self._asked(*argv)) if one.name in wanted]

    def ended(self, names: Iterable[str]) -> list[Task]:
        """Return the tasks of jobs that accounting knows; none if there is no accounting."""
        argv = ("sacct", "--noheader", "--parsable2", "--allocations", f"--name={','.join(names)}")
        fields = "--format=JobID,JobName,State,ExitCode,NodeList"
        # Without a state, what was cancelled while it waited for another job is left out.
        states = (f"--state={','.join(sorted(ENDED))}", "--endtime=now")
        try:
            answer = self._call((*argv, f"--starttime=now-{_DAYS}days", *states, fields))
        except MachineError:  # it is not installed, or busy
            return []
        return ended_tasks(answer.out) if answer.status == 0 else []

    def cancel(self, jobs: Sequence[str], *, only_pending: bool = False) -> None:
        """Cancel jobs, or tasks such as 12_3; no error if they are gone."""
        state = ("--state=PENDING",) if only_pending else ()
        for start in range(0, len(jobs), 500):  # a command line has a limited length
            self._asked("scancel", "--quiet", *state, *jobs[start : start + 500])

    def exclude(self, tasks: Iterable[Task], nodes: Iterable[str]) -> None:
        """Keep tasks that have not started away from nodes; no error if one is gone.

        A task that runs must not be changed: Slurm 22.05 then never frees its GPUs.
        """
        waiting: dict[str, list[int]] = {}
        for task in tasks:
            if task.state == "PENDING":
                waiting.setdefault(task.job, []).append(task.index)
        listed = f"excnodelist={','.join(sorted(nodes))}"
        for job, indices in waiting.items():
            self._call(("scontrol", "update", f"jobid={job}_[{ranges(indices)}]", listed))

    def release(self, task: str) -> None:
        """Let a held task start; no error if it is gone."""
        self._call(("scontrol", "release", task))

    def _asked(self, *argv: str) -> str:
        answer = self._call(argv)
        if answer.status == 0:
            return answer.out
        said = _said(answer)
        if _UNHEARD.search(said):
            raise _unheard(said)
        again = " ".join(argv[:3])
        raise MachineError(f"{argv[0]} failed: {said}", hint=f"run `{again}` to see it")


def _said(answer: Answer) -> str:
    """Return the last line of an error, without the program's name."""
    lines = [line for line in (answer.err or answer.out).splitlines() if line.strip()]
    text = lines[-1] if lines else f"exit status {answer.status}"
    text = re.sub(r"^\w+: (error: )?", "", text)
    text = text.removeprefix("Batch job submission failed: ")
    return " ".join(text.split())[:300]


def _unheard(said: str) -> UnheardError:
    return UnheardError(
        f"no Slurm controller answers: {said}", hint="run `scontrol ping` to see which one is down"
    )


def _node(name: str, partition: str, gres: str) -> Node:
    gpus: dict[str, int] = {}
    for kind, count in _GPUS.findall(gres):
        gpus[kind] = gpus.get(kind, 0) + int(count)
    return Node(
        name=name,
        partition=partition.removesuffix("*"),
        is_default=partition.endswith("*"),
        gpus=gpus,
    )
