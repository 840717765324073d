"""The files of a session on Slurm, in the session's folder on the shared path."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from orchestrator import file_lock
from orchestrator.errors import MachineError
from orchestrator.suites.folder import SessionFolder

_UNNAMED = "another process"


@dataclass(frozen=True)
class ClusterFolder:
    """The folder and the names of the files in it; arrays go by their names."""

    session: str
    root: Path

    @classmethod
    def of(cls, where: SessionFolder) -> ClusterFolder:
        """Return that of a session; it may not exist."""
        return cls(where.name, where.root / "slurm")

    @property
    def settings(self) -> Path:
        """Return the path of the site's settings, as they were when it was submitted."""
        return self.root / "site.json"

    @property
    def attempts(self) -> Path:
        """Return the path of the folder of `attempts.Attempts`."""
        return self.root / "attempts"

    def logs(self, array: str) -> Path:
        """Return the folder with a log for each attempt at a task: INDEX.ATTEMPT.log."""
        return self.root / "logs" / array

    def orders(self, array: str) -> Path:
        """Return the path of what the tasks of an array have to do."""
        return self.root / f"{array}.jsonl"

    def script(self, array: str) -> Path:
        """Return the path of the script of an array."""
        return self.root / f"{array}.sbatch"

    def arrays(self) -> list[str]:
        """Return the names of all arrays, oldest first."""
        return sorted(path.stem for path in self.root.glob("*.jsonl"))

    def job_name(self, array: str) -> str:
        """Return what Slurm calls an array: it is found by it if its id was never heard."""
        return f"benchdock-{self.session}-{array}"

    @property
    def _lock(self) -> Path:
        return self.root / "watcher"

    def watcher(self) -> str:
        """Return who watches the session, "" if nobody does."""
        return file_lock.holder(self._lock, _UNNAMED)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Let only one process submit and watch. Raises MachineError if another one does."""
        try:
            self.attempts.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise MachineError(
                f"cannot write {self.root}: {error.strerror}",
                hint="free some space or set BENCHDOCK_HOME",
            ) from None
        with ExitStack() as stack:
            try:
                who = f"process {os.getpid()} on {os.uname().nodename}"
                stack.enter_context(file_lock.held_at_once(descriptor, who))
            except file_lock.HeldError as error:
                raise MachineError(
                    f"{error.holder or _UNNAMED} watches this session",
                    hint=f"run `benchdock suite --status --name {self.session}` to see it",
                ) from None
            except OSError as error:  # no lock manager; attempts still cannot double a run
                raise MachineError(
                    f"{self.root} is on a file system without locks: {error.strerror}",
                    hint="set BENCHDOCK_HOME to a shared folder with locks",
                ) from None
            yield
