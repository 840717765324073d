"""An image whose `python3` prints what our programs print, or misbehaves on request.

Made of this host's own bash and a few tools, so that no registry is needed.
`python -m tests.misbehaving` is benchdock with one option more: `behaviour` chooses.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from orchestrator.cli import entry
from orchestrator.frameworks import catalogue
from orchestrator.frameworks.record import Option
from orchestrator.runtimes.docker.client import Engine

PROGRAM = Path(__file__).parent / "engine" / "misbehaving-python3"
TOOLS = (
    "bash", "sleep", "head", "tr", "tail", "yes", "id", "touch", "mktemp", "env", "rm", "mv", "ln",
    "truncate", "mkdir", "chmod", "seq", "cp", "cat",
)  # fmt: skip
BEHAVIOUR = Option("what the stand-in of a program does")
# pytest's `setitem` undoes it in tests of one process.
OPTIONS = catalogue.framework("pytorch").options
RUN_OPTIONS = (
    "deep_mnist", "-f", "pytorch", "--batch=2", "--steps=4", "--gpus=none", "--runtime=docker",
)  # fmt: skip


def libraries(program: str) -> list[str]:
    """Return the shared libraries of a program, empty where it is static."""
    listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout
    words = [word for line in listed.splitlines() for word in line.split()]
    return [word for word in words if word.startswith("/")]


def add_folders(archive: tarfile.TarFile, folders: tuple[str, ...]) -> None:
    """Add empty folders of a root file system."""
    for folder in folders:
        entry = tarfile.TarInfo(folder)
        entry.type, entry.mode = tarfile.DIRTYPE, 0o755
        archive.addfile(entry)


def add_own_programs(archive: tarfile.TarFile, programs: tuple[str, ...]) -> None:
    """Take the host's programs with their libraries."""
    needed: set[str] = set()
    for program in programs:
        found = os.path.realpath(shutil.which(program) or "")
        archive.add(found, f"bin/{program}")
        needed.update(libraries(found))
    for library in sorted(needed):
        archive.add(os.path.realpath(library), library.lstrip("/"))


@contextmanager
def image(engine: Engine, *, python: bool = True) -> Iterator[str]:
    """Import the image, with or without its `python3`; it is removed at the end."""
    tag = f"benchdock-test-misbehaving:{secrets.token_hex(4)}"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "root.tar"
        with tarfile.open(path, "w") as archive:
            add_folders(archive, ("bin", "tmp", "proc", "dev", "sys", "etc", "opt"))
            add_own_programs(archive, TOOLS)
            if python:
                archive.add(PROGRAM, "bin/python3")
        engine.import_image(path, tag)
    try:
        yield tag
    finally:
        engine.remove_image(tag)


if __name__ == "__main__":
    assert isinstance(OPTIONS, dict)  # rows show it to the rest of the code as a Mapping
    OPTIONS["behaviour"] = BEHAVIOUR
    entry()
