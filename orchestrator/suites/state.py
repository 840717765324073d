"""What became of a session's runs so far, from its journal."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import ValidationError

from orchestrator.errors import BenchdockError, MachineError, RequestError
from orchestrator.record_files import first_mistake
from orchestrator.request import LenientRecord
from orchestrator.result import Result
from orchestrator.suites import journal
from orchestrator.suites.turns import Turn

Key = tuple[str, int]
# The machine failed, not the benchmark: nothing was measured.
OF_THE_MACHINE = ("engine", "image")
# A resumed session runs these again.
UNDONE = ("interrupted", *OF_THE_MACHINE)
RERUN = Literal["failed", "all"]


class Ended(LenientRecord):
    """How a run ended: `kind` is that of a failure, `throughput` in samples/s.

    `skipped` says why it did not run at all.
    """

    status: Literal["ok", "failed", "skipped"]
    kind: str | None = None
    message: str = ""
    run: str | None = None
    seconds: float = 0.0
    throughput: float | None = None
    batch: int | None = None


def of_result(result: Result) -> Ended:
    """Return what a session keeps of a result."""
    told = result.metrics.get("throughput")
    took = result.finished - result.started if result.finished and result.started else None
    return Ended(
        status="failed" if result.failure else "ok",
        kind=result.failure.kind if result.failure else None,
        message=result.failure.message if result.failure else "",
        run=result.run,
        seconds=max(0.0, took.total_seconds()) if took else 0.0,
        throughput=told.value if told else None,
        batch=result.plan.batch if result.plan else None,
    )


def of_refusal(error: BenchdockError) -> Ended:
    """Return what a session keeps of a request that was refused before it had a folder."""
    kind = "engine" if isinstance(error, MachineError) else "refused"
    return Ended(status="failed", kind=kind, message=str(error))


@dataclass
class State:
    """The runs by content and pass; `open` were started and have no end, with their folders.

    `forgotten` are the names of results that a rerun replaces.

    `spent` are the seconds that all processes of the session took, by clocks that do not jump.
    """

    ended: dict[Key, Ended] = field(default_factory=dict)
    open: dict[Key, str] = field(default_factory=dict)
    finished: bool = False
    begins: int = 0
    forgotten: set[str] = field(default_factory=set)
    spent: float = 0.0
    _spent_so_far: float = 0.0  # by the process whose events come now

    def is_done(self, turn: Turn) -> bool:
        """Whether nothing is left to do for a run; one that the machine failed runs again."""
        end = self.ended.get(key_of(turn))
        return end is not None and end.kind not in UNDONE

    def forget(self, what: RERUN) -> None:
        """Forget runs and the budget they took, so that they run again; skipped ones always do."""
        self.finished = False
        self.spent = 0.0
        kept = {
            key: end for key, end in self.ended.items() if what == "failed" and end.status == "ok"
        }
        gone = (end.run for key, end in self.ended.items() if key not in kept)
        self.forgotten.update(run for run in gone if run is not None)
        self.ended = kept

    def spend(self, seconds: float) -> None:
        """Note how long the current process has been at it; a smaller number is of a new one."""
        again = seconds < self._spent_so_far
        self.spent += seconds if again else seconds - self._spent_so_far
        self._spent_so_far = seconds

    def count(self, status: str) -> int:
        """Return how many runs ended that way."""
        return sum(end.status == status for end in self.ended.values())


def key_of(turn: Turn) -> Key:
    """Return what identifies a run in a session: its content and its pass."""
    return turn.cell.digest, turn.round


def of_events(events: Iterable[dict[str, Any]], where: str) -> State:
    """Return the state after some events. Raises RequestError for a journal of another version."""
    state = State()
    for event in events:
        try:
            _apply(state, event)
        except (KeyError, TypeError, ValueError) as error:
            told = first_mistake(error) if isinstance(error, ValidationError) else repr(error)
            raise RequestError(
                f"{where}: cannot read the event {event['event']!r}: {told}"
            ) from None
    return state


def _apply(state: State, event: dict[str, Any]) -> None:
    match event["event"]:
        case "begin":
            if event["schema"] != journal.SCHEMA:
                raise ValueError("it was written by another version of benchdock")
            state.begins += 1
            state._spent_so_far = 0.0
            state.finished = False
            # What was skipped for lack of time has its chance again.
            state.ended = {key: end for key, end in state.ended.items() if end.status != "skipped"}
        case "rerun":
            state.forget(event["what"])
        case "start":
            state.open[_key(event)] = str(event["run"])
        case "end":
            state.open.pop(_key(event), None)
            state.ended[_key(event)] = Ended.model_validate(event)
            state.spend(float(event.get("spent", state._spent_so_far)))
        case "retry":
            state.open.pop(_key(event), None)
        case "finish":
            state.finished = True


def _key(event: dict[str, Any]) -> Key:
    return str(event["digest"]), int(event["pass"])
