"""Writes a run's records so that its folder is complete even where the disk is full."""

from __future__ import annotations

import os

from orchestrator.errors import MachineError
from orchestrator.paths import RunFolder, runs, write_aside
from orchestrator.plan import Plan
from orchestrator.request import LenientRecord, StrictRecord
from orchestrator.result import Result

# Held on disk during the run and given back to write the result: a result with 10^5 step times
# is about 2 MiB.
RESERVE_BYTES = 4 * 1024 * 1024


def to_json(record: StrictRecord | LenientRecord) -> str:
    """Return a record as the JSON document that is filed and printed."""
    return record.model_dump_json(indent=2, by_alias=True) + "\n"


def new_folder(model: str, framework: str) -> RunFolder:
    """Make a run's folder. Raises MachineError where it cannot be made."""
    try:
        return RunFolder.create(model, framework)
    except OSError as error:
        raise no_folder(error) from None


def no_folder(error: OSError) -> MachineError:
    """Say why there is no run folder, and what to set."""
    return MachineError(
        f"no run folder can be made in {runs()}: {error.strerror or error}",
        hint="set BENCHDOCK_HOME to a writable folder",
    )


def write_launcher(folder: RunFolder, plan: Plan) -> None:
    """Write the script that will run. Raises MachineError where it cannot be written."""
    try:
        write_aside(folder.launcher, plan.script)
        folder.launcher.chmod(0o755)
    except OSError as error:
        raise MachineError(f"cannot write {folder.launcher}: {error.strerror}") from None


def hold_reserve(folder: RunFolder) -> None:
    """Take the space of the result now. Raises MachineError where the disk is full already."""
    try:
        descriptor = os.open(_reserve(folder), os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, RESERVE_BYTES)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise MachineError(
            f"no room for a result in {folder.root}: {error.strerror}",
            hint="free some space or set BENCHDOCK_HOME",
        ) from None


def file_result(folder: RunFolder, result: Result) -> None:
    """Write the result aside and rename it. Raises MachineError where it cannot be written."""
    os.unlink(_reserve(folder))
    try:
        # A run that ended before it began has printed nothing: empty is what its logs are.
        for path in (folder.log, folder.engine_log, folder.monitor):
            path.touch()
        write_aside(folder.result, to_json(result))
    except OSError as error:
        raise MachineError(
            f"the result could not be written to {folder.result}: {error.strerror}"
        ) from None


def _reserve(folder: RunFolder) -> str:
    return f"{folder.root}/.reserve"
