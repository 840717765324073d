"""The releases of frameworks that our backends were run with on a CPU, and the outcome.

`proven.json` is written by `make releases` from what it ran; do not edit it.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from pathlib import Path

from pydantic import Field, TypeAdapter, ValidationError

from orchestrator.request import StrictRecord
from orchestrator.vendor_images.vendor_table import VendorTableError, numbers

FILE = Path(__file__).with_name("proven.json")


class ProvenRelease(StrictRecord):
    """The outcome of a release on an interpreter.

    `deviations` are those of parity by "LEVEL MODEL", `jobs` the phases that finished, `options`
    what each phase's job chose by default, as parity's jobs do. `refused` is the sentence with
    which our backend refuses the release.
    """

    framework: str
    release: str
    python: str
    deviations: dict[str, float] = Field(default_factory=dict)
    jobs: tuple[str, ...] = ()
    options: dict[str, dict[str, str]] = Field(default_factory=dict)
    faults: tuple[str, ...] = ()
    refused: str = ""


_RECORDS = TypeAdapter(tuple[ProvenRelease, ...])


def read(path: Path | None = None) -> tuple[ProvenRelease, ...]:
    """Read the records. Raises VendorTableError if the file is damaged."""
    path = path or FILE
    try:
        return _RECORDS.validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise VendorTableError(f"cannot read {path.name}: {error}") from None


def text(records: Sequence[ProvenRelease]) -> str:
    """Return the contents of the file, one record per line."""
    lines = ",\n".join(json.dumps(record.model_dump(mode="json")) for record in records)
    return f"[\n{lines}\n]\n"


@functools.cache
def shipped() -> tuple[ProvenRelease, ...]:
    """Return the records that ship with benchdock, read once."""
    return read()


def proven_with(
    framework: str, version: str, *, records: Sequence[ProvenRelease] | None = None
) -> str | None:
    """Return the release of the same minor number that our backend was proven with, or None.

    A nightly or a vendor's build counts as the release it leads to: "1.13.0a0+936e930" as 1.13.
    """
    minor = numbers(version)[:2]
    if len(minor) < 2:
        return None
    for record in shipped() if records is None else records:
        alike = record.framework == framework and numbers(record.release)[:2] == minor
        if alike and not record.faults and not record.refused:
            return record.release
    return None


def covers(framework: str, *, records: Sequence[ProvenRelease] | None = None) -> bool:
    """Whether any release of a framework was run at all."""
    found = shipped() if records is None else records
    return any(record.framework == framework for record in found)
