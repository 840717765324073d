"""Reads and writes the digests of vendors' images: `dockerfiles/digests.toml`."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from orchestrator import installation, paths
from orchestrator.errors import ImageError, MachineError
from orchestrator.record_files import first_mistake
from orchestrator.request import StrictRecord

Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]

_HEAD = """\
# What the registries of vendors' images say the tags of images.toml are, by `benchdock images pin`,
# which asks them and writes this file. An image with a digest here is pulled by it; one without
# is pulled by its tag, which its vendor may move.
schema = 1

[digest]
"""


class _PinFile(StrictRecord):
    """The file as it is written."""

    schema_version: Literal[1] = Field(alias="schema")
    digest: dict[str, Digest]


def file() -> Path:
    """Return the path of the file."""
    return paths.DOCKERFILES / "digests.toml"


def load() -> dict[str, str]:
    """Return the digest of each pinned reference. Raises ImageError."""
    try:
        text = file().read_text(encoding="utf-8")
    except OSError as error:
        raise ImageError(f"cannot read the digests of images: {error}") from None
    return read(text)


def read(text: str) -> dict[str, str]:
    """Read the digests from TOML. Raises ImageError."""
    try:
        return _PinFile.model_validate(tomllib.loads(text)).digest
    except tomllib.TOMLDecodeError as error:
        raise ImageError(f"{file().name} is not valid TOML: {error}") from None
    except ValidationError as error:
        raise ImageError(f"{file().name}: {first_mistake(error)}") from None


def written(pins: Mapping[str, str]) -> str:
    """Return the file's text, sorted, so that an update shows only what changed."""
    return _HEAD + "".join(f'"{name}" = "{digest}"\n' for name, digest in sorted(pins.items()))


def refuse_in_wheel() -> None:
    """Raise MachineError in an installed benchdock, whose files are the installer's."""
    if installation.from_wheel():
        raise MachineError(
            f"`images pin` writes {file().name} of a checkout, and this benchdock is installed in "
            f"{installation.PACKAGE}",
            hint="run `make setup` in a clone, then `.venv/bin/benchdock images pin` there",
        )


def save(pins: Mapping[str, str]) -> None:
    """Write the file. Raises MachineError."""
    try:
        paths.write_aside(file(), written(pins))
    except OSError as error:
        raise MachineError(
            f"cannot write {file()}: {error.strerror or error}",
            hint="run it in a checkout that you can write to",
        ) from None
