"""Finds the images that stored runs were measured in, because `benchdock replay` needs them."""

from __future__ import annotations

from collections.abc import Collection

from orchestrator.errors import MachineError, RequestError
from orchestrator.paths import RunFolder, runs
from orchestrator.record_files import read_bytes, read_record
from orchestrator.request import LenientRecord
from orchestrator.results.lookup import all_runs


class _Plan(LenientRecord):
    image_id: str | None = None


class _Result(LenientRecord):
    """The small part of a result that is read here, because there may be thousands."""

    plan: _Plan | None = None


def images_of_runs(leave_out: Collection[str] = ()) -> dict[str, str]:
    """Return the id of each image that a stored result names, with the newest such run.

    The runs called `leave_out` do not count. An invalid result cannot be replayed and needs
    nothing. Raises MachineError for an unreadable one, because nothing says what it needs.
    """
    found = {}
    try:
        for folder in map(RunFolder, all_runs()):
            if folder.run_id not in leave_out and (image := _image_of(folder)) is not None:
                found[image] = folder.run_id
    except OSError as error:
        raise MachineError(
            f"cannot read a result in {runs()}: {error.strerror or error}",
            hint="add --ignore-results to continue without it",
        ) from None
    return found


def _image_of(folder: RunFolder) -> str | None:
    try:
        result = read_record(_Result, read_bytes(folder.result), str(folder.result))
    except (FileNotFoundError, RequestError):
        return None
    return result.plan.image_id if result.plan else None
