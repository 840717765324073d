"""A cluster that runs its tasks in this process, one at a time, and fails as it is told."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from orchestrator.errors import Interrupted, MachineError
from orchestrator.request import Request
from orchestrator.result import Result
from orchestrator.run import filing
from orchestrator.slurm import arrays, task
from orchestrator.slurm.programs import Node, UnheardError
from orchestrator.slurm.queue import Task
from orchestrator.slurm.task import Given, OnFolder
from tests.support.sessions import Act, file_result

NODES = tuple(
    Node(name=name, partition="bench", is_default=True, gpus={"fake": 8})
    for name in ("n1", "n2", "n3")
)


class Died(Exception):  # noqa: N818 - it says what happened
    """The task's process is gone, as after a SIGKILL: nothing is filed or cleaned up."""


# What becomes of an attempt: as in `sessions`, or its process dies (then it is the state that Slurm
# reports, or "REQUEUED").
Fate = Act | str
STATES = ("NODE_FAIL", "FAILED", "TIMEOUT", "OUT_OF_MEMORY", "CANCELLED", "REQUEUED")


@dataclass
class FakeSlurm:
    """Runs one task each time somebody sleeps; `fate` says what becomes of an attempt."""

    fate: Callable[[Request, Given], Fate] = lambda _request, _given: None
    largest: int = 1000
    down: int = 0
    clock: float = 0.0
    code: int = 1
    queue: list[Task] = field(default_factory=list)
    after: dict[str, tuple[str, ...]] = field(default_factory=dict)
    orders: dict[str, Path] = field(default_factory=dict)
    restarts: dict[str, int] = field(default_factory=dict)
    ran: list[tuple[str, Given]] = field(default_factory=list)
    excluded: list[str] = field(default_factory=list)
    forgets: bool = False
    node_of: Callable[[int, int], str] = lambda index, attempt: NODES[(index + attempt) % 3].name

    def largest_array(self) -> int:
        return self.largest

    def nodes(self) -> tuple[Node, ...]:
        return NODES

    def expand(self, nodes: str) -> tuple[str, ...]:
        return tuple(nodes.split(","))

    def submit(self, script: Path, *, after: Sequence[str] = ()) -> str:
        if self.down:
            self.down -= 1
            raise UnheardError("no Slurm controller answers: Socket timed out")
        text = script.read_text()
        name = re.search(r"--job-name=(\S+)", text)
        last = re.search(r"--array=0-(\d+)", text)
        assert name
        assert last
        job = str(len(self.orders) + 1)
        self.orders[job] = script.with_suffix(".jsonl")
        self.after[job] = tuple(after)
        self.queue += [
            Task(job=job, index=index, name=name[1], state="PENDING")
            for index in range(int(last[1]) + 1)
        ]
        return job

    def tasks(self, names: Iterable[str]) -> list[Task]:
        wanted = set(names)
        return [
            one for one in self.queue if one.name in wanted and (one.is_live or not self.forgets)
        ]

    def ended(self, names: Iterable[str]) -> list[Task]:
        return []

    def cancel(self, jobs: Sequence[str], *, only_pending: bool = False) -> None:
        # Slurm 22.05 forgets a task at once that had not started and was cancelled by its number.
        single = [one for one in self.queue if one.state == "PENDING" and one.id in jobs]
        self.queue = [one for one in self.queue if one not in single]
        for one in self.queue:
            if one.is_live and (one.job in jobs or one.id in jobs):
                self._set(one, "CANCELLED")

    def release(self, task: str) -> None:
        for one in self.queue:
            if one.id == task:
                self.queue[self.queue.index(one)] = replace(one, reason="")

    def exclude(self, tasks: Iterable[Task], nodes: Iterable[str]) -> None:
        self.excluded += sorted(nodes)

    def _set(self, one: Task, state: str) -> None:
        self.queue[self.queue.index(one)] = replace(one, state=state, node="n1", code=self.code)

    def now(self) -> float:
        return self.clock

    def sleep(self, seconds: float) -> None:
        """Let time pass, in which the next task runs."""
        self.clock += seconds
        waiting = {one.job for one in self.queue if one.is_live}
        for one in self.queue:
            ready = not waiting & set(self.after[one.job])
            if one.state == "PENDING" and ready and not one.reason:
                self._run(one)
                return

    def _node(self, one: Task, attempt: int) -> str:
        text = self.orders[one.job].with_suffix(".sbatch").read_text()
        excluded = re.search(r"--exclude=(\S+)", text)
        bad = {*self.excluded, *(excluded[1].split(",") if excluded else ())}
        names = [node.name for node in NODES if node.name not in bad]
        wanted = self.node_of(one.index, attempt)
        return wanted if wanted in names or not names else names[0]

    def _run(self, one: Task) -> None:
        attempt = self.restarts.get(one.id, 0)
        path = self.orders[one.job]
        heading, order = arrays.read(path, one.index)
        given = Given(
            job=f"9{one.index}",
            array=one.job,
            index=one.index,
            attempt=attempt,
            node=self._node(one, attempt),
            gpus=",".join(map(str, range(order.gpus))),
        )
        self.ran.append((order.request.model, given))
        fate = self.fate(order.request, given)
        work = task.Work(path.parent / "attempts", heading, order, given)
        if fate in STATES:  # a killed process cleans nothing up
            work._release = lambda *_: None  # type: ignore[method-assign]
        try:
            work.carry_out(lambda request, told: self._file(request, told, fate), lambda: None)
        except Died:
            if fate == "REQUEUED":
                self.restarts[one.id] = attempt + 1
            else:
                self.queue[self.queue.index(one)] = replace(
                    one, state=str(fate), node=given.node, code=self.code
                )
        except Interrupted:
            self._set(one, "CANCELLED")
        else:
            self._set(one, "COMPLETED")

    def _file(self, request: Request, on_folder: OnFolder, fate: Fate) -> Result:
        if isinstance(fate, MachineError):
            raise fate
        if fate == "interrupted":
            raise Interrupted(signal.SIGTERM)
        if fate in STATES:
            folder = filing.new_folder(request.model, request.framework)
            on_folder(folder)
            raise Died
        return file_result(request, on_folder, fate)[0]  # type: ignore[arg-type]
