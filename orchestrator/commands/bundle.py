"""`benchdock bundle RUN`: pack everything about a run into one file."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from orchestrator.errors import ExitStatus, MachineError, RequestError
from orchestrator.paths import RunFolder
from orchestrator.results.bundle import write
from orchestrator.results.lookup import Stored, load
from orchestrator.results.verification import verify

SUFFIX = ".zip"


def execute(arguments: argparse.Namespace) -> ExitStatus:
    """Write a bundle and check it before giving it its name. Raises RequestError, MachineError."""
    stored = load(arguments.run)
    if stored.kind != "folder":
        raise RequestError(
            f"{arguments.run} is not a run folder", hint="use a run id or the path of a run folder"
        )
    destination = Path(arguments.output or f"{stored.name}{SUFFIX}")
    if arguments.output == "-":
        raise RequestError("a bundle cannot be written to standard output", hint="use -o FILE")
    if not destination.parent.is_dir():
        raise RequestError(
            f"the folder {destination.parent} does not exist", hint="create it, or use -o FILE"
        )
    if destination.exists():
        raise _taken(destination)
    files = _write(stored, destination)
    size = destination.stat().st_size
    if arguments.json:
        document = {"schema": 1, "bundle": str(destination), "bytes": size, "files": files}
        print(json.dumps(document, indent=2))
    else:
        print(f"wrote {len(files)} files of {stored.name} to {destination}, {size:,} bytes")
        print(f"run `benchdock verify {destination}` on any machine to check it")
    return ExitStatus.OK


def _taken(destination: Path) -> RequestError:
    return RequestError(f"{destination} already exists", hint="use -o to choose another name")


def _write(stored: Stored, destination: Path) -> dict[str, str]:
    """Write to a temporary file, verify, rename; return each file's SHA-256."""
    aside = destination.with_name(f".{destination.name}.{os.getpid()}")
    try:
        manifest = write(RunFolder(stored.path), stored.result, aside)
        try:
            verify(aside)
        except RequestError as error:
            what = error.what.replace(str(aside), stored.name)
            raise RequestError(
                f"no bundle was written, because it would not verify: {what}"
            ) from None
        # The first process to create the name wins: another one may be writing the same bundle.
        destination.touch(exist_ok=False)
        aside.replace(destination)
    except FileExistsError:
        raise _taken(destination) from None
    except MachineError as error:
        raise MachineError(error.what.replace(str(aside), str(destination))) from None
    except OSError as error:
        raise MachineError(f"cannot write {destination}: {error.strerror or error}") from None
    finally:
        aside.unlink(missing_ok=True)
    return {name: entry.sha256 for name, entry in manifest.files.items()}
