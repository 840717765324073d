"""The contract of a runtime: starts a plan, waits for it, ends it. `engine` and `host` keep it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from orchestrator.plan import Plan


@dataclass(frozen=True, kw_only=True)
class Exit:
    """How an execution ended.

    `code` is the exit code, 128 + signal where a signal ended it, None where nobody knows (the
    container is gone). `oom_killed` tells that the kernel killed a process of it for memory,
    also where `code` is 0 (a child died). `detail` is the engine's own text, if it had one.
    """

    code: int | None
    oom_killed: bool = False
    detail: str = ""


class Execution(Protocol):
    """A started plan; as a context manager it is gone at the end, whatever happened."""

    @property
    def name(self) -> str:
        """Container name, or process group, for messages."""

    def wait(self, timeout: float) -> Exit | None:
        """Wait up to `timeout` seconds; None while it runs. Survives a restart of the engine."""

    def stop(self, grace: float) -> Exit:
        """Ask it to end (SIGTERM), kill it after `grace` seconds, and tell how it ended."""

    def collect_output(self, destination: Path, limit: int) -> None:
        """Write what the engine itself kept of stdout and stderr, at most `limit` bytes."""

    def notes(self) -> tuple[str, ...]:
        """Return warnings for the result: a limit that was dropped, a label that was refused."""


class Runtime(Protocol):
    """Something that can start plans."""

    def start(self, plan: Plan, *, run_id: str) -> AbstractContextManager[Execution]:
        """Start a plan.

        Raises EngineError, ImageError or MachineError where it cannot be started.
        """
