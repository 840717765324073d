"""Makes the runs of a session as arrays of Slurm, and watches them.

What has ended is known by the files of `attempts`; Slurm is only asked what is still to come. The
session's journal is written here, by one process at a time; the tasks do not need it.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Set
from contextlib import suppress
from dataclasses import dataclass, field

from orchestrator.errors import Interrupted, MachineError, RequestError
from orchestrator.run import filing
from orchestrator.slurm import arrays
from orchestrator.slurm.arrays import name_of
from orchestrator.slurm.attempts import Attempts, End, Pulses, Seen, without_result
from orchestrator.slurm.fate import fate_of
from orchestrator.slurm.programs import UnheardError
from orchestrator.slurm.queue import HELD, Task
from orchestrator.slurm.submitting import Submitter, TaskPlace
from orchestrator.suites import state
from orchestrator.suites.session import ATTEMPTS, MOST_IN_A_ROW, Work
from orchestrator.suites.state import OF_THE_MACHINE, Ended, Key
from orchestrator.suites.turns import Turn

# Seconds between two looks at the files, and at Slurm's queue.
POLL = 1.0
LOOK = 5.0
# A task that Slurm forgot may have filed its end just before: NFS shows it later.
LOOKS = 2
# A clock that is wrong by less is not worth a note: ends are seen late on NFS.
APART = 120.0


@dataclass(kw_only=True)
class ArrayLanes:
    """Runs as arrays, on some of `nodes`. `detach` returns once all is submitted."""

    submitter: Submitter
    nodes: frozenset[str]
    detach: bool = False
    sleep: Callable[[float], None] = time.sleep
    now: Callable[[], float] = time.monotonic
    _left: dict[str, Turn] = field(default_factory=dict)
    _tasks: dict[str, TaskPlace] = field(default_factory=dict)
    _given_up: set[str] = field(default_factory=set)
    _absent: Counter[str] = field(default_factory=Counter)
    _tries: Counter[str] = field(default_factory=Counter)
    # Failures in a row of each node.
    _in_a_row: Counter[str] = field(default_factory=Counter)
    _said: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._folder, self._slurm = self.submitter.folder, self.submitter.slurm
        self._attempts = Attempts(self._folder.attempts)
        self._pulses = Pulses(self._attempts, self.submitter.site.patience, self.now)

    def run(self, work: Work) -> None:
        """Submit what is left and watch it. Raises as `session.carry_out` does."""
        self._left = {name_of(state.key_of(turn)): turn for turn in work.queue}
        self._forget(work.forgotten)
        self._take_ends(work, self._attempts.look(), fresh=False)
        self._find_tasks()
        try:
            while self._send(work) and not self.detach:
                self._watch(work)
        except Interrupted:
            cancel = f"`benchdock suite --cancel --name {self._folder.session}`"
            work.note(f"its tasks go on in Slurm; {cancel} ends them")
            raise
        except UnheardError:
            raise
        except (MachineError, RequestError):  # what has not started would fail too
            with suppress(MachineError):
                self._cancel_pending()
            raise

    def _forget(self, forgotten: Set[str]) -> None:
        """Remove ends of runs that are to run again, and of those that were skipped or refused."""
        for name in self._attempts.look().ends:
            end = self._attempts.end(name) if name in self._left else None
            if end is not None and (end.run is None or end.run in forgotten):
                self._attempts.forget(name)

    def _find_tasks(self) -> None:
        """Find the tasks that an earlier process submitted and that have not ended."""
        names = {self._folder.job_name(array): array for array in self._folder.arrays()}
        keys: dict[str, dict[int, Key]] = {}
        for task in self._slurm.tasks(names):
            array = names[task.name]
            if array not in keys:
                keys[array] = arrays.keys(self._folder.orders(array))
            key = keys[array].get(task.index)
            if task.is_live and key is not None and name_of(key) in self._left:
                self._tasks[name_of(key)] = (array, task.index)

    def _send(self, work: Work) -> bool:
        """Submit what no task will make; return whether there is something to watch."""
        out = {*self._tasks, *self._given_up}
        rest = [turn for name, turn in self._left.items() if name not in out]
        if rest and not work.stopped():
            sent = self.submitter.submit(work, rest, self._bad_nodes())
            for turn in rest:
                if name_of(state.key_of(turn)) not in sent:  # it was refused
                    self._left.pop(name_of(state.key_of(turn)))
            self._tasks |= sent
        return bool(self._tasks)

    def _watch(self, work: Work) -> None:
        """Watch until all tasks have ended."""
        stopping, looked = False, self.now()
        while self._tasks:
            seen = self._attempts.look()
            self._take_ends(work, seen, fresh=True)
            self._skip_some(work, seen)
            if work.stopped() and not stopping:
                stopping = True
                self._cancel_pending()
            if self.now() - looked >= LOOK:
                looked = self.now()
                self._look_at_queue(work)
            if self._tasks:
                self.sleep(POLL)

    def _take_ends(self, work: Work, seen: Seen, *, fresh: bool) -> None:
        for name in [name for name in self._left if name in seen.ends]:
            end = self._attempts.end(name)
            if end is None:
                continue
            turn = self._left.pop(name)
            self._tasks.pop(name, None)
            if end.status == "ok":
                self._in_a_row.pop(end.node, None)
            apart = abs(time.time() - end.clock) if fresh and end.clock else 0.0
            if apart > APART:
                self._say_once(
                    work,
                    f"the clock of {end.node} differs by {apart:.0f} s from the one here: the "
                    "times in its results are wrong",
                    about=end.node,
                )
            work.end(turn, end)

    def _skip_some(self, work: Work, seen: Seen) -> None:
        """Cancel runs that make no sense any more, or that do not fit into the budget."""
        skipped: list[TaskPlace] = []
        for name in [name for name in self._tasks if name not in seen.claims]:
            why = work.why_not(self._left[name])
            if why and self._attempts.file(name, End(status="skipped", message=why)):
                skipped.append(self._tasks.pop(name))
                work.end(self._left.pop(name), Ended(status="skipped", message=why))
        if skipped:
            places = {(self._folder.job_name(array), index) for array, index in skipped}
            with suppress(MachineError):  # a task that starts sees that its run has ended
                found = self._slurm.tasks({name for name, _ in places})
                self._slurm.cancel([one.id for one in found if (one.name, one.index) in places])

    def _cancel_pending(self) -> None:
        every = self._slurm.tasks(map(self._folder.job_name, self._folder.arrays()))
        jobs = {task.job for task in every if task.is_live}
        self._slurm.cancel(sorted(jobs), only_pending=True)

    def _look_at_queue(self, work: Work) -> None:
        """Find tasks that ended without filing how, and settle those runs."""
        names = map(self._folder.job_name, self._folder.arrays())
        try:
            known = {(task.name, task.index): task for task in self._slurm.tasks(names)}
        except MachineError as error:  # it restarts; the tasks go on meanwhile
            self._say_once(work, f"{error.what}; waiting for it", about="Slurm")
            return
        self._said.discard("Slurm")
        self._free(known)
        lost: dict[str, Task | None] = {}
        for name, (array, index) in self._tasks.items():
            task = known.get((self._folder.job_name(array), index))
            if task is not None and task.is_live:
                self._absent.pop(name, None)
                continue
            self._absent[name] += 1
            if self._absent[name] >= LOOKS:
                lost[name] = task
        if lost:
            self._settle_all(work, lost, {name for name, _ in known})

    def _free(self, known: Mapping[tuple[str, int], Task]) -> None:
        """Free tasks that Slurm holds: the arrays after theirs wait for them.

        One whose run has ended is cancelled, which is also quicker than to start it for nothing.
        """
        held = {place for place, task in known.items() if task.is_live and task.reason in HELD}
        wanted = {(self._folder.job_name(array), index) for array, index in self._tasks.values()}
        for place in held & wanted:
            self._slurm.release(known[place].id)
        if ended := held - wanted:
            with suppress(MachineError):
                self._slurm.cancel([known[place].id for place in sorted(ended)])

    def _settle_all(self, work: Work, lost: dict[str, Task | None], listed: Set[str]) -> None:
        """Settle runs whose tasks ended; `listed` are the jobs of which Slurm still knows tasks."""
        forgotten = {self._tasks[name][0] for name, task in lost.items() if task is None}
        jobs = [self._folder.job_name(array) for array in forgotten]
        told = {(one.name, one.index): one for one in self._slurm.ended(jobs)} if jobs else {}
        seen = self._attempts.look()
        for name, task in lost.items():
            if name in seen.ends:
                continue  # it is taken with the next look
            array, index = self._tasks[name]
            job = self._folder.job_name(array)
            found = task or told.get((job, index))
            if found is None and name not in seen.claims and job in listed:
                # Slurm forgets a task at once that is cancelled before it starts, and keeps others.
                self._give_up(work, name)
                continue
            self._settle(work, name, found, seen.claims.get(name, 0))

    def _settle(self, work: Work, name: str, task: Task | None, number: int) -> None:
        """Decide what became of a run whose task ended; nothing as long as an attempt lives."""
        last = self._attempts.last(name, number)
        end: End | None = None
        if last is not None:
            if not last.claim.released and not self._pulses.is_silent(name, last.number):
                return
            end = self._attempts.left_behind(last.claim) or last.claim.ended
            if (left := without_result(last.claim)) is not None:
                with suppress(OSError):
                    filing.file_as_killed(left)
            if end is None and last.claim.released and task is None:
                self._give_up(work, name)
                return
        if end is None:
            array, index = self._tasks[name]
            log = self._folder.logs(array) / f"{index}.*.log"
            end = fate_of(task, str(log), str(self._folder.root))
        if end is None:
            self._give_up(work, name)
        elif end.kind in OF_THE_MACHINE:
            self._try_again(work, name, end)
        else:
            self._attempts.file(name, end)

    def _give_up(self, work: Work, name: str) -> None:
        """Leave a run that was cancelled to a resumed session."""
        self._tasks.pop(name)
        self._given_up.add(name)
        work.note(f"{self._left[name].cell.title}: its task was cancelled in Slurm")

    def _try_again(self, work: Work, name: str, end: End) -> None:
        """Let a run that its node failed run again; not on that node if it fails run after run."""
        turn = self._left[name]
        self._tasks.pop(name)
        self._absent.pop(name, None)
        self._tries[name] += 1
        self._in_a_row[end.node] += bool(end.node)
        if self._in_a_row[end.node] == MOST_IN_A_ROW:
            self._leave(work, end)
        if self._tries[name] < ATTEMPTS:
            work.retry(turn, end)
        else:
            self._left.pop(name)
            work.end(turn, end)

    def _leave(self, work: Work, end: End) -> None:
        """Use a node no more. Raises MachineError if none is left."""
        bad = self._bad_nodes()
        if bad >= self.nodes:
            raise MachineError(
                f"each node failed {MOST_IN_A_ROW} runs in a row: {end.message}",
                hint="fix it, then run `benchdock suite --resume`",
            )
        names = {self._folder.job_name(array) for array, _ in self._tasks.values()}
        self._slurm.exclude(self._slurm.tasks(names), bad)
        work.note(f"{end.node} is not used any more: {end.message}")

    def _bad_nodes(self) -> frozenset[str]:
        bad = (node for node, count in self._in_a_row.items() if count >= MOST_IN_A_ROW)
        return frozenset(bad)

    def _say_once(self, work: Work, text: str, *, about: str) -> None:
        if about not in self._said:
            self._said.add(about)
            work.note(text)
