"""Submits the runs of a session as arrays."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import BenchdockError
from orchestrator.request import Request
from orchestrator.slurm import arrays
from orchestrator.slurm.arrays import Array, Sent, name_of
from orchestrator.slurm.folder import ClusterFolder
from orchestrator.slurm.programs import Slurm, UnheardError
from orchestrator.slurm.script import Script
from orchestrator.slurm.site import Site
from orchestrator.suites import state
from orchestrator.suites.session import Work
from orchestrator.suites.state import Key
from orchestrator.suites.turns import Turn
from orchestrator.units import counted

# Before an array is looked for whose submission got no answer, in seconds.
PAUSE = 5.0
_SENDS = 3

# The array of a task, by its name here, and its number in it.
TaskPlace = tuple[str, int]


@dataclass(frozen=True, kw_only=True)
class Submitter:
    """Submits arrays; `gpus` is the number per run by digest, `excluded` nodes are not used.

    At `most` so many tasks of an array run at once, 0 for all.
    """

    folder: ClusterFolder
    slurm: Slurm
    site: Site
    sent: Sent
    gpus: Mapping[str, int]
    home: Path
    most: int = 0
    excluded: frozenset[str] = frozenset()
    sleep: Callable[[float], None] = time.sleep

    def submit(
        self, work: Work, turns: Sequence[Turn], avoided: Iterable[str]
    ) -> dict[str, TaskPlace]:
        """Submit runs, also not on the nodes `avoided`; return where they are, by their names.

        Raises UnheardError if the controller does not answer, RequestError if Slurm refuses an
        array, MachineError.
        """
        requests: dict[Key, Request] = {}
        for turn in turns:
            try:
                requests[state.key_of(turn)] = work.request(turn)
            except BenchdockError as error:
                work.end(turn, state.of_refusal(error))
        able = [turn for turn in turns if state.key_of(turn) in requests]
        tasks: dict[str, TaskPlace] = {}
        part, after, jobs = 0, list[str](), list[str]()
        for array in arrays.divide(able, self.gpus, self.slurm.largest_array()):
            if array.part != part:
                part, after, jobs = array.part, jobs, []
            name = f"{len(self.folder.arrays()) + 1:04}-{array.resource}"
            self._write(name, array, requests, avoided)
            jobs.append(self._sent(name, after))
            work.submitted(jobs[-1], name, len(array.turns))
            work.note(f"array {name}: job {jobs[-1]}, {counted(len(array.turns), 'run')}")
            for index, turn in enumerate(array.turns):
                tasks[name_of(state.key_of(turn))] = (name, index)
        return tasks

    def _write(
        self, name: str, array: Array, requests: Mapping[Key, Request], avoided: Iterable[str]
    ) -> None:
        orders, logs = self.folder.orders(name), self.folder.logs(name)
        script = Script(
            session=self.folder.session,
            name=self.folder.job_name(name),
            array=array,
            site=self.site,
            home=self.home,
            orders=orders,
            logs=logs,
            limit=arrays.write(orders, self.sent, array, requests),
            most=self.most,
            exclude=tuple(sorted({*self.excluded, *avoided})),
        )
        arrays.save(logs / "README", "The output of each attempt at a task: TASK.ATTEMPT.log\n")
        arrays.save(self.folder.script(name), script.render())

    def _sent(self, name: str, after: Sequence[str]) -> str:
        """Submit an array. If no answer came, look whether Slurm has it before trying again."""
        for number in range(1, _SENDS + 1):
            try:
                return self.slurm.submit(self.folder.script(name), after=after)
            except UnheardError:
                if number == _SENDS:
                    raise
                self.sleep(PAUSE)
            found = self.slurm.tasks([self.folder.job_name(name)])
            if found:
                return found[0].job
        raise AssertionError
