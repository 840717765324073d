"""Notes of what runs on the host; they let a later benchdock end what a killed one left running."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from orchestrator.machine.processes import Owner, living
from orchestrator.paths import home, write_aside
from orchestrator.runtimes.host.processes import end, members


@dataclass(frozen=True, kw_only=True)
class RunningRecord:
    """What a later benchdock must know to clean up after this one.

    `leader` is the keeper once it is started, `leader_start` in clock ticks since boot.
    """

    run_id: str
    token: str
    owner: Owner
    leader: int | None = None
    leader_start: int | None = None

    @property
    def path(self) -> Path:
        """Return the path of this record."""
        return _records() / f"{self.run_id}.{self.token[:8]}.json"

    def write(self) -> None:
        """Write it. Raises OSError."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_aside(self.path, json.dumps(asdict(self)) + "\n")

    def group(self) -> int | None:
        """Return the process group, None if its leader is not the process that was started."""
        if self.leader is None:
            return None
        seen = living(self.leader)
        return self.leader if seen is not None and seen.start == self.leader_start else None

    @classmethod
    def read(cls, path: Path) -> RunningRecord | None:
        """Read a record; None if the file is gone or invalid."""
        try:
            told = json.loads(path.read_text("utf-8"))
            return cls(**told | {"owner": Owner(**told["owner"])})
        except (OSError, ValueError, TypeError, KeyError):
            return None


def _records() -> Path:
    return home() / "host"


def leftovers() -> tuple[RunningRecord, ...]:
    """Return the executions whose benchdock is gone; some may have no process left."""
    here = Owner.here()
    return tuple(record for record in _all() if record.owner.is_gone(here))


def _all() -> Iterator[RunningRecord]:
    try:
        paths = sorted(_records().glob("*.json"))
    except OSError:  # a home that may not be searched has no notes
        return
    for path in paths:
        record = RunningRecord.read(path)
        if record is not None:
            yield record


def reap_host() -> tuple[str, ...]:
    """End what killed benchdocks left running; return the names of those runs.

    A process is ended only if it carries the execution's random token, or belongs to a group whose
    leader is the very process that was started.
    """
    reaped, boot = [], Owner.here().boot
    for record in leftovers():
        # Process numbers from before a reboot mean nothing now.
        if record.owner.boot == boot and members(record.token, record.group()):
            end(record.token, record.group())
            reaped.append(record.run_id)
        record.path.unlink(missing_ok=True)
    return tuple(reaped)
