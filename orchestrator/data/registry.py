"""The datasets that this machine knows by name, so that a suite runs on every machine."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from orchestrator import paths
from orchestrator.errors import DataError, MachineError, RequestError, quoted, unknown
from orchestrator.record_files import LARGEST_NOTE, read_json

_LONGEST = 60
_NAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{_LONGEST - 1}}}", re.ASCII)


def known() -> dict[str, Path]:
    """Return the folder of each name, sorted by name. Raises MachineError."""
    file = paths.datasets()
    if not file.exists():
        return {}
    found = read_json(file, LARGEST_NOTE)
    if not isinstance(found, dict) or not all(isinstance(one, str) for one in found.values()):
        raise MachineError(f"{file} is damaged", hint="remove it and add the datasets again")
    return {name: Path(found[name]) for name in sorted(found)}


def add(name: str, folder: Path) -> None:
    """Give a folder a name, which may have had another one.

    Raises RequestError, DataError, MachineError.
    """
    if not _NAME.fullmatch(name):
        raise RequestError(
            f"{quoted(name)} is not a name",
            hint=f"use at most {_LONGEST} letters, digits, and . _ -",
        )
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder", hint="use the folder of a dataset")
    _write({**known(), name: folder.resolve()})


def remove(name: str) -> None:
    """Forget a name; the folder stays. Raises RequestError, MachineError."""
    left = known()
    if name not in left:
        raise unknown("dataset", name, left, listing="benchdock data list")
    del left[name]
    _write(left)


def _write(folders: dict[str, Path]) -> None:
    file = paths.datasets()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps({name: str(folders[name]) for name in sorted(folders)}, indent=1)
        paths.write_aside(file, text + "\n")
    except OSError as error:
        raise MachineError(
            f"cannot write {file}: {error.strerror}",
            hint="set BENCHDOCK_HOME to a writable folder",
        ) from None


def resolve(text: str, base: Path | None = None) -> Path:
    """Return the folder that `--data` means: a name of this machine, else a path.

    A relative path starts from `base`. `./NAME` is always a path. Raises MachineError.
    """
    if os.sep not in text and (folder := known().get(text)) is not None:
        return folder
    return (base or Path()) / Path(text).expanduser()
