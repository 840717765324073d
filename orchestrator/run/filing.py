"""Writes a run's records so that its folder is complete, whatever the disk and the program do."""

from __future__ import annotations

import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.errors import MachineError, RequestError
from orchestrator.paths import RunFolder, runs, write_aside
from orchestrator.plan import Plan
from orchestrator.record_files import may_exist, read_file
from orchestrator.request import LenientRecord, Request, StrictRecord
from orchestrator.run import unfinished
from orchestrator.version import VERSION

if TYPE_CHECKING:
    from orchestrator.result import Result

# Held on disk during the run and released to write the result: a result with 10^5 step times is
# about 2 MiB. The files hold inodes for the result, the note, and missing logs.
RESERVE_BYTES = 4 * 1024 * 1024
RESERVE_FILES = 5

KILLED = "benchdock was killed before the run ended (SIGKILL, out of memory, or a power cut)"


def to_json(record: StrictRecord | LenientRecord) -> str:
    """Return a record as the JSON document that is filed and printed."""
    return record.model_dump_json(indent=2, by_alias=True) + "\n"


def new_folder(model: str, framework: str) -> RunFolder:
    """Create a run's folder. Raises MachineError if that fails."""
    try:
        return RunFolder.create(model, framework)
    except OSError as error:
        raise _no_folder(error) from None


def _no_folder(error: OSError) -> MachineError:
    return MachineError(
        f"cannot create a run folder in {runs()}: {error.strerror or error}",
        hint="set BENCHDOCK_HOME to a writable folder",
    )


def write_launcher(folder: RunFolder, plan: Plan) -> None:
    """Write the script that will run. Raises MachineError if that fails."""
    try:
        write_aside(folder.launcher, plan.script, durable=False)
        folder.launcher.chmod(0o755)
    except OSError as error:
        raise MachineError(f"cannot write {folder.launcher}: {error.strerror}") from None


class Desk:
    """What a run holds from its start so that its result can be filed: the folder, and disk space.

    The folder is held by descriptor, because it may be renamed meanwhile. The space is held by
    files without names: no program can remove them, and none is left if benchdock is killed.
    """

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self._held = ExitStack()
        self._descriptor: int | None = None

    @classmethod
    def open(cls, request: Request) -> Desk:
        """Create a run's folder with its request. Raises MachineError and leaves nothing behind."""
        desk = cls(RunFolder.named(request.model, request.framework))
        try:
            # First: a killed benchdock must never leave a folder without a note.
            unfinished.note(desk.folder)
            desk.folder.make()
            desk._hold()
            write_aside(desk.folder.request, to_json(request))
        except (OSError, MachineError) as error:
            desk._abandon()
            if isinstance(error, OSError):
                raise _no_folder(error) from None
            raise
        return desk

    def file(self, result: Result) -> str | None:
        """Write the result, and empty logs if the run did not start.

        Returns the folder's new name if it was moved meanwhile. Raises MachineError if the result
        cannot be written there; the message then says where it is.
        """
        self._held.close()
        text = to_json(result)
        try:
            moved = self._write(text)
        except OSError as error:
            raise MachineError(
                f"cannot write the result to {self.folder.result}: {error.strerror or error}",
                hint=_elsewhere(text),
            ) from None
        finally:
            self.close()
        unfinished.forget(self.folder.run_id)
        return moved

    def _hold(self) -> None:
        root = self.folder.root
        self._descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for _ in range(RESERVE_FILES):
                nameless = tempfile.TemporaryFile(dir=root.parent)  # noqa: SIM115 (see `close`)
                self._held.enter_context(nameless)
            os.posix_fallocate(nameless.fileno(), 0, RESERVE_BYTES)
        except OSError as error:
            raise MachineError(
                f"no space for a result in {root}: {error.strerror}",
                hint="free some space or set BENCHDOCK_HOME",
            ) from None

    def _write(self, text: str) -> str | None:
        folder = self._where()
        _clear(folder.result)
        write_aside(folder.result, text)
        # A run that ended before it started has printed nothing, so its logs are empty.
        for path in (folder.log, folder.engine_log, folder.monitor):
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            with suppress(OSError):  # it exists already, or something else has its name
                os.close(os.open(path, flags, 0o666))
        there = os.path.realpath(folder.root)
        return None if os.path.realpath(self.folder.root) == there else there

    def _where(self) -> RunFolder:
        """Return the folder to write to: the one that was created, at its present path.

        A folder that was removed is created again.
        """
        assert self._descriptor is not None
        seen = os.fstat(self._descriptor)
        if seen.st_nlink == 0:
            self.folder.root.mkdir(parents=True, exist_ok=True)
            return self.folder
        if not seen.st_mode & stat.S_IWUSR:  # the program owns the folder too
            with suppress(OSError):
                os.fchmod(self._descriptor, stat.S_IMODE(seen.st_mode) | stat.S_IRWXU)
        return RunFolder(Path(f"/proc/self/fd/{self._descriptor}"))

    def _abandon(self) -> None:
        self.close()
        shutil.rmtree(self.folder.root, ignore_errors=True)
        unfinished.forget(self.folder.run_id)

    def close(self) -> None:
        """Release what is held; harmless if called twice."""
        self._held.close()
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _clear(path: Path) -> None:
    """Move anything but a file out of the result's way: a program may have made a folder there."""
    with suppress(OSError):
        if stat.S_ISDIR(os.stat(path, follow_symlinks=False).st_mode):
            path.rename(path.with_name(f"{path.name}.{secrets.token_hex(4)}"))


def file_killed() -> tuple[str, ...]:
    """File a result for each run whose benchdock was killed; return the names of those runs.

    A run that cannot be filed is left for the next time; it must not prevent a new run.
    """
    filed = []
    for folder in unfinished.killed():
        with suppress(OSError):
            if may_exist(folder.root) and not may_exist(folder.result):
                file_as_killed(folder)
                filed.append(folder.run_id)
            unfinished.forget(folder.run_id)
    return tuple(filed)


def file_as_killed(folder: RunFolder) -> None:
    """File the result of a run whose benchdock is gone. Raises OSError."""
    write_aside(folder.result, to_json(_killed(folder)))


def tell_killed(tell: Callable[[str], None]) -> None:
    """File the runs whose benchdock was killed, as `file_killed` does, and say so of each."""
    for name in file_killed():
        tell(f"filed as interrupted, because its benchdock was killed: {name}")


def _killed(folder: RunFolder) -> Result:
    from orchestrator.result import Failure, Result  # a run needs them only at its end

    try:
        request = read_file(Request, folder.request)
    except RequestError:
        request = None
    return Result(
        benchdock=VERSION,
        run=folder.run_id,
        status="failed",
        failure=Failure(kind="interrupted", message=KILLED),
        request=request,
        started=folder.made,
    )


def _elsewhere(text: str) -> str:
    """Save a result that cannot be written to its folder; return where it is."""
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="benchdock-result-", suffix=".json", delete=False, encoding="utf-8"
        ) as stream:
            stream.write(text)
    except OSError:
        return "it is lost, because no temporary folder is writable"
    return f"it is in {stream.name}"
