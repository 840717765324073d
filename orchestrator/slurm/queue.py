"""What Slurm says about tasks: the answers of `squeue --json` and `sacct`, of several releases."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from orchestrator.errors import MachineError

# A task in one of these states has ended; any other one is still to run, or runs.
ENDED = frozenset(
    {
        *("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL"),
        *("OUT_OF_MEMORY", "PREEMPTED", "REVOKED", "TIMEOUT"),
    }
)
# Slurm holds a task that it could not start for ever: after a kill of the controller, also one that
# ran to its end. In 22.05 only the description of the state says so.
HELD = frozenset({"launch failed requeued held", "JobHoldMaxRequeue"})
# Accounting has one record of tasks that were cancelled before any of them started: 12_[3-5].
_TASK = re.compile(r"(\d+)_(\d+|\[[\d,:-]+(?:%\d+)?\])", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Task:
    """One task of an array, `job` is the array's id; `code` is the exit code of one that ended."""

    job: str
    index: int
    name: str
    state: str
    reason: str = ""
    node: str = ""
    code: int = 0

    @property
    def id(self) -> str:
        """Return what Slurm calls it."""
        return f"{self.job}_{self.index}"

    @property
    def is_live(self) -> bool:
        """Whether Slurm will still run it, or is running it."""
        return self.state not in ENDED


def read_queue(text: str) -> Iterator[Task]:
    """Yield the tasks of arrays in an answer of `squeue --json`. Raises MachineError."""
    try:
        for told in json.loads(text)["jobs"]:
            yield from _tasks(told)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise MachineError(
            f"the answer of `squeue --json` cannot be read: {type(error).__name__}: {error}",
            hint="check that this Slurm (20.11 or newer) is built with JSON",
        ) from None


def _tasks(told: dict[str, Any]) -> Iterator[Task]:
    array = _number(told.get("array_job_id"))
    if not array:
        return
    index = _number(told.get("array_task_id"))
    # What has not started yet is one record with all its numbers.
    listed = str(told.get("array_task_string") or "")
    indices = numbers(listed) if listed else [index] if index is not None else []
    for one in indices:
        yield Task(
            job=str(array),
            index=one,
            name=str(told["name"]),
            state=_word(told["job_state"]),
            reason=str(told.get("state_description") or told.get("state_reason") or "").replace(
                "_", " "
            ),
            node=str(told.get("nodes") or ""),
            code=_exit_code(told.get("exit_code")),
        )


def _number(told: Any) -> int | None:
    """Return a number, which newer releases wrap in a record; None if it is not set."""
    if isinstance(told, dict):
        return int(told["number"]) if told.get("set") else None
    return int(told) if told is not None else None


def _word(told: Any) -> str:
    """Return the state, of which newer releases give a list with flags behind it."""
    if isinstance(told, list):
        told = told[0] if told else ""
    return str(told or "").split(" ")[0]


def _exit_code(told: Any) -> int:
    """Return the exit code of an answer: a wait status, or a record."""
    if isinstance(told, dict):
        code = told.get("return_code", told)
        return _number(code) or 0 if isinstance(code, dict) else int(code or 0)
    return int(told or 0) >> 8


def numbers(text: str) -> list[int]:
    """Return the numbers of 0-3,7%2 or 0-8:2, without what limits how many run at once."""
    found: list[int] = []
    for part in text.partition("%")[0].strip("[]").split(","):
        span, _, step = part.partition(":")
        first, _, last = span.partition("-")
        found += range(int(first), int(last or first) + 1, int(step or 1))
    return found


def ended_tasks(text: str) -> list[Task]:
    """Return the tasks in an answer of `sacct` that have ended.

    It is seconds late: it may still say that one of them runs.
    """
    return [task for task in _accounted(text.splitlines()) if not task.is_live]


def _accounted(lines: Iterable[str]) -> Iterator[Task]:
    for line in lines:
        words = line.split("|")
        found = _TASK.fullmatch(words[0])
        if found is None or len(words) != 5:
            continue
        _, name, state, code, node = words
        for index in numbers(found[2]):
            yield Task(
                job=found[1],
                index=index,
                name=name,
                state=_word(state),
                node=node,
                code=int(code.partition(":")[0] or 0),
            )
