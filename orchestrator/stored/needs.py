"""Which images the stored runs were measured in: `benchdock replay` runs them there again."""

from __future__ import annotations

from pydantic import ValidationError

from orchestrator.errors import MachineError
from orchestrator.paths import RunFolder, runs
from orchestrator.request import LenientRecord
from orchestrator.stored.lookup import all_runs


class _Plan(LenientRecord):
    image_id: str | None = None


class _Result(LenientRecord):
    """The little of a result that is read here: there may be thousands."""

    plan: _Plan | None = None


def images_of_runs() -> dict[str, str]:
    """Return the id of each image that a stored result names, with the newest such run.

    A result that cannot be understood cannot be replayed and needs nothing. Raises MachineError for
    what cannot be read: nobody knows what that needs.
    """
    found = {}
    try:
        for folder in map(RunFolder, all_runs()):
            if (image := _image_of(folder)) is not None:
                found[image] = folder.run_id
    except OSError as error:
        raise MachineError(
            f"a result in {runs()} cannot be read: {error.strerror or error}",
            hint="--ignore-results does without it",
        ) from None
    return found


def _image_of(folder: RunFolder) -> str | None:
    try:
        result = _Result.model_validate_json(folder.result.read_bytes())
    except (FileNotFoundError, ValidationError):
        return None
    return result.plan.image_id if result.plan else None
