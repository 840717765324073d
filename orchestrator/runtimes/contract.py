"""The interface of a runtime, which starts a plan, waits for it and ends it. `engine` and `host`
implement it.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from orchestrator.plan import Plan


@dataclass(frozen=True, kw_only=True)
class Exit:
    """How an execution ended.

    `code` is the exit code, 128 + signal if a signal ended it, None if unknown (the container is
    gone). `oom_killed` says that the kernel killed one of its processes for memory; `code` may
    still be 0 (a child died). `detail` is the engine's text, if it had one.
    """

    code: int | None
    oom_killed: bool = False
    detail: str = ""


class Execution(Protocol):
    """A started plan. As a context manager it removes everything at the end, whatever happened."""

    @property
    def name(self) -> str:
        """Container name, or process group, for messages."""

    def wait(self, timeout: float) -> Exit | None:
        """Wait up to `timeout` seconds; None while it runs. Survives a restart of the engine."""

    def stop(self, grace: float) -> Exit:
        """Ask it to end (SIGTERM), kill it after `grace` seconds, and return how it ended."""

    def collect_output(self, destination: Path, limit: int) -> None:
        """Write the stdout and stderr that the engine itself kept, at most `limit` bytes."""

    def root(self) -> int | None:
        """Return the program's first process on this machine; None if it is not known here."""

    def notes(self) -> tuple[str, ...]:
        """Return warnings for the result: a dropped limit, a refused label."""


class Runtime(Protocol):
    """Starts plans."""

    def start(self, plan: Plan, *, run_id: str) -> AbstractContextManager[Execution]:
        """Start a plan.

        Raises EngineError, ImageError or MachineError if it cannot be started.
        """
