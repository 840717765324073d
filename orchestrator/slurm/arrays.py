"""The arrays of a session: one per pass and resource class, each no larger than Slurm allows.

A pass waits for the one before, and controls run without the others, as on one machine.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from orchestrator.errors import MachineError, RequestError
from orchestrator.paths import write_aside
from orchestrator.request import LenientRecord, Request
from orchestrator.suites.cells import Cell, Origin
from orchestrator.suites.notes import SessionNote
from orchestrator.suites.state import Key, key_of
from orchestrator.suites.turns import Turn

SCHEMA = 1
# Enough to tell the requests of one suite apart: 80 bits.
_DIGITS = 20
# Beside the limit of the run itself, in seconds: an image is pulled, a GPU waited for.
STARTING = 600.0


class Array(NamedTuple):
    """Runs that need the same; `part` counts what has to wait for each other, `gpus` per run."""

    part: int
    gpus: int
    turns: tuple[Turn, ...]

    @property
    def resource(self) -> str:
        """Return the name of what each run needs."""
        return f"gpu{self.gpus}" if self.gpus else "cpu"

    @property
    def what(self) -> str:
        """Return which runs of the session they are, for people."""
        turn = self.turns[0]
        if turn.is_last_control:
            return "last controls"
        return f"{turn.round}, controls" if turn.cell.is_control else str(turn.round)

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "part": self.part + 1,
            "pass": self.turns[0].round,
            "control": self.turns[0].cell.is_control,
            "gpus": self.gpus,
            "runs": len(self.turns),
        }


class Order(LenientRecord):
    """What one task of an array has to do."""

    digest: str
    round: int
    group: str
    tags: tuple[str, ...] = ()
    gpus: int
    request: Request

    @property
    def turn(self) -> Turn:
        """Return the run as the session has it, as far as a run's folder names it."""
        origin = Origin((), self.group, 1, self.tags)
        return Turn(Cell({}, self.digest, self.round, origin), self.round)


class Heading(LenientRecord):
    """What all tasks of an array have in common; `patience` in seconds."""

    schema_version: int
    benchdock: str
    commit: str | None = None
    note: dict[str, str]
    patience: float
    wait: float
    allow_shared: bool = False


@dataclass(frozen=True, kw_only=True)
class Sent:
    """What is written to the file of an array, apart from its runs."""

    benchdock: str
    commit: str | None
    note: SessionNote
    patience: float
    wait: float
    allow_shared: bool


def divide(queue: Sequence[Turn], gpus: Mapping[str, int], largest: int) -> Iterator[Array]:
    """Yield the arrays of runs in order; `gpus` is the number per run by digest, 0 on the CPU."""

    def kind(turn: Turn) -> tuple[int, bool]:
        return turn.round, turn.cell.is_control

    for part, (_, found) in enumerate(itertools.groupby(queue, kind)):
        classes: dict[int, list[Turn]] = {}
        for turn in found:
            classes.setdefault(gpus[turn.cell.digest], []).append(turn)
        for count, turns in classes.items():
            for start in range(0, len(turns), largest):
                yield Array(part, count, tuple(turns[start : start + largest]))


def write(path: Path, sent: Sent, array: Array, requests: Mapping[Key, Request]) -> float:
    """Write the requests of an array, a line each; return the longest limit, 0 if one has none.

    Raises MachineError.
    """
    told: dict[str, Any] = {**asdict(sent), "schema_version": SCHEMA}
    lines, limits = [json.dumps(told)], []
    for turn in array.turns:
        request = requests[key_of(turn)]
        limits.append(request.timeout or 0.0)
        order = {
            "digest": turn.cell.digest,
            "round": turn.round,
            "group": turn.cell.origin.group,
            "tags": turn.cell.origin.tags,
            "gpus": array.gpus,
            "request": request.model_dump(mode="json", exclude_defaults=True),
        }
        lines.append(json.dumps(order))
    save(path, "\n".join(lines) + "\n")
    return max(limits) if all(limits) else 0.0


def save(path: Path, text: str) -> None:
    """Write a file of a session. Raises MachineError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_aside(path, text)
    except OSError as error:
        raise MachineError(
            f"cannot write {path}: {error.strerror}",
            hint="free some space, then use `benchdock suite --resume`",
        ) from None


def read(path: Path, index: int) -> tuple[Heading, Order]:
    """Return what the task of that number has to do. Raises RequestError."""
    try:
        with path.open("rb") as stream:
            first = stream.readline()
            line = next(itertools.islice(stream, index, None), b"")
        return Heading.model_validate_json(first), Order.model_validate_json(line)
    except OSError as error:
        raise RequestError(f"cannot read {path}: {error.strerror}") from None
    except ValueError as error:
        raise RequestError(
            f"{path}: task {index} has no request: {str(error).splitlines()[0]}",
            hint="install the same benchdock on all nodes",
        ) from None


def keys(path: Path) -> dict[int, Key]:
    """Return the runs of an array's tasks by number; none if the file is not complete."""
    try:
        lines = path.read_text("utf-8").splitlines()[1:]
        told = [json.loads(line) for line in lines]
        return {at: (str(one["digest"]), int(one["round"])) for at, one in enumerate(told)}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def name_of(key: Key) -> str:
    """Return the name of a run's files on the shared path."""
    digest, round_ = key
    return f"{digest[:_DIGITS]}-{round_}"
